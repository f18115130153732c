import asyncio
import signal
import time
from itertools import pairwise

import pytest
from support import FakeClock

from collector.errors import StoppedError
from collector.model.accounts import Rate
from collector.runtime import Stop
from collector.wechat.limits import Limiter, _throttler

FAST = Rate(200, 1)


@pytest.fixture
def limiter(stop: Stop, clock: FakeClock) -> Limiter:
    return Limiter(FAST, stop=stop, clock=clock)


async def test_calls_are_paced(limiter: Limiter) -> None:
    async def call() -> float:
        await limiter.acquire()
        return time.monotonic()

    times = sorted(await asyncio.gather(*(call() for _ in range(8))))
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert min(gaps) >= FAST.spacing_s * 0.99


async def test_one_sleep_for_a_turn(stop: Stop, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The throttler alone would be polled fifty times a spacing."""
    limiter, sleeps, sleep = Limiter(Rate(20, 1), stop=stop, clock=clock), [], asyncio.sleep

    async def counted(delay_s: float) -> None:
        sleeps.append(delay_s)
        await sleep(delay_s)

    monkeypatch.setattr(asyncio, "sleep", counted)
    await limiter.acquire()
    await limiter.acquire()
    assert len(sleeps) == 1
    assert 0 < sleeps[0] <= 0.051


@pytest.mark.parametrize(("rate", "room_s"), [(Rate(1000, 1), 0.001), (Rate(5, 1), 0.002), (Rate(1, 60), 0.6)])
def test_turn_is_never_early(rate: Rate, room_s: float, stop: Stop, clock: FakeClock) -> None:
    assert Limiter(rate, stop=stop, clock=clock)._room_s == pytest.approx(room_s)


async def test_slow_down(limiter: Limiter, clock: FakeClock) -> None:
    before = await limiter.acquire()
    assert limiter.slow_down(before)
    assert await limiter.acquire() == 1
    assert clock.slept == [50]  # from 10:30:10 to 10:31:00
    assert limiter._spacing_s == FAST.spacing_s * 2


async def test_slow_down_pauses_the_next_call(stop: Stop, clock: FakeClock) -> None:
    limiter = Limiter(Rate(1_000_000, 1), stop=stop, clock=clock)
    limiter.slow_down(await limiter.acquire())
    await asyncio.sleep(0.001)  # by the rate alone the turn has come long ago
    assert await limiter.acquire() == 1
    assert clock.slept == [50]


async def test_calls_refused_together_slow_once(limiter: Limiter) -> None:
    before = await limiter.acquire()
    assert [limiter.slow_down(before) for _ in range(4)] == [True] * 4
    assert limiter.slowdowns == 1


async def test_waiting_call_keeps_the_pause(stop: Stop, clock: FakeClock) -> None:
    limiter = Limiter(Rate(4, 1), stop=stop, clock=clock)
    before = await limiter.acquire()
    waiter = asyncio.create_task(limiter.acquire())
    await asyncio.sleep(0.01)  # it polls the throttler by now
    limiter.slow_down(before)
    assert await waiter == 1
    assert clock.slept == [50]


async def test_fourth_slow_down_is_refused(limiter: Limiter) -> None:
    assert [limiter.slow_down(await limiter.acquire()) for _ in range(4)] == [True, True, True, False]


async def test_slowest_rate(stop: Stop, clock: FakeClock) -> None:
    limiter = Limiter(Rate(1, 60), stop=stop, clock=clock)
    limiter.slow_down(await limiter.acquire())
    assert limiter._spacing_s == 60


async def test_stop_ends_a_turn(stop: Stop, clock: FakeClock) -> None:
    limiter = Limiter(Rate(1, 60), stop=stop, clock=clock)
    await limiter.acquire()
    waiters = [asyncio.create_task(limiter.acquire()) for _ in range(3)]
    await asyncio.sleep(0)
    stop.set(signal.SIGTERM)
    results = await asyncio.gather(*waiters, return_exceptions=True)
    assert [type(result) for result in results] == [StoppedError] * 3


@pytest.mark.parametrize(("spacing_s", "poll_s"), [(0.001, 0.005), (0.2, 0.005), (2.0, 0.04), (60.0, 0.25)])
def test_polling_interval(spacing_s: float, poll_s: float) -> None:
    throttler = _throttler(spacing_s)
    assert throttler.retry_interval == pytest.approx(poll_s)
    assert (throttler.rate_limit, throttler.period) == (1, spacing_s)


@pytest.mark.parametrize(("rate", "text", "spacing_s"), [(Rate(5, 1), "5/s", 0.2), (Rate(30, 60), "30/min", 2.0)])
def test_text_of_a_rate(rate: Rate, text: str, spacing_s: float) -> None:
    assert (str(rate), rate.spacing_s) == (text, spacing_s)
