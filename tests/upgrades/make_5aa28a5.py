"""Write the dump of a database as version 5aa28a5 leaves it, by real runs over several pretend days.

It runs on a checkout of that commit alone, whose modules it imports::

    git worktree add ../5aa28a5 5aa28a5
    PYTHONPATH=../5aa28a5 python tests/upgrades/make_5aa28a5.py tests/upgrades/5aa28a5

The ids, process ids and instants of the ledger differ each time it is run, and so may what a killed run had stored by
then. Make the dump anew only with a reason, and correct the counts in `test_upgrades.py` then.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import structlog
from bson import json_util
from collector.collect import Job, collect, target_of
from collector.report.watch import Watch
from collector.wechat.waits import Clock, Stop
from world_5aa28a5 import (
    BACKFILLED_SINCE,
    FOUND_ROLES,
    INTERRUPTED_SINCE,
    LAST_INSTANT,
    WORLD,
    Role,
    appids,
    configuration,
)

from collector import config
from collector.config import Selection, Settings
from collector.model import AccountResult, RunResult, Secret
from collector.sandbox import Faults, Sandbox, TokenServerFault
from collector.sandbox.world import BEIJING
from collector.store.database import Database, open_database
from collector.store.lease_document import LEASES
from collector.store.local import local_mongod
from collector.store.runs import RUNS
from collector.store.schema import USER_DAILY
from collector.store.state import ACCOUNTS

DATABASE = "wechat"
HOST = "collector-1"
ADDRESS = "203.0.113.7"

PAUSED = {Role.CAPPED: {"enabled": "false"}}
CAPPED = {Role.CAPPED: {"daily_calls": "1"}}

BROKEN = {
    40125: Role.SECRET_RESET,
    40164: Role.NOT_ALLOWED,
    45009: Role.QUOTA,
    48001: Role.UNAUTHORISED,
    50002: Role.FROZEN,
    89506: Role.REFUSED_FOR_DAY,
    89507: Role.REFUSED_FOR_HOUR,
}
FAILING = (40125, 40164, 48001)
WAITING = (45009, 89506, 89507)
ORDER = {USER_DAILY: ("account", "ref_date"), ACCOUNTS: ("_id",), RUNS: ("_id",), LEASES: ("_id",)}

KILLED_AFTER_ACCOUNTS = 90
STOPPED_AFTER_ACCOUNTS = 80
KILLED_AFTER_WINDOWS = 30

LATENCY_S = 0.02
"""Seconds before each answer to a run that is killed, so that some of its days are stored by then."""

# The ledger and the lease name the host; in the dump it isn't the one that made it.
socket.gethostname = lambda: HOST
structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))


class StillClock(Clock):
    """A clock that stands still at `instant`."""

    def __init__(self, instant: datetime) -> None:
        self.instant = instant.astimezone(UTC)

    def now(self) -> datetime:
        """Return the instant, in UTC."""
        return self.instant


@dataclass
class Interruption(Watch):
    """Stop or kill this process's run once so many accounts or windows are done; 0 is never."""

    accounts: int = 0
    windows: int = 0
    stop: Stop | None = None

    def account(self, result: AccountResult) -> None:
        """Count an account that is done with its newest days."""
        del result
        self.accounts -= 1
        self._interrupt_at_zero(self.accounts)

    def window(self) -> None:
        """Count a window of history that is done."""
        self.windows -= 1
        self._interrupt_at_zero(self.windows)

    def _interrupt_at_zero(self, left: int) -> None:
        if left == 0 and self.stop:
            self.stop.set(signal.SIGTERM)
        elif left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Command:
    """One command of the collector: `since` makes it a backfill, `tags` choose its accounts."""

    since: date | None = None
    tags: tuple[str, ...] = ()
    interrupted_after: Mapping[str, int] = field(default_factory=dict)

    async def run(self, settings: Settings, clock: Clock, *, killed: bool = False) -> RunResult:
        """Run it in this process; an interruption stops it, or kills the process."""
        stop = Stop()
        watch = Interruption(**self.interrupted_after, stop=None if killed else stop)
        target = replace(target_of(settings, clock), since=self.since)
        job = Job(target, Selection(tags=self.tags), "backfill" if self.since else "run")
        return await collect(settings, job, clock=clock, stop=stop, watch=watch)


