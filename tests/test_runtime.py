import asyncio
import signal
from datetime import UTC

import pytest

from collector.errors import StoppedError
from collector.runtime import Clock, Stop


async def test_a_stop_ends_a_wait(stop: Stop) -> None:
    async def wait() -> None:
        async with stop.ends():
            await asyncio.Event().wait()

    waiter = asyncio.create_task(wait())
    await asyncio.sleep(0)
    stop.set(signal.SIGTERM)
    with pytest.raises(StoppedError):
        await waiter
    assert stop.signal == signal.SIGTERM


async def test_after_the_stop_no_wait_begins(stop: Stop) -> None:
    stop.set(signal.SIGINT)
    with pytest.raises(StoppedError):
        async with stop.ends():
            pytest.fail("the body must not run")
    with pytest.raises(StoppedError):
        stop.check()


async def test_without_a_stop_the_body_runs_and_leaves_nothing_behind(stop: Stop) -> None:
    async with stop.ends():
        await asyncio.sleep(0)
    stop.check()
    assert not stop._waits


async def test_a_grace_lets_the_body_go_on(stop: Stop) -> None:
    async with stop.ends(grace_s=60):
        stop.set(signal.SIGTERM)
        await asyncio.sleep(0)


async def test_a_time_out_of_the_body_stays_a_time_out(stop: Stop) -> None:
    with pytest.raises(TimeoutError):
        async with stop.ends():
            raise TimeoutError


async def test_the_real_clock_tells_utc_and_sleeps() -> None:
    clock = Clock()
    before = clock.now()
    await clock.sleep(0)
    assert before.tzinfo is UTC
    assert clock.now() >= before
