"""The demo: a sandbox, a mongod and a real run over them, in a folder that is removed at the end."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from collector import config
from collector.commands.plans import target_of
from collector.commands.work import Job
from collector.model.days import beijing_day
from collector.model.results import ExitCode, Outcome, RunResult
from collector.runtime import Clock, Stop
from collector.sandbox import Faults, Sandbox, World
from collector.secrets.files import private_file
from collector.store.database import open_database
from collector.store.local import local_mongod
from collector.store.location import Location
from collector.store.schema import USER_DAILY

ACCOUNTS = 52
DAYS = 90
BROKEN = (40164, 40125, 48001)
"""The errcodes of the accounts that always fail, one each: a refused IP, a reset secret, a right not granted."""

ORDER = ("account", "ref_date", "name", "new_user", "cancel_user", "net_user", "sources", "cumulate_user", "fetched_at")
"""The fields of a document in the order of the documentation."""

Collect = Callable[[config.Settings, Job, Stop], Awaitable[RunResult]]


@dataclass(frozen=True, slots=True)
class Shown:
    """The output of the demo: the run's result and one stored document."""

    result: RunResult
    document: Mapping[str, Any] | None

    @property
    def exit(self) -> int:
        """0 if exactly the accounts of `BROKEN` failed, else the run's own exit code, and 1 for one of 0."""
        went_well = self.result.exit == ExitCode.PARTIAL and self.result.outcomes[Outcome.FAILED] == len(BROKEN)
        return ExitCode.OK if went_well else self.result.exit or ExitCode.FAILED


async def demo(stop: Stop, collect: Collect) -> Shown:
    """Collect `ACCOUNTS` accounts of a sandbox over `DAYS` days; those of `BROKEN` fail."""
    world = World(size=ACCOUNTS)
    broken = dict(zip((account.appid for account in world.accounts[3:]), BROKEN, strict=False))
    with tempfile.TemporaryDirectory(prefix="collector-demo-") as folder:
        async with (
            local_mongod(Path(folder)),  # kept up until the document is read
            Sandbox(world, faults=Faults(broken=broken)) as sandbox,
        ):
            since = str(beijing_day(datetime.now(UTC)) - timedelta(days=DAYS))
            file = private_file(Path(folder, "accounts.yaml"))  # it has secrets in it
            file.write_text(sandbox.config_yaml(since=since))
            settings = config.load([file], {}, datetime.now(UTC))
            location = Location(settings.mongodb.database, data_dir=Path(folder))
            settings = replace(settings, mongodb=settings.mongodb.model_copy(update={"data_dir": location.data_dir}))
            result = await collect(settings, Job(target_of(settings, Clock()), command="demo"), stop)
            async with open_database(location) as database:
                # A document with several sources, as most real ones have.
                full = {"cumulate_user": {"$exists": True}, "sources.2": {"$exists": True}}
                document = await database[USER_DAILY].find_one(full, sort=[("ref_date", -1), ("account", 1)])
    return Shown(result, document and {key: document[key] for key in ORDER})
