"""What several test modules import."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from collector import config
from collector.collect import collect
from collector.config import Settings
from collector.model import RunResult, Secret
from collector.sandbox import Sandbox, World
from collector.store.database import USER_DAILY, Database
from collector.wechat.waits import Clock, Stop

Documents = dict[tuple[str, str], dict[str, Any]]


class FakeClock(Clock):
    """Stands still at `instant`; a sleep moves it on at once."""

    def __init__(self, instant: datetime) -> None:
        self.instant = instant
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.instant

    async def sleep(self, delay_s: float) -> None:
        self.slept.append(delay_s)
        self.instant += timedelta(seconds=delay_s)
        await asyncio.sleep(0)


def settings_of(
    sandbox: Sandbox, database: Database, uri: str, folder: Path, *, since: date | None = None, **run: object
) -> Settings:
    """The settings that a user of `sandbox` would have, written and read as a user's are, with `run` set."""
    file = folder / "accounts.yaml"
    file.touch(mode=0o600)
    file.write_text(sandbox.config_yaml(mongodb_uri=uri, since=str(since) if since else None))
    settings = config.load([file], {}, datetime(2026, 11, 24, tzinfo=UTC))
    return replace(
        settings,
        mongodb=settings.mongodb.model_copy(update={"uri": Secret(uri), "database": database.name}),
        run=settings.run.model_copy(update=run),
    )


async def run(settings: Settings, clock: Clock, stop: Stop | None = None) -> RunResult:
    """One run over all accounts of `settings`."""
    return await collect(settings, settings.accounts, clock=clock, stop=stop or Stop())


async def stored(database: Database) -> Documents:
    """All documents, by account and day, without what differs from run to run."""
    found = database[USER_DAILY].find({}, {"_id": False, "fetched_at": False})
    return {(document["account"], document["ref_date"]): document async for document in found}


def truth(world: World, days: Iterable[date], *, without: Iterable[str] = ()) -> Documents:
    """What MongoDB must hold of `days`: the sandbox's own account of them, in the form of `user_daily`."""
    documents = {}
    for account in world.accounts:
        if account.appid not in without:
            for day in days:
                if fields := _fields(world, account.appid, day):
                    key = {"account": account.appid, "ref_date": str(day), "name": account.name}
                    documents[account.appid, str(day)] = key | dict(fields)
    return documents


def _fields(world: World, appid: str, day: date) -> Mapping[str, Any]:
    day_truth = world.truth(appid, day)
    fields: dict[str, Any] = {}
    if day_truth.rows:
        fields |= {key: getattr(day_truth, key) for key in ("new_user", "cancel_user", "net_user", "sources")}
    if day_truth.cumulate_user is not None:
        fields["cumulate_user"] = day_truth.cumulate_user
    return fields
