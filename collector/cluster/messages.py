"""Values that pass between the coordinator and the workers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from collector.commands.work import Job
from collector.console.progress import NO_STEPS, Steps
from collector.run.counts import Counts
from collector.store.held import LeaseTimes
from collector.wechat.component import Handover


@dataclass(frozen=True, slots=True)
class RunInfo:
    """A run, as its workers must know it.

    `epoch` is that of the coordinator's lease. `files` are those of the configuration where the worker is a process of
    the coordinator's own; any other finds its own. `log` configures the worker's log.
    """

    run: str
    epoch: int
    times: LeaseTimes
    files: tuple[Path, ...] = ()
    is_local: bool = False
    log: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class Introduction:
    """A worker's version, the digest of its configuration and the time by its clock; or why it can't be used.

    `fault` is one of the entries of its configuration that can't be used, empty without any.
    """

    version: str
    digest: str = ""
    trouble: str = ""
    fault: str = ""
    now: datetime | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """A batch of accounts for one worker, under the claim of that epoch.

    `configured` are appids of the worker's own configuration; `discovered` are accounts of platforms, each with its
    appid, name and platform. With `history` the accounts' history is filled after their daily job. For `idle_s` seconds
    no other worker has asked for these accounts. The worker does up to `slots` batches at once. With `stopped_by` the
    run has been stopped, and only what a backfill wants is remembered.
    """

    info: RunInfo
    batch: int
    epoch: int
    job: Job
    history: bool
    configured: Sequence[str]
    discovered: Sequence[tuple[str, str, str]] = ()
    handovers: Sequence[Handover] = field(default=(), repr=False)
    idle_s: float = float("inf")
    slots: int = 1
    stopped_by: int | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """Result of an order: counts, accounts whose history is left, the progress, and the `error` that ended it early."""

    counts: Counts
    lacking_history: Sequence[str] = ()
    steps: Steps = NO_STEPS
    error: str | None = None
