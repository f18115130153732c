"""Queue of accounts that wait for a worker."""

from __future__ import annotations

import asyncio
import signal
from datetime import timedelta

import pytest
from support import FAST, FakeClock

from collector.model.accounts import Account, Secret
from collector.run import queue as module
from collector.run.queue import AccountQueue
from collector.runtime import Stop

A, B, C = (Account(name, f"wx000000000000000{name}", Secret("x"), FAST) for name in "abc")


@pytest.fixture
def queue(clock: FakeClock, stop: Stop) -> AccountQueue:
    return AccountQueue(2, clock=clock, stop=stop)


async def _taken(found: AccountQueue) -> list[tuple[int, str]]:
    """Take all that wait, each after the one before is done."""
    names = []
    while turn := await found.get():
        names.append((turn[0], turn[1].name))
        found.task_done(turn[1])
    return names


async def test_first_priority_comes_first(queue: AccountQueue) -> None:
    queue.put(1, [C])
    queue.put(0, [A, B])
    assert await _taken(queue) == [(0, "a"), (0, "b"), (1, "c")]


async def test_nobody_is_at_work_twice(queue: AccountQueue) -> None:
    queue.put(0, [A])
    await queue.get()
    queue.put(0, [A])
    queue.put(1, [B])
    assert await queue.get() == (1, B)
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    assert not waiting.done()
    queue.task_done(A)
    assert await waiting == (0, A)


async def test_postponed_account_comes_last(queue: AccountQueue, clock: FakeClock) -> None:
    """It isn't given out before its time, and nobody who can be asked waits for it."""
    queue.put(0, [A])
    await queue.get()
    queue.put(1, [B])
    queue.postpone(0, A, clock.monotonic() + 15)
    queue.task_done(A)
    assert await _taken(queue) == [(1, "b"), (0, "a")]
    assert clock.slept == [15]


class SlowClock(FakeClock):
    """Clock whose sleeps let others run before the time moves on."""

    async def sleep(self, delay_s: float) -> None:
        await asyncio.sleep(0)
        await super().sleep(delay_s)


async def test_one_worker_sleeps(clock: FakeClock, stop: Stop) -> None:
    """However many wait for an account that was put back, time passes once."""
    clock = SlowClock(clock.instant)
    found = AccountQueue(1, clock=clock, stop=stop)
    found.postpone(0, A, clock.monotonic() + 15)
    async with asyncio.TaskGroup() as group:
        workers = [group.create_task(_taken(found)) for _ in range(4)]
    assert [turn for worker in workers for turn in worker.result()] == [(0, "a")]
    assert clock.slept == [15]


async def test_account_is_postponed_again(queue: AccountQueue, clock: FakeClock) -> None:
    queue.put(0, [A])
    for slept in ([], [15], [15, 15]):
        assert await queue.get() == (0, A)
        assert clock.slept == slept
        queue.postpone(0, A, clock.monotonic() + 15)
        queue.task_done(A)


async def test_others_at_work_are_no_time_to_sleep(queue: AccountQueue, clock: FakeClock) -> None:
    """A worker that waits for an account at work doesn't let time pass, even where that account is postponed."""
    queue.postpone(0, A, clock.monotonic() - 1)
    assert await queue.get() == (0, A)
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.postpone(0, A, clock.monotonic() - 1)
    await asyncio.sleep(0)
    assert not waiting.done()
    queue.task_done(A)
    assert await waiting == (0, A)
    assert clock.slept == []


async def test_stop_ends_the_sleep(clock: FakeClock, stop: Stop) -> None:
    class Endless(FakeClock):
        async def sleep(self, delay_s: float) -> None:
            await asyncio.Event().wait()

    found = AccountQueue(1, clock=Endless(clock.instant), stop=stop)
    found.postpone(0, A, clock.monotonic() + 15)
    waiting = asyncio.create_task(found.get())
    await asyncio.sleep(0)
    stop.set(signal.SIGTERM)
    assert await waiting == (0, A)


async def test_stop_ends_postponement(queue: AccountQueue, clock: FakeClock, stop: Stop) -> None:
    queue.postpone(0, A, clock.monotonic() + 15)
    stop.set(signal.SIGTERM)
    assert await _taken(queue) == [(0, "a")]
    assert clock.slept == []


async def test_waiting_worker_looks_again(clock: FakeClock, stop: Stop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that waits for others asks now and then whether there is new work."""
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.001)
    looks = 0

    def bring_work() -> None:
        nonlocal looks
        looks += 1
        if looks == 4:
            found.put(0, [B])

    found = AccountQueue(1, clock=clock, stop=stop, before_get=bring_work)
    found.put(0, [A])
    assert await found.get() == (0, A)  # and it stays at work
    assert await found.get() == (0, B)


async def test_waiting_and_at_work(queue: AccountQueue) -> None:
    """An account waits, then is at work, by its priority, until it is done."""

    def seen() -> list[tuple[bool, bool]]:
        return [(queue.has_waiting(priority), queue.has_at_work(priority)) for priority in range(2)]

    queue.put(1, [A])
    assert seen() == [(False, False), (True, False)]
    await queue.get()
    assert seen() == [(False, False), (False, True)]
    queue.task_done(A)
    assert seen() == [(False, False)] * 2


async def test_ready_account(queue: AccountQueue, clock: FakeClock) -> None:
    """One that waits is ready, unless it is at work or postponed."""
    assert not queue.has_ready(0)
    queue.put(0, [A, B])
    assert (queue.has_ready(0), queue.has_ready(1)) == (True, False)
    await queue.get()
    queue.put(0, [A])
    assert queue.has_ready(0)
    await queue.get()
    assert not queue.has_ready(0)
    queue.postpone(1, C, clock.monotonic() + 15)
    assert not queue.has_ready(1)
    clock.instant += timedelta(seconds=15)
    assert queue.has_ready(1)


async def test_cleared_queue_is_empty(queue: AccountQueue, clock: FakeClock) -> None:
    queue.put(0, [A])
    queue.postpone(1, B, clock.monotonic() + 15)
    queue.clear()
    queue.put(0, [B])  # its wait is forgotten, too
    assert await _taken(queue) == [(0, "b")]
    assert clock.slept == []