@dataclass(frozen=True)
class Maker:
    """Runs commands against the world into the database at `uri`, with their files in `folder`."""

    uri: str
    folder: Path

    async def collect(self, instant: datetime, status: str, command: Command | None = None, **served: Any) -> None:
        """Run a command (None: the daily job) that must end with `status`."""
        clock = StillClock(instant)
        async with self._served(clock, **served) as settings:
            result = await (command or Command()).run(settings, clock)
        print(f"{instant}: {result.status}, {result.days} days, {len(result.failures)} failures")  # noqa: T201
        if result.status != status:
            sys.exit(f"the run of {instant} was to end as {status}: {result}")

    async def kill(self, instant: datetime, command: Command, **served: Any) -> None:
        """Run a command in a process of its own, which is killed in the middle of it."""
        async with self._served(StillClock(instant), latency_s=LATENCY_S, **served) as settings:
            process = get_context("spawn").Process(target=be_killed, args=(command, settings, instant))
            process.start()
            await asyncio.to_thread(process.join)
        if process.exitcode != -signal.SIGKILL:
            sys.exit(f"the run of {instant} was to be killed, and ended with {process.exitcode}")

    @asynccontextmanager
    async def _served(
        self,
        clock: Clock,
        *,
        faults: Faults | None = None,
        changed: Mapping[Role, Mapping[str, Any]] | None = None,
        authorised: tuple[Role, ...] = FOUND_ROLES,
        latency_s: float = 0.0,
    ) -> AsyncIterator[Settings]:
        """Serve the world, and give the settings of an agency that collects it."""
        options: dict[str, Any] = {"faults": faults or Faults(), "latency_s": latency_s}
        async with Sandbox(WORLD, clock=clock.now, authorised=0, **options) as sandbox:
            for appid in appids(*authorised):
                sandbox.authorise(appid)
            file = self.folder / "accounts.yaml"
            file.touch(mode=0o600)
            file.write_text(json.dumps(configuration(sandbox.url, changed or {})))  # JSON is YAML
            settings = config.load([file], {}, clock.now())
            mongodb = settings.mongodb.model_copy(update={"uri": Secret(self.uri), "database": DATABASE})
            # Few accounts at once, so that an interruption leaves some that weren't at work yet.
            yield replace(settings, mongodb=mongodb, run=settings.run.model_copy(update={"workers": 4}))


def be_killed(command: Command, settings: Settings, instant: datetime) -> None:
    """Run a command that its interruption kills; the main function of a process."""
    asyncio.run(command.run(settings, StillClock(instant), killed=True))


def morning(day: int, hour: int = 10) -> datetime:
    """Return an hour of the morning in Beijing on a day of November 2026."""
    return datetime.combine(date(2026, 11, day), time(hour), BEIJING)


def faults(*errcodes: int) -> Faults:
    """Return the faults in which the roles of these errcodes are broken, and their token server with any of them."""
    by_appid = {appid: errcode for errcode in (50002, *errcodes) for appid in appids(BROKEN[errcode])}
    refused = {appid: (ADDRESS,) for appid in appids(Role.NOT_ALLOWED) if by_appid.pop(appid, None)}
    spoilt = dict.fromkeys(appids(Role.TOKENLESS) if errcodes else (), TokenServerFault.WRONG_PATH)
    return Faults(broken=by_appid, refused_ips=refused, token_server=spoilt)


async def live(maker: Maker, database: Database) -> None:
    """Let eight days pass, from the first run to one that is killed; nobody collects on the 14th."""
    first, failing, last = faults(), faults(*FAILING), faults(*FAILING, *WAITING)
    stopped = Command(interrupted_after={"accounts": STOPPED_AFTER_ACCOUNTS})
    killed = Command(interrupted_after={"accounts": KILLED_AFTER_ACCOUNTS})
    backfill = Command(BACKFILLED_SINCE, ("history",))
    killed_backfill = Command(INTERRUPTED_SINCE, ("interrupted",), {"windows": KILLED_AFTER_WINDOWS})
    await maker.collect(morning(10, 9), "ok", Command(tags=("capped",)))
    await maker.collect(morning(10), "partial", faults=first)
    await maker.collect(morning(11, 9), "stopped", stopped, faults=first)
    await maker.collect(morning(11), "partial", faults=first)
    await maker.collect(morning(12, 9), "pending", backfill, changed=PAUSED)
    await maker.collect(morning(12), "partial", changed=PAUSED, faults=first)
    await maker.kill(morning(13, 9), killed, changed=PAUSED, faults=first)
    # As a minute later: the lease of the killed run is free by then.
    await database[LEASES].update_one({}, {"$set": {"expires": datetime(1970, 1, 1, tzinfo=UTC)}})
    await maker.collect(morning(13), "partial", changed=PAUSED, faults=first)
    await maker.collect(morning(15), "partial", changed=PAUSED, faults=failing)
    without_left = (Role.DISCOVERED,)
    await maker.collect(morning(16), "partial", changed=PAUSED, faults=failing, authorised=without_left)
    await maker.collect(morning(17), "partial", changed=CAPPED, faults=last, authorised=without_left)
    await maker.kill(LAST_INSTANT, killed_backfill, changed=CAPPED, faults=last, authorised=without_left)


async def dump(database: Database, out: Path) -> None:
    """Write each collection's documents, and beside them the options and indexes of all collections."""
    described = {}
    for name, order in ORDER.items():
        shown = {"_id": False} if name == USER_DAILY else None  # its ids are random
        documents = [document async for document in database[name].find({}, shown).sort([(key, 1) for key in order])]
        lines = [json_util.dumps(document, json_options=json_util.CANONICAL_JSON_OPTIONS) for document in documents]
        text = "".join(f"{line}\n" for line in lines)
        (out / f"{name}.jsonl.gz").write_bytes(gzip.compress(text.encode(), mtime=0))  # the same bytes each time
        described[name] = {
            "options": await database[name].options(),
            "indexes": await database[name].index_information(),
        }
    (out / "collections.json").write_text(f"{json.dumps(described, indent=2, sort_keys=True)}\n")


async def main(out: Path) -> None:
    """Make the dump in the folder `out`."""
    with tempfile.TemporaryDirectory(prefix="collector-5aa28a5-") as folder:
        async with local_mongod(Path(folder, "data")) as uri, open_database(Secret(uri), DATABASE) as database:
            await live(Maker(uri, Path(folder)), database)
            await dump(database, out)


if __name__ == "__main__":
    folder_of_dump = Path(sys.argv[1])
    folder_of_dump.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(folder_of_dump))
