"""Entries that can't be used, in the configuration of the coordinator or of a worker."""

from __future__ import annotations

import json
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

from cluster.coordinator import backfill
from cluster.hosts import Host, cluster_of, hosts_of
from structlog.testing import capture_logs
from support import stored, truth

from collector.config import Selection, load
from collector.model.days import ONE_DAY, Window, newest_published
from collector.model.parts import Part
from collector.run.part import digest_of_labels, part_of
from collector.sandbox import World
from collector.store.database import Database
from collector.store.state import load as load_states

NEWEST = newest_published(datetime.now(UTC), time(8))
SINCE = NEWEST - 6 * ONE_DAY
WORLD = World(size=12, sparse=False)
BROKEN = WORLD.accounts[3]


def _break(host: Host) -> None:
    """Let an entry of a host need a variable that isn't set."""
    content = json.loads(host.config.read_text())
    content["accounts"][3]["secret"] = "${NOT_SET_ANYWHERE}"
    host.config.write_text(json.dumps(content))


async def test_broken_here(tmp_path: Path, mongod: str, database: Database) -> None:
    """The coordinator fails it, and the workers do the others, whatever they have of it; a file is one failure, too."""
    async with (
        cluster_of(tmp_path, tls=False) as cluster,
        hosts_of(["coordinator", "one"], WORLD, tmp_path, mongod, database, {"include": "d/*.yaml"}) as hosts,
    ):
        _break(hosts["coordinator"])
        await cluster.add("one", hosts["one"].config)
        await cluster.ready(1)
        (tmp_path / "d").mkdir()
        (tmp_path / "d/x.yaml").write_text("accounts: [")
        result = await backfill(hosts["coordinator"].config, SINCE, cluster.place)
    assert (result.exit, result.error, result.total) == (3, None, 13)
    file = str(tmp_path / "d/x.yaml")
    assert {(each.account, each.name) for each in result.failures} == {(BROKEN.appid, BROKEN.name), (None, file)}
    assert await stored(database) == truth(WORLD, Window(SINCE, NEWEST), without=[BROKEN.appid])
    error = (await load_states(database))[BROKEN.appid].dataset("user_summary").last_error
    assert error
    assert "NOT_SET_ANYWHERE isn't set" in error.errmsg


async def test_broken_on_a_worker(tmp_path: Path, mongod: str, database: Database) -> None:
    """Such a worker isn't used, and its fault is named; others do all."""
    async with (
        cluster_of(tmp_path, tls=False) as cluster,
        hosts_of(["coordinator", "one", "two"], WORLD, tmp_path, mongod, database, {}) as hosts,
    ):
        _break(hosts["one"])
        for name in ("one", "two"):
            await cluster.add(name, hosts[name].config)
        await cluster.ready(2)
        with capture_logs() as logs:
            result = await backfill(hosts["coordinator"].config, SINCE, cluster.place)
    assert (result.exit, result.total) == (0, 12)
    assert await stored(database) == truth(WORLD, Window(SINCE, NEWEST))
    (why,) = (entry["why"] for entry in logs if entry["event"] == "worker.refused")
    assert why.startswith(f"its configuration has faults: {hosts['one'].config}:1: the variable NOT_SET_ANYWHERE")


def _parts(tmp_path: Path, **of_one: Any) -> list[tuple[str, Part]]:
    """The digest of labels and the part of accounts called `a` with a sound configuration, and with a broken one."""
    found = []
    for more in ({}, of_one):
        file = tmp_path / "accounts.yaml"
        accounts = [{"name": name, "appid": f"wx{n:016x}", "secret": "s"} for n, name in enumerate("ab")]
        file.write_text(json.dumps({"accounts": [accounts[0] | more, accounts[1]]}))
        settings = load([file], {}, datetime.now(UTC))
        found.append((digest_of_labels(settings), part_of(settings, Selection(["a"]))))
    return found


def test_part_of_a_broken_entry(tmp_path: Path) -> None:
    """It is that of the sound one, as far as appid and label can be read: its state is written under the same lease."""
    sound, broken = _parts(tmp_path, secret="${NOT_SET_ANYWHERE}")
    assert broken == sound
    _, (_, part) = _parts(tmp_path, appid="wx1")
    assert part.appids == frozenset()
