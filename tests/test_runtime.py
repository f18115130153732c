import asyncio
import signal
import time
from datetime import UTC

import pytest

from collector.errors import StoppedError
from collector.runtime import Clock, LoopLag, Stop, in_background


async def test_stop_ends_a_wait(stop: Stop) -> None:
    async def wait() -> None:
        async with stop.ends():
            await asyncio.Event().wait()

    waiter = asyncio.create_task(wait())
    await asyncio.sleep(0)
    stop.set(signal.SIGTERM)
    with pytest.raises(StoppedError):
        await waiter
    assert stop.signal == signal.SIGTERM


async def test_no_wait_after_the_stop(stop: Stop) -> None:
    stop.set(signal.SIGINT)
    with pytest.raises(StoppedError):
        async with stop.ends():
            pytest.fail("the body must not run")
    with pytest.raises(StoppedError):
        stop.check()


async def test_body_without_a_stop(stop: Stop) -> None:
    async with stop.ends():
        await asyncio.sleep(0)
    stop.check()
    assert not stop._waits


async def test_grace_after_the_stop(stop: Stop) -> None:
    async with stop.ends(grace_s=60):
        stop.set(signal.SIGTERM)
        await asyncio.sleep(0)


async def test_own_timeout_of_the_body(stop: Stop) -> None:
    with pytest.raises(TimeoutError):
        async with stop.ends():
            raise TimeoutError


async def test_real_clock() -> None:
    clock = Clock()
    before = clock.now()
    await clock.sleep(0)
    assert before.tzinfo is UTC
    assert clock.now() >= before


async def test_lag_of_a_held_loop() -> None:
    """It is the longest delay, and a loop that is idle has nearly none."""
    lag = LoopLag()
    async with in_background(lag.measure(), name="lag"):
        for held_s in (0.3, 0):
            await asyncio.sleep(0.06)
            time.sleep(held_s)  # noqa: ASYNC251 - holding the loop is the point
    assert lag.max_s >= 0.2
