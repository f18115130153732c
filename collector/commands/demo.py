"""The demo: a sandbox, a mongod and a real run over them, in a folder that is removed at the end unless it is kept."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from collector import config
from collector.commands.plans import target_of
from collector.commands.work import Job
from collector.completeness.plan import Target
from collector.model.days import beijing_day
from collector.model.results import ExitCode, Outcome, RunResult
from collector.runtime import Clock, Stop
from collector.sandbox import Faults, Sandbox, World
from collector.secrets.files import private_file
from collector.store.database import open_database
from collector.store.location import location_of
from collector.store.schema import USER_DAILY

ACCOUNTS = 52
DAYS = 90
BROKEN = (40164, 40125, 48001)
"""The errcodes of the accounts that always fail, one each: a refused IP, a reset secret, a right not granted."""

ORDER = (
    *("account", "ref_date", "date", "name", "new_user", "cancel_user", "net_user", "sources", "cumulate_user"),
    "fetched_at",
)
"""The fields of a document in the order of the documentation."""

Collect = Callable[[config.Settings, Job, Stop], Awaitable[RunResult]]
Report = Callable[[config.Settings, Target], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Shown:
    """The output of the demo: the run's result, one stored document, and what the demo was made of.

    `file` is the configuration, in a folder of its own with the database; `port` is that of the sandbox, which has
    ended.
    """

    result: RunResult
    document: Mapping[str, Any] | None
    file: Path = Path()
    port: int = 0

    @property
    def exit(self) -> int:
        """0 if exactly the accounts of `BROKEN` failed, else the run's own exit code, and 1 for one of 0."""
        went_well = self.result.exit == ExitCode.PARTIAL and self.result.outcomes[Outcome.FAILED] == len(BROKEN)
        return ExitCode.OK if went_well else self.result.exit or ExitCode.FAILED


async def demo(stop: Stop, collect: Collect, report: Report | None = None, *, keep: bool = False) -> Shown:
    """Collect `ACCOUNTS` accounts of a sandbox over `DAYS` days, those of `BROKEN` fail; then report on what is stored.

    With `keep`, the folder with the configuration and the database stays.
    """
    world = World(size=ACCOUNTS)
    broken = dict(zip((account.appid for account in world.accounts[3:]), BROKEN, strict=False))
    with _folder(keep=keep) as folder:
        async with Sandbox(world, faults=Faults(broken=broken)) as sandbox:
            since = str(beijing_day(datetime.now(UTC)) - timedelta(days=DAYS))
            file = private_file(folder / "accounts.yaml")  # it has secrets in it
            file.write_text(f"mongodb:\n  data_dir: .\n{sandbox.config_yaml(since=since)}")
            settings = config.load([file], {}, datetime.now(UTC))
            # Open from the beginning, so that the mongod is kept up until the document is read.
            async with open_database(await location_of(settings.mongodb)) as database:
                target = target_of(settings, Clock())
                result = await collect(settings, Job(target, command="demo"), stop)
                # A document with several sources, as most real ones have.
                full = {"cumulate_user": {"$exists": True}, "sources.2": {"$exists": True}}
                document = await database[USER_DAILY].find_one(full, sort=[("ref_date", -1), ("account", 1)])
                if report and document and result.stopped_by is None:
                    await report(settings, target)
    return Shown(result, document and {key: document[key] for key in ORDER}, file, sandbox.port)


@contextmanager
def _folder(*, keep: bool) -> Iterator[Path]:
    """Make a folder that only this user can open, and remove it at the end unless it is to be kept."""
    prefix = "collector-demo-"
    if keep:
        yield Path(tempfile.mkdtemp(prefix=prefix))
    else:
        with tempfile.TemporaryDirectory(prefix=prefix) as folder:
            yield Path(folder)
