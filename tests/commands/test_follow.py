"""Whole mornings of `run --follow`, on a clock whose pauses pass at once."""

from __future__ import annotations

import asyncio
import random
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import count, pairwise
from typing import Any

import pytest
from support import Configured, FakeClock, run, stored, truth

from collector.commands.collect import collect
from collector.commands.plans import target_of
from collector.commands.work import Job, Run, Work, in_one_process
from collector.config import Settings
from collector.errors import LeaseHeldError, UnreachableError
from collector.model.accounts import Account, Rate
from collector.model.days import BEIJING, ONE_DAY, Window
from collector.model.results import AccountResult, Failure, Outcome, RunResult
from collector.runtime import Stop
from collector.sandbox import Faults, Sandbox, World
from collector.store import runs
from collector.store.database import Database
from collector.store.leases import lease, live_runs
from collector.store.schema import USER_DAILY

NEWEST = date(2026, 11, 23)
EIGHT = datetime(2026, 11, 24, 8, 0, 1, tzinfo=BEIJING)
EIGHT_35 = EIGHT.replace(minute=35).astimezone(UTC)
NOON = EIGHT.replace(hour=12, second=0).astimezone(UTC)
SUMMARY, CUMULATE = "/datacube/getusersummary", "/datacube/getusercumulate"

ONE_BY_ONE = World(size=300, published_until=time(12), sparse=False)
IN_WAVES = replace(ONE_BY_ONE, size=600, waves=3, seed=1)  # at 08:43, 10:07 and 10:46
NOT_BEFORE_ELEVEN = World(size=6, published_at=time(11))


SHORT_S = 0.1
"""Longer than any wait for a call's turn; a pause may end where all may be asked again, and be short."""


class MorningClock(FakeClock):
    """Clock that stands still at 08:00 and a second; `in_pause` is called before each pause."""

    def __init__(self, instant: datetime = EIGHT) -> None:
        super().__init__(instant.astimezone(UTC))
        self.in_pause: Callable[[], Awaitable[None]] | None = None

    async def sleep(self, delay_s: float) -> None:
        if delay_s > SHORT_S and self.in_pause:
            await self.in_pause()
        await super().sleep(delay_s)

    @property
    def pauses(self) -> list[float]:
        return [slept for slept in self.slept if slept > SHORT_S]


async def _follow(
    settings: Settings, clock: FakeClock, stop: Stop | None = None, work: Work | None = None, **changed: Any
) -> RunResult:
    job: dict[str, Any] = {"target": target_of(settings, clock), "follow_until": NOON} | changed
    return await collect(settings, Job(**job), clock=clock, stop=stop or Stop(), work=work)


async def _with_the_day_before(sandbox: Sandbox, settings: Settings, clock: MorningClock) -> None:
    """Collect everything up to the day before the newest one, as on any other morning."""
    now, clock.instant = clock.instant, (EIGHT - timedelta(hours=12)).astimezone(UTC)
    assert (await run(settings, clock)).exit == 0
    clock.instant = now
    sandbox.calls.clear()


async def _delays(database: Database, world: World) -> list[float]:
    """Return the minutes from each account's publication until it was stored."""
    midnight = EIGHT.replace(hour=0, second=0)
    delays = []
    async for document in database[USER_DAILY].find({"ref_date": str(NEWEST)}):
        at = world.publication(document["account"], NEWEST)
        published = midnight + timedelta(hours=at.hour, minutes=at.minute)
        stored_at = document["fetched_at"]["user_cumulate"].replace(tzinfo=UTC)
        delays.append((stored_at - published).total_seconds() / 60)
    return sorted(delays)


def _data_calls(sandbox: Sandbox) -> int:
    return sum(call.path in (SUMMARY, CUMULATE) for call in sandbox.calls)


