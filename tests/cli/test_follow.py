"""`run --follow`, as a user starts it."""

from __future__ import annotations

import re
import signal
from datetime import time
from pathlib import Path

import pytest
from command import collector, configure, ended_of, started

from collector.sandbox import Sandbox, World
from collector.store.database import Database


@pytest.mark.parametrize("until", [(), ("23:59",)])
async def test_days_that_are_there(until: tuple[str, ...], tmp_path: Path, mongod: str, database: Database) -> None:
    """The run ends at once, whether or not an end is given."""
    async with Sandbox(World(size=2)) as sandbox:
        configure(tmp_path, sandbox, mongod, database)
        ended = await collector("run", "--follow", *until, "--json", cwd=tmp_path)
    assert (ended.code, ended.json["accounts"]["ok"]) == (0, 2), ended.err


async def test_end_that_is_no_time(tmp_path: Path) -> None:
    ended = await collector("run", "--follow", "noon", cwd=tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert "'noon' is not a time: write it as 12:00, in Beijing time" in ended.err


async def test_stop_in_a_pause(tmp_path: Path, mongod: str, database: Database) -> None:
    """The log says how many are pending, and when the next round is; the signal ends the run at once."""
    async with Sandbox(World(size=2, published_at=time(23, 59))) as sandbox:
        configure(tmp_path, sandbox, mongod, database)
        config = tmp_path / "accounts.yaml"
        config.write_text(config.read_text().replace('"23:59"', '"00:00"'))  # WeChat is late
        running = await started("run", "--follow", "23:59", "--json", cwd=tmp_path)
        assert running.stderr
        while b"run.pauses" not in (line := await running.stderr.readline()):
            assert line
        running.send_signal(signal.SIGTERM)
        ended = await ended_of(running)
    assert re.search(rb" until=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+08:00 pending=2$", line.strip())
    assert (ended.code, ended.json["accounts"]["pending"]) == (143, 2)
