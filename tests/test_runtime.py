import asyncio
import signal
from datetime import UTC

import pytest

from collector.errors import StoppedError
from collector.runtime import Clock, Stop


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


async def test_no_wait_begins_after_the_stop(stop: Stop) -> None:
    stop.set(signal.SIGINT)
    with pytest.raises(StoppedError):
        async with stop.ends():
            pytest.fail("the body must not run")
    with pytest.raises(StoppedError):
        stop.check()


async def test_body_runs_without_a_stop(stop: Stop) -> None:
    async with stop.ends():
        await asyncio.sleep(0)
    stop.check()
    assert not stop._waits


async def test_grace_lets_the_body_continue(stop: Stop) -> None:
    async with stop.ends(grace_s=60):
        stop.set(signal.SIGTERM)
        await asyncio.sleep(0)


async def test_timeout_of_the_body_stays_a_timeout(stop: Stop) -> None:
    with pytest.raises(TimeoutError):
        async with stop.ends():
            raise TimeoutError


async def test_real_clock() -> None:
    clock = Clock()
    before = clock.now()
    await clock.sleep(0)
    assert before.tzinfo is UTC
    assert clock.now() >= before
