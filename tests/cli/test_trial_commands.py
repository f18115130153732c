"""The commands to try things out on this machine, as a user meets them."""

from __future__ import annotations

import re
import shlex
import signal
from pathlib import Path

import pytest
from command import collector, started

from collector.sandbox import ERRMSGS


async def test_broken_accounts(tmp_path: Path) -> None:
    """The first ones have the first errcode, the next ones the next."""
    options = ("--port", "0", "--accounts", "4", "--broken", "40164=2", "--broken", "48001=1")
    process = await started("sandbox", *options, cwd=tmp_path)
    assert process.stdout
    text = b""
    while b"client-00003" not in text:
        text += await process.stdout.readline()
    text += b"".join([await process.stdout.readline() for _ in range(2)])
    file = tmp_path / "accounts.yaml"
    file.touch(mode=0o600)
    file.write_text(f"mongodb: {{data_dir: data}}\n{text.decode()}")
    ended = await collector("run", "--json", cwd=tmp_path)
    process.send_signal(signal.SIGINT)
    await process.wait()
    failed = {(each["name"], each["errcode"]) for each in ended.json["failures"]}
    assert failed == {("client-00000", 40164), ("client-00001", 40164), ("client-00002", 48001)}
    assert ended.code == 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--broken", "40165=1"], f"the errcode 40165, only {', '.join(map(str, sorted(ERRMSGS)))}"),
        (["--broken", "40164"], "'40164' is no errcode and number of accounts: write it as 40164=3"),
        (["--broken", "40164=-1"], "'40164=-1' is no errcode"),
        (
            ["--accounts", "3", "--broken", "40164=2", "--broken", "-1=2"],
            "--broken is for 4 accounts, but there are 3: see --accounts",
        ),
    ],
)
async def test_broken_accounts_that_cannot_be(tmp_path: Path, options: list[str], said: str) -> None:
    ended = await collector("sandbox", "--port", "0", *options, cwd=tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err


async def test_demo_that_is_kept(tmp_path: Path) -> None:
    """The commands that it prints work."""
    ended = await collector("demo", "--keep", cwd=tmp_path, TMPDIR=str(tmp_path))
    assert (ended.code, ended.err) == (0, "")
    lines = re.findall(r"^  (?:\S+ -m )collector (.*)$", ended.out, re.MULTILINE)
    names = ["status", "runs", "show", "report", "verify", "db", "sandbox", "run"]
    assert [line.split()[0] for line in lines] == names
    status, runs, show, report, verify = [await collector(*shlex.split(line), cwd=tmp_path) for line in lines[:5]]
    assert "52 accounts: 3 failing, 49 ok" in status.out
    assert "  3 failed\n" in runs.out
    assert "52 accounts verified: state and documents agree." in verify.out
    assert show.out.startswith("client-00000 ")
    assert (tmp_path / "collector-site" / "index.html").exists()
    assert [each.code for each in (status, runs, show, report, verify)] == [0] * 5
