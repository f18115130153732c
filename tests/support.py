"""Helpers for whole runs: a clock, settings, and the comparison of stored documents with the truth."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from collector import config
from collector.commands.collect import collect
from collector.commands.plans import target_of
from collector.commands.work import Job
from collector.config import Settings
from collector.console.progress import Watch
from collector.model.accounts import Rate, Secret
from collector.model.results import AccountResult, RunResult
from collector.runtime import Clock, Stop
from collector.sandbox import Sandbox, World
from collector.store.database import Database
from collector.store.schema import USER_DAILY

Advance = Callable[[float], Awaitable[None]]
Configured = Callable[..., Settings]
Documents = dict[tuple[str, str], dict[str, Any]]

MAX_CALLBACK_S = 0.1 if sys.gettrace() is None else 0.3
"""CPU seconds that a callback of the event loop may use; the measuring of coverage takes twice as many of its own."""

FAST = Rate(1000, 1)
"""A rate that doesn't slow a test down."""


class FakeClock(Clock):
    """Clock that stands still at `instant`; a sleep moves it on at once."""

    def __init__(self, instant: datetime) -> None:
        self.instant = instant
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.instant

    def monotonic(self) -> float:
        return self.instant.timestamp()

    async def sleep(self, delay_s: float) -> None:
        self.slept.append(delay_s)
        self.instant += timedelta(seconds=delay_s)
        await asyncio.sleep(0)


class RecordingWatch(Watch):
    """Watch that keeps what it is given."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.windows: list[int] = []
        self.results: list[AccountResult] = []

    def begin(self, accounts: int) -> None:
        self.begun.append(accounts)

    def history(self, windows: int) -> None:
        self.windows.append(windows)

    def account(self, result: AccountResult) -> None:
        self.results.append(result)


def settings_of(
    source: Sandbox | Mapping[str, Any],
    database: Database,
    uri: str,
    folder: Path,
    *,
    since: date | None = None,
    **run: object,
) -> Settings:
    """Write a configuration as a user would, load it, and store into `database`.

    `source` is the sandbox to collect from, or the content of the file; `run` are values of the section `run`.
    """
    file = folder / "accounts.yaml"
    file.touch(mode=0o600)
    if isinstance(source, Sandbox):
        file.write_text(source.config_yaml(mongodb_uri=uri, since=str(since) if since else None))
    else:
        file.write_text(json.dumps(source))  # JSON is YAML
    settings = config.load([file], {}, datetime(2026, 11, 24, tzinfo=UTC))
    return replace(
        settings,
        mongodb=settings.mongodb.model_copy(update={"uri": Secret(uri), "database": database.name}),
        run=settings.run.model_copy(update=run),
    )


@dataclass(frozen=True)
class SpoiltWorld(World):
    """A world whose summary counts new followers in words on some days."""

    spoilt: Collection[date] = ()

    def summary(self, appid: str, day: date) -> list[Any]:
        rows = super().summary(appid, day)
        return [{**row, "new_user": "three"} for row in rows] if day in self.spoilt else rows


async def run(
    settings: Settings, clock: Clock, stop: Stop | None = None, watch: Watch | None = None, **history: Any
) -> RunResult:
    """Run the collector over all accounts of `settings`; with `history`, a backfill."""
    target = replace(target_of(settings, clock), **history)
    return await collect(settings, Job(target), clock=clock, stop=stop or Stop(), watch=watch)


async def stored(database: Database) -> Documents:
    """Return all documents by account and day, without the fields that differ from run to run."""
    found = database[USER_DAILY].find({}, {"_id": False, "fetched_at": False})
    return {(document["account"], document["ref_date"]): document async for document in found}


def truth(world: World, days: Iterable[date], *, without: Iterable[str] = (), newest: date | None = None) -> Documents:
    """Return the documents that MongoDB must hold once all of `days` were answered.

    They are the sandbox's truth in the form of `user_daily`. Quiet days are zeros from age 2 on, or before a day that
    has a row, where the day before is among `days`. `newest` is the newest published day, if it isn't one of `days`.
    """
    known = sorted(days)
    newest = newest or known[-1]
    return {
        (account.appid, str(day)): {
            "account": account.appid,
            "ref_date": str(day),
            "date": datetime.combine(day, time.min),
            "name": account.name,
            **fields,
        }
        for account in world.accounts
        if account.appid not in without
        for day in known
        if (fields := _fields(world, account.appid, day, known, newest))
    }


def _fields(world: World, appid: str, day: date, known: list[date], newest: date) -> Mapping[str, Any]:
    truth_of = world.truth(appid, day)
    fields: dict[str, Any] = {}
    if truth_of.cumulate_user is not None:
        fields["cumulate_user"] = truth_of.cumulate_user
    if truth_of.rows or (truth_of.cumulate_user is not None and _is_quiet(world, appid, day, known, newest)):
        fields |= {key: getattr(truth_of, key) for key in ("new_user", "cancel_user", "net_user", "sources")}
    return fields


def _is_quiet(world: World, appid: str, day: date, known: list[date], newest: date) -> bool:
    before = day - timedelta(days=1)
    if before not in known or world.cumulate(appid, before) != world.cumulate(appid, day):
        return False
    later = any(world.summary(appid, other) for other in known if other > day)
    return later or (newest - day).days >= 2
