"""Waits over several runs: their reason is kept, and one that holds the newest day back for days is a failure."""

from __future__ import annotations

from datetime import timedelta

from support import Configured, FakeClock, run

from collector.commands.plans import plans, target_of
from collector.commands.status import status
from collector.config import Selection
from collector.console.status import as_text
from collector.kinds import WaitKind
from collector.model.days import ONE_DAY
from collector.sandbox import Limits, Sandbox, World
from collector.store.database import Database
from collector.store.state import load

NO_CALL = Limits(daily=0)
QUOTA = "other systems use up the account's quota: let them leave some calls, or start the collector before them"


async def test_newest_day_held_back_on_three_days_fails(
    clock: FakeClock, database: Database, configured: Configured
) -> None:
    async with Sandbox(World(size=1), clock=clock.now, limits=NO_CALL) as sandbox:
        settings = configured(sandbox)
        for _ in range(2):
            result = await run(settings, clock)
            assert (result.exit, result.failures) == (75, ())
            assert (await run(settings, clock)).exit == 75
            clock.instant += ONE_DAY
        result = await run(settings, clock)
        (again,) = {(each.errcode, each.hint) for each in (await run(settings, clock)).failures}
    assert result.exit == 1
    assert {(each.errcode, each.hint) for each in result.failures} == {(45009, QUOTA)} == {again}
    assert {each.errmsg for each in result.failures} == {
        "the newest day was held back on 3 days running: WeChat's quota of the day is used up"
    }
    (state,) = (await load(database)).values()
    assert {error.hint for dataset in state.datasets.values() if (error := dataset.last_error)} == {QUOTA}


async def test_mended_wait_ends_the_failure(clock: FakeClock, database: Database, configured: Configured) -> None:
    world = World(size=1)
    async with Sandbox(world, clock=clock.now, limits=NO_CALL) as sandbox:
        settings = configured(sandbox)
        for _ in range(3):
            await run(settings, clock)
            clock.instant += ONE_DAY
    async with Sandbox(world, clock=clock.now) as sandbox:
        assert (await run(configured(sandbox), clock)).exit == 0
    (state,) = (await load(database)).values()
    assert not any(dataset.last_error for dataset in state.datasets.values())


async def test_later_runs_know_the_reason(clock: FakeClock, configured: Configured) -> None:
    """So do `--dry-run` and `status`, until the wait is over."""
    async with Sandbox(World(size=1), clock=clock.now, limits=NO_CALL) as sandbox:
        settings = configured(sandbox)
        await run(settings, clock)
        assert {notice.kind for notice in (await run(settings, clock)).notices} == {WaitKind.QUOTA}
        ((account, plan),) = (await plans(settings, Selection(), target_of(settings, clock), clock)).of_accounts
        assert {notice.kind for notice in plan.notices(account)} == {WaitKind.QUOTA}
        seen = await status(settings, Selection(), clock.now())
        waiting = (
            "Waiting, as WeChat ordered:\n"
            "  1 account: WeChat's quota of the day is used up, until 2026-11-25 00:00 Beijing time\n"
            f"    {account.name}"
        )
        assert waiting in as_text(seen)
        midnight = clock.now().replace(hour=16, minute=0, second=0, microsecond=0)
        later = await status(settings, Selection(), midnight + timedelta(seconds=1))
        assert "Waiting" not in as_text(later)
