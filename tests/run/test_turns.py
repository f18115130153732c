"""Lines of accounts that wait for a worker."""

from __future__ import annotations

import asyncio
import signal

import pytest
from support import FAST, FakeClock

from collector.model.accounts import Account, Secret
from collector.run import turns
from collector.run.turns import Turns
from collector.runtime import Stop

A, B, C = (Account(name, f"wx000000000000000{name}", Secret("x"), FAST) for name in "abc")


@pytest.fixture
def two_lines(clock: FakeClock, stop: Stop) -> Turns:
    return Turns(2, clock=clock, stop=stop)


async def _taken(found: Turns) -> list[tuple[int, str]]:
    """Take all that wait, each after the one before is done."""
    names = []
    while turn := await found.take():
        names.append((turn[0], turn[1].name))
        found.done(turn[1])
    return names


async def test_first_line_comes_first(two_lines: Turns) -> None:
    two_lines.add(1, [C])
    two_lines.add(0, [A, B])
    assert await _taken(two_lines) == [(0, "a"), (0, "b"), (1, "c")]


async def test_nobody_is_at_work_twice(two_lines: Turns) -> None:
    two_lines.add(0, [A])
    await two_lines.take()
    two_lines.add(0, [A])
    two_lines.add(1, [B])
    assert await two_lines.take() == (1, B)
    waiting = asyncio.create_task(two_lines.take())
    await asyncio.sleep(0)
    assert not waiting.done()
    two_lines.done(A)
    assert await waiting == (0, A)


async def test_postponed_account_comes_last(two_lines: Turns, clock: FakeClock) -> None:
    """It isn't given out before its time, and nobody who can be asked waits for it."""
    two_lines.add(0, [A])
    await two_lines.take()
    two_lines.add(1, [B])
    two_lines.put_back(0, A, clock.monotonic() + 15)
    two_lines.done(A)
    assert await _taken(two_lines) == [(1, "b"), (0, "a")]
    assert clock.slept == [15]


class SlowClock(FakeClock):
    """Clock whose sleeps let others run before the time moves on."""

    async def sleep(self, delay_s: float) -> None:
        await asyncio.sleep(0)
        await super().sleep(delay_s)


async def test_one_worker_sleeps(clock: FakeClock, stop: Stop) -> None:
    """However many wait for an account that was put back, time passes once."""
    clock = SlowClock(clock.instant)
    found = Turns(1, clock=clock, stop=stop)
    found.put_back(0, A, clock.monotonic() + 15)
    async with asyncio.TaskGroup() as group:
        workers = [group.create_task(_taken(found)) for _ in range(4)]
    assert [turn for worker in workers for turn in worker.result()] == [(0, "a")]
    assert clock.slept == [15]


async def test_account_is_postponed_again(two_lines: Turns, clock: FakeClock) -> None:
    two_lines.add(0, [A])
    for slept in ([], [15], [15, 15]):
        assert await two_lines.take() == (0, A)
        assert clock.slept == slept
        two_lines.put_back(0, A, clock.monotonic() + 15)
        two_lines.done(A)


async def test_others_at_work_are_no_time_to_sleep(two_lines: Turns, clock: FakeClock) -> None:
    """Who waits for an account that has its turn, or has been put back but isn't done, doesn't let time pass."""
    two_lines.put_back(0, A, clock.monotonic() - 1)
    assert await two_lines.take() == (0, A)
    waiting = asyncio.create_task(two_lines.take())
    await asyncio.sleep(0)
    two_lines.put_back(0, A, clock.monotonic() - 1)
    await asyncio.sleep(0)
    assert not waiting.done()
    two_lines.done(A)
    assert await waiting == (0, A)
    assert clock.slept == []


async def test_stop_ends_the_sleep(clock: FakeClock, stop: Stop) -> None:
    class Endless(FakeClock):
        async def sleep(self, delay_s: float) -> None:
            await asyncio.Event().wait()

    found = Turns(1, clock=Endless(clock.instant), stop=stop)
    found.put_back(0, A, clock.monotonic() + 15)
    waiting = asyncio.create_task(found.take())
    await asyncio.sleep(0)
    stop.set(signal.SIGTERM)
    assert await waiting == (0, A)


async def test_stop_ends_postponement(two_lines: Turns, clock: FakeClock, stop: Stop) -> None:
    two_lines.put_back(0, A, clock.monotonic() + 15)
    stop.set(signal.SIGTERM)
    assert await _taken(two_lines) == [(0, "a")]
    assert clock.slept == []


async def test_waiting_worker_looks_again(clock: FakeClock, stop: Stop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that waits for others asks now and then whether there is new work."""
    monkeypatch.setattr(turns, "LOOK_EVERY_S", 0.001)
    looks = 0

    def bring_work() -> None:
        nonlocal looks
        looks += 1
        if looks == 4:
            found.add(0, [B])

    found = Turns(1, clock=clock, stop=stop, before_turn=bring_work)
    found.add(0, [A])
    assert await found.take() == (0, A)  # and it stays at work
    assert await found.take() == (0, B)


async def test_busy_line(two_lines: Turns) -> None:
    """A line is busy while somebody waits in it, or is at work out of it."""
    two_lines.add(1, [A])
    assert (two_lines.is_busy(0), two_lines.is_busy(1)) == (False, True)
    await two_lines.take()
    assert two_lines.is_busy(1)
    two_lines.done(A)
    assert not two_lines.is_busy(1)


async def test_cleared_lines_are_empty(two_lines: Turns, clock: FakeClock) -> None:
    two_lines.add(0, [A])
    two_lines.put_back(1, B, clock.monotonic() + 15)
    two_lines.clear()
    two_lines.add(0, [B])  # its wait is forgotten, too
    assert await _taken(two_lines) == [(0, "b")]
    assert clock.slept == []
