import signal
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from collector import config
from collector.commands.demo import ACCOUNTS, BROKEN, DAYS, ORDER, Shown, demo
from collector.commands.work import Job
from collector.completeness.plan import Target
from collector.config import Settings
from collector.model.days import ONE_DAY
from collector.model.results import ExitCode, Outcome, RunResult
from collector.runtime import Stop
from collector.store.database import open_database
from collector.store.location import location_of
from collector.store.schema import USER_DAILY


def _result(failed: int, error: str | None = None) -> RunResult:
    outcomes = dict.fromkeys(Outcome, 0) | {Outcome.OK: ACCOUNTS - failed, Outcome.FAILED: failed}
    return RunResult("r1", 1.0, outcomes, ACCOUNTS - failed, error=error)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (_result(len(BROKEN)), ExitCode.OK),
        (_result(len(BROKEN) - 1), ExitCode.PARTIAL),
        (_result(len(BROKEN) + 1), ExitCode.PARTIAL),
        (_result(0), ExitCode.FAILED),
        (_result(len(BROKEN), "MongoDB is gone"), ExitCode.FAILED),
    ],
)
def test_exit_code_of_the_demo(result: RunResult, expected: ExitCode) -> None:
    """0 if exactly the broken accounts failed; a run in which nothing failed is a failure of the demo."""
    assert Shown(result, None).exit == expected


def _document(sources: int) -> dict[str, Any]:
    figures = [{"user_source": source, "new_user": 1, "cancel_user": 0} for source in range(sources)]
    return dict.fromkeys(ORDER, 0) | {"account": f"wx{sources}", "ref_date": "2026-11-23", "sources": figures}


def _files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


@pytest.mark.parametrize(("sources", "shown"), [([1, 3], "wx3"), ([1, 2], None)])
async def test_demo_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sources: list[int], shown: str | None
) -> None:
    """It runs over a database of its own, shows a document with several sources, and leaves no file."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen: list[tuple[Settings, Job]] = []

    async def collect(settings: Settings, job: Job, stop: Stop) -> RunResult:
        seen.append((settings, job))
        async with open_database(await location_of(settings.mongodb)) as database:
            await database[USER_DAILY].insert_many(_document(count) for count in sources)
        return _result(len(BROKEN))

    found = await demo(Stop(), collect)
    ((settings, job),) = seen
    assert (len(settings.accounts), job.command) == (ACCOUNTS, "demo")
    spans = {job.target.newest - (account.since or date.max) for account in settings.accounts}
    assert spans <= {(DAYS - 1) * ONE_DAY, (DAYS - 2) * ONE_DAY}  # before 08:00 in Beijing the newest is older
    document: Mapping[str, Any] = found.document or {}
    assert (document.get("account"), list(document)) == (shown, list(ORDER) if shown else [])
    assert _files(tmp_path) == []


@pytest.mark.parametrize(("stopped_by", "reports"), [(None, 1), (signal.SIGTERM, 0)])
async def test_report_of_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped_by: signal.Signals | None, reports: int
) -> None:
    """It is written while the database is there, unless a signal has stopped the run."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen: list[int] = []

    async def collect(settings: Settings, job: Job, stop: Stop) -> RunResult:
        async with open_database(await location_of(settings.mongodb)) as database:
            await database[USER_DAILY].insert_one(_document(3))
        return replace(_result(len(BROKEN)), stopped_by=stopped_by)

    async def report(settings: Settings, target: Target) -> None:
        async with open_database(await location_of(settings.mongodb), must_exist=True) as database:
            seen.append(await database[USER_DAILY].count_documents({}))

    await demo(Stop(), collect, report)
    assert seen == [1] * reports


async def test_demo_that_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its configuration leads to its database, and nobody else can read either."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    async def collect(settings: Settings, job: Job, stop: Stop) -> RunResult:
        return _result(len(BROKEN))

    found = await demo(Stop(), collect, keep=True)
    (folder,) = _files(tmp_path)
    assert found.file == folder / "accounts.yaml"
    assert (folder.stat().st_mode & 0o777, found.file.stat().st_mode & 0o777) == (0o700, 0o600)
    settings = config.load([found.file], {}, datetime.now(UTC))
    assert (settings.warnings, len(settings.accounts)) == ((), ACCOUNTS)
    assert settings.api.hosts == (f"http://127.0.0.1:{found.port}",)
    async with open_database(await location_of(settings.mongodb), must_exist=True) as database:
        assert database.name == settings.mongodb.database
