"""The run: one round over the accounts, or many until their newest days are there, with a result whatever happens."""

from __future__ import annotations

from collector.commands.follow import follow
from collector.commands.frame import Frame
from collector.commands.work import Job, Work, in_one_process
from collector.config import Settings
from collector.console.progress import Watch
from collector.errors import DatabaseError, StoppedError
from collector.model.results import RunResult
from collector.run.discovery import may_discover
from collector.run.part import part_of
from collector.run.tally import Tally
from collector.runtime import Clock, Stop, WechatClock, in_background
from collector.store import runs
from collector.store.location import location_of


async def collect(
    settings: Settings,
    job: Job,
    *,
    clock: Clock,
    stop: Stop,
    watch: Watch | None = None,
    work: Work | None = None,
) -> RunResult:
    """Collect for the accounts of `job` what it wants; `watch` follows the progress.

    `work` does it, by default in this process alone. Drains at the first stop signal. Returns the result whatever
    happens to accounts, to the database or to WeChat. Raises `LeaseHeldError` before anything is done when another run
    is at work on the same accounts, and `UsageError` when no account is selected. `clock` is this host's; once WeChat
    has answered, the run's time is WeChat's.
    """
    clock = WechatClock(clock)
    tally = Tally(watch or Watch())
    # With discovery the accounts are known only once the platforms' lists are read.
    entries = () if may_discover(settings, job.selection) else job.selection.of(settings.entries)
    tally.expect(entries)
    part, location = part_of(settings, job.selection), await location_of(settings.mongodb)
    frame = Frame(runs.new_run_id(clock.now()), settings, job, entries, part, location, tally, clock, stop)
    try:
        async with in_background(tally.lag.measure(), name="loop's lag"):
            return await (_once if job.follow_until is None else follow)(frame, work or in_one_process)
    except StoppedError:  # while it waited for another run, or for an index build
        return frame.result()
    except DatabaseError as lost:
        return frame.result(str(lost))


async def _once(frame: Frame, work: Work) -> RunResult:
    async with frame.leased() as leased:
        await leased.begin()
        return await leased.end(await leased.do(work, frame.job))