@pytest.mark.parametrize(("world", "minutes", "vain_calls"), [(IN_WAVES, 25, 3), (ONE_BY_ONE, 30, 8)])
async def test_days_are_stored_soon(
    world: World,
    minutes: float,
    vain_calls: float,
    database: Database,
    configured: Configured,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """99 % of the accounts within so many minutes of publication, with so many calls more than the two needed.

    Of one morning that holds only where the first probes are lucky; `test_rounds.py` plays many.
    """
    monkeypatch.setattr("collector.commands.follow.random.random", random.Random(1).random)
    clock = MorningClock()
    async with Sandbox(world, clock=clock.now) as sandbox:
        settings = configured(sandbox, published_at=time(8))
        await _with_the_day_before(sandbox, settings, clock)
        result = await _follow(settings, clock)
    assert (result.exit, result.outcomes[Outcome.OK]) == (0, world.size)
    delays = await _delays(database, world)
    assert len(delays) == world.size
    assert delays[world.size * 99 // 100 - 1] <= minutes
    assert _data_calls(sandbox) / world.size - 2 <= vain_calls


async def test_documents_are_the_truth(database: Database, configured: Configured) -> None:
    world, clock = World(size=60, published_until=time(12)), MorningClock()
    async with Sandbox(world, clock=clock.now) as sandbox:
        settings = configured(sandbox, published_at=time(8), since=NEWEST - 6 * ONE_DAY)
        await _with_the_day_before(sandbox, settings, clock)
        await _follow(settings, clock)
    assert await stored(database) == truth(world, Window(NEWEST - 7 * ONE_DAY, NEWEST))


async def test_day_that_is_there_costs_two_calls(database: Database, configured: Configured) -> None:
    """As in a plain run: the total first, then the rest; nobody is asked again, and there is no pause."""
    world, clock = World(size=10, sparse=False), MorningClock()
    async with Sandbox(world, clock=clock.now) as sandbox:
        settings = configured(sandbox, published_at=time(8))
        await _with_the_day_before(sandbox, settings, clock)
        result = await _follow(settings, clock)
    assert (result.exit, result.calls, result.token_calls, clock.pauses) == (0, 20, 10, [])


async def test_missing_day_costs_one_call_a_round(database: Database, configured: Configured) -> None:
    """For the total alone, where few are pending; the last round asks for all that is missing."""
    world, clock = World(size=4, published_at=time(11), sparse=False), MorningClock()
    async with Sandbox(world, clock=clock.now) as sandbox:
        settings = configured(sandbox, published_at=time(8))
        await _with_the_day_before(sandbox, settings, clock)
        await _follow(settings, clock, follow_until=EIGHT_35)
    calls = Counter(call.path for call in sandbox.calls)
    assert (len(clock.pauses), calls[CUMULATE], calls[SUMMARY]) == (4, 5 * 4, 4)


async def test_older_days_dont_wait_for_the_newest(database: Database, configured: Configured) -> None:
    clock = MorningClock()
    async with Sandbox(NOT_BEFORE_ELEVEN, clock=clock.now) as sandbox:
        await _follow(configured(sandbox, published_at=time(8)), clock, follow_until=EIGHT_35)
        documents = await stored(database)
    assert {day for _, day in documents} == {str(NEWEST - n * ONE_DAY) for n in range(1, 7)}
    assert Counter(call.path for call in sandbox.calls if not call.errcode)[SUMMARY] >= 6


async def test_end_that_is_past_makes_a_plain_run(database: Database, configured: Configured) -> None:
    clock = MorningClock()
    async with Sandbox(NOT_BEFORE_ELEVEN, clock=clock.now) as sandbox:
        result = await _follow(configured(sandbox, published_at=time(8)), clock, follow_until=clock.now())
    assert (result.exit, result.calls, clock.pauses) == (75, 12, [])


async def test_pending_at_the_end(database: Database, configured: Configured) -> None:
    clock = MorningClock()
    async with Sandbox(World(size=3, published_at=time(13)), clock=clock.now) as sandbox:
        result = await _follow(configured(sandbox, published_at=time(8)), clock)
    assert (result.exit, result.outcomes[Outcome.PENDING]) == (75, 3)
    assert clock.now() - NOON < timedelta(minutes=1)


async def test_history_comes_after_the_newest_days(database: Database, configured: Configured) -> None:
    clock, old = MorningClock(), NEWEST - 60 * ONE_DAY

    async def look() -> None:
        assert min(call.begin_date for call in sandbox.calls if call.begin_date) >= str(NEWEST - 7 * ONE_DAY)

    clock.in_pause = look
    async with Sandbox(NOT_BEFORE_ELEVEN, clock=clock.now) as sandbox:
        await _follow(configured(sandbox, since=old, published_at=time(8)), clock)
    assert len(clock.pauses) >= 17  # from 08:00 to 11:00
    assert min(day for _, day in await stored(database)) <= str(old)


async def test_nothing_is_held_between_rounds(database: Database, configured: Configured) -> None:
    """No lease, no task; yet the ledger doesn't take the run for dead, whoever begins another one meanwhile."""
    clock, seen = MorningClock(), []

    async def look() -> None:
        await runs.begin(database, "another", command="run", version="1", accounts=1)
        await runs.end(database, RunResult("another", 0.0, dict.fromkeys(Outcome, 0), 0))
        records = {record.run: record for record in await runs.read_runs(database, 9)}
        del records["another"]
        seen.append(([*await live_runs(database)], [(each.status, each.at_work) for each in records.values()]))

    clock.in_pause = look
    async with Sandbox(NOT_BEFORE_ELEVEN, clock=clock.now) as sandbox:
        result = await _follow(configured(sandbox, published_at=time(8)), clock)
    assert result.error is None
    assert set(map(str, seen)) == {str(([], [("running", True)]))}
    record = await runs.read_run(database, result.run)
    assert record
    assert (record.status, record.calls, record.at_work) == ("ok", result.calls, False)


async def test_other_run_of_the_same_accounts(database: Database, configured: Configured) -> None:
    """A round that finds the lease taken is skipped, and the next one is made."""
    clock, pauses = MorningClock(), count()
    other = AsyncExitStack()

    async def hold() -> None:
        match next(pauses):
            case 0:
                await other.enter_async_context(lease(database, "another", "backfill"))
            case 1:
                await other.aclose()

    clock.in_pause = hold
    async with Sandbox(NOT_BEFORE_ELEVEN, clock=clock.now) as sandbox:
        result = await _follow(configured(sandbox, published_at=time(8)), clock)
    assert next(pauses) > 2
    assert (result.exit, result.outcomes[Outcome.OK]) == (0, 6)


async def test_other_run_before_the_first_round(database: Database, configured: Configured) -> None:
    clock = MorningClock()
    async with Sandbox(NOT_BEFORE_ELEVEN, clock=clock.now) as sandbox, lease(database, "another", "backfill"):
        with pytest.raises(LeaseHeldError):
            await _follow(configured(sandbox, published_at=time(8)), clock)


async def test_other_run_until_the_end(database: Database, configured: Configured) -> None:
    """The result is that of the rounds before."""
    clock = MorningClock()
    async with AsyncExitStack() as other:

        async def hold() -> None:
            clock.in_pause = None
            await other.enter_async_context(lease(database, "another", "backfill"))

        clock.in_pause = hold
        async with Sandbox(NOT_BEFORE_ELEVEN, clock=clock.now) as sandbox:
            result = await _follow(configured(sandbox, published_at=time(8)), clock)
    assert (result.exit, result.outcomes[Outcome.PENDING]) == (75, 6)
    record = await runs.read_run(database, result.run)
    assert record
    assert record.status == "pending"


async def test_stop_in_a_pause(database: Database, configured: Configured) -> None:
    clock, stop = MorningClock(), Stop()

    async def halt() -> None:
        stop.set(signal.SIGTERM)

    clock.in_pause = halt
    async with Sandbox(NOT_BEFORE_ELEVEN, clock=clock.now) as sandbox:
        result = await _follow(configured(sandbox, published_at=time(8)), clock, stop)
    assert result.exit == 143
    assert clock.now() - EIGHT < timedelta(minutes=12)
    record = await runs.read_run(database, result.run)
    assert record
    assert (record.status, record.exit) == ("stopped", 143)


async def test_failure_of_an_earlier_round(database: Database, configured: Configured) -> None:
    """It is tried again in the last round, and stays unless that mends it."""
    world, clock = NOT_BEFORE_ELEVEN, MorningClock()
    mended, broken = (account.appid for account in world.accounts[:2])
    codes = {mended: 40164, broken: 40164}

    async def mend() -> None:
        codes.pop(mended, None)

    clock.in_pause = mend
    async with Sandbox(world, clock=clock.now, faults=Faults(broken=codes)) as sandbox:
        result = await _follow(configured(sandbox, published_at=time(8)), clock)
    assert (result.exit, [failure.account for failure in result.failures]) == (3, [broken])
    assert result.outcomes == {Outcome.OK: 5, Outcome.PENDING: 0, Outcome.FAILED: 1, Outcome.SKIPPED: 0}


async def test_failed_account_keeps_nobody_waiting(database: Database, configured: Configured) -> None:
    world, clock = World(size=3), MorningClock()
    async with Sandbox(world, clock=clock.now, faults=Faults(broken={world.accounts[0].appid: 40164})) as sandbox:
        result = await _follow(configured(sandbox, published_at=time(8)), clock)
    assert (result.exit, clock.pauses) == (3, [])


async def test_account_with_few_calls_a_day(database: Database, configured: Configured) -> None:
    """It is asked in the first round and in the last one."""
    clock = MorningClock()
    async with Sandbox(NOT_BEFORE_ELEVEN, clock=clock.now) as sandbox:
        settings = configured(sandbox, published_at=time(8))
        few, many = (
            replace(account, daily_calls=calls) for account, calls in zip(settings.accounts[:2], (6, 99), strict=True)
        )
        result = await _follow(replace(settings, accounts=(few, many)), clock)
    calls = Counter(call.appid for call in sandbox.calls if call.path == CUMULATE)
    assert (result.exit, calls[few.appid]) == (0, 2)
    assert calls[many.appid] > 10


async def test_newer_day_in_between(database: Database, configured: Configured) -> None:
    """All accounts are asked for it, also those that had the older one."""
    clock = MorningClock(EIGHT - timedelta(minutes=5))
    async with Sandbox(World(size=4), clock=clock.now) as sandbox:
        settings = configured(sandbox, published_at=time(7, 50))
        result = await _follow(settings, clock)
        assert {day for _, day in await stored(database)} >= {str(NEWEST)}
    assert (result.exit, len(clock.pauses)) == (0, 1)


async def test_rate_holds_over_rounds(database: Database, configured: Configured) -> None:
    """Rounds under the same lease follow one another at once."""
    world, clock = World(size=1, published_at=time(11)), MorningClock()
    async with Sandbox(world, clock=clock.now) as sandbox:
        settings = configured(sandbox, published_at=time(8))
        slow = replace(settings.accounts[0], rate_limit=Rate(2, 1), daily_calls=6)  # few, so there is no pause
        await _follow(replace(settings, accounts=(slow,)), clock)
    arrived_s = [call.arrived_s for call in sandbox.calls if call.path in (SUMMARY, CUMULATE)]
    assert len(arrived_s) > 2
    assert min(after - before for before, after in pairwise(arrived_s)) > 0.45


async def test_waits_ordered_in_the_run_are_kept(database: Database, configured: Configured) -> None:
    """With `ignore_waits` those of earlier runs are over, and no others."""
    world, clock = World(size=1), MorningClock()
    async with Sandbox(world, clock=clock.now, faults=Faults(broken={world.accounts[0].appid: 45009})) as sandbox:
        settings = configured(sandbox, published_at=time(8))
        await run(settings, clock)
        await _follow(settings, clock, ignore_waits=True)
    assert [call.errcode for call in sandbox.calls].count(45009) == 2 * 2  # each dataset once in each run


async def test_stop_while_a_round_waits_for_another_run(database: Database, configured: Configured) -> None:
    clock, stop = MorningClock(), Stop()
    async with AsyncExitStack() as other:

        async def hold() -> None:
            await other.enter_async_context(lease(database, "another", "backfill"))
            asyncio.get_running_loop().call_later(0.3, stop.set, signal.SIGTERM)

        clock.in_pause = hold
        async with Sandbox(NOT_BEFORE_ELEVEN, clock=clock.now) as sandbox:
            result = await _follow(configured(sandbox, published_at=time(8)), clock, stop, wait_s=60)
    assert result.exit == 143
    record = await runs.read_run(database, result.run)
    assert record
    assert (record.status, record.exit) == ("stopped", 143)


async def test_ledger_while_another_run_takes_long(database: Database, configured: Configured) -> None:
    """A run whose rounds are skipped isn't dead."""
    clock, pauses, seen = MorningClock(), count(), []
    async with AsyncExitStack() as other:

        async def hold() -> None:
            match next(pauses):
                case 0:
                    await other.enter_async_context(lease(database, "another", "backfill"))
                case 1:
                    seen.extend([(record.status, record.at_work) for record in await runs.read_runs(database, 1)])
                    await other.aclose()
            long_ago = datetime(2026, 11, 24, tzinfo=UTC) - timedelta(days=3650)
            await database[runs.RUNS].update_many({}, {"$set": {"pauses_until": long_ago}})

        clock.in_pause = hold
        async with Sandbox(NOT_BEFORE_ELEVEN, clock=clock.now) as sandbox:
            await _follow(configured(sandbox, published_at=time(8)), clock)
    assert seen == [("running", True)]


def _unreachable_in(rounds: range, seen: list[frozenset[str] | None]) -> Work:
    """Return the work of a run in one process, in some rounds of which no account gets a connection to WeChat."""
    numbers = count()

    async def work(run: Run) -> None:
        seen.append(run.only)
        if next(numbers) not in rounds:
            await in_one_process(run)
            return
        for account in run.entries:
            if isinstance(account, Account) and (run.only is None or account.appid in run.only):
                failures = (Failure(account.appid, account.name, None, "no connection"),)
                run.tally.add(AccountResult(account, Outcome.FAILED, failures, unreachable=True))
        raise UnreachableError("Could not reach WeChat")

    return work


async def test_outage_in_a_round(database: Database, configured: Configured) -> None:
    """Pending accounts that got no connection in a round are asked again, and their days aren't taken to be there."""
    clock, seen = MorningClock(), list[frozenset[str] | None]()
    async with Sandbox(NOT_BEFORE_ELEVEN, clock=clock.now) as sandbox:
        work = _unreachable_in(range(1, 3), seen)
        result = await _follow(configured(sandbox, published_at=time(8)), clock, work=work)
    assert (result.exit, result.outcomes[Outcome.OK], result.failures) == (0, 6, ())
    assert clock.now() >= EIGHT.replace(hour=11)


async def test_failed_probes_prove_nothing(database: Database, configured: Configured) -> None:
    """Others aren't asked because probes have failed."""
    world, clock, seen = World(size=40, published_at=time(11)), MorningClock(), list[frozenset[str] | None]()
    async with Sandbox(world, clock=clock.now) as sandbox:
        settings = configured(sandbox, published_at=time(8))
        await _follow(settings, clock, work=_unreachable_in(range(1, 3), seen), follow_until=EIGHT_35)
    assert [len(only) <= 8 for only in seen[1:-1] if only is not None] == [True] * 3


def _first_is_pending(run: Run) -> None:
    """Count the first account as pending, whatever came of it."""
    account = run.entries[0]
    assert isinstance(account, Account)
    run.tally.add(AccountResult(account, Outcome.PENDING))


async def test_outage_when_a_newer_day_is_published(database: Database, configured: Configured) -> None:
    """All accounts are asked for it in the next round, also those that had the older one."""
    clock, numbers = MorningClock(EIGHT - timedelta(minutes=15)), count()

    async def work(run: Run) -> None:
        match next(numbers):
            case 0:
                await in_one_process(run)
                _first_is_pending(run)
            case 1:
                raise UnreachableError("Could not reach WeChat")
            case _:
                await in_one_process(run)

    async with Sandbox(World(size=4, sparse=False), clock=clock.now) as sandbox:
        result = await _follow(configured(sandbox, published_at=time(7, 50)), clock, work=work)
        assert len([day for _, day in await stored(database) if day == str(NEWEST)]) == 4
    assert (result.exit, result.error) == (0, None)


async def test_newer_day_at_the_end(database: Database, configured: Configured) -> None:
    """All accounts are asked for it, also those that had the older one."""
    clock, numbers = MorningClock(EIGHT - timedelta(minutes=15)), count()

    async def work(run: Run) -> None:
        await in_one_process(run)
        if not next(numbers):
            _first_is_pending(run)

    async with Sandbox(World(size=4, sparse=False, published_at=time(7)), clock=clock.now) as sandbox:
        settings = configured(sandbox, published_at=time(7, 50))
        await _follow(settings, clock, work=work, follow_until=clock.now() + timedelta(minutes=8))
        assert len([day for _, day in await stored(database) if day == str(NEWEST)]) == 4


async def test_round_asks_each_account_once(database: Database, configured: Configured) -> None:
    """Also those that were probes, when one of these has its day and the others are asked."""
    world, clock, most = World(size=8, published_until=time(10), sparse=False), MorningClock(), list[int]()

    async def look() -> None:
        calls = Counter(call.appid for call in sandbox.calls if call.path == CUMULATE)
        most.append(max(calls.values()))
        sandbox.calls.clear()

    clock.in_pause = look
    async with Sandbox(world, clock=clock.now) as sandbox:
        settings = configured(sandbox, published_at=time(8))
        await _with_the_day_before(sandbox, settings, clock)
        result = await _follow(settings, clock)
    assert (result.exit, set(most)) == (0, {1})


async def test_nothing_is_left_to_the_last_round(database: Database, configured: Configured) -> None:
    """There is none where all accounts are complete, and lack no history."""
    clock, seen = MorningClock(), list[frozenset[str] | None]()
    async with Sandbox(World(size=4, sparse=False), clock=clock.now) as sandbox:
        result = await _follow(configured(sandbox, published_at=time(8)), clock, work=_unreachable_in(range(0), seen))
    assert (result.exit, seen) == (0, [None])
