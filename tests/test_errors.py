import traceback
from collections.abc import Awaitable, Callable

import pytest

from collector.breakers import CircuitBreaker
from collector.errors import CallError
from collector.once import Once


async def _failed(call: Callable[[], Awaitable[object]]) -> CallError:
    with pytest.raises(CallError) as failed:
        await call()
    return failed.value


def _frames(error: BaseException) -> int:
    return sum(1 for _ in traceback.walk_tb(error.__traceback__))


async def test_traceback_of_a_shared_error_doesnt_grow() -> None:
    """A platform or a token server that fails for thousands of accounts doesn't raise one object to them all."""

    async def fetch() -> None:
        raise CallError("refused")

    once, breaker = Once(fetch), CircuitBreaker[CallError](1)
    breaker.failed(CallError("refused"))

    async def check() -> None:
        breaker.check()

    for call in (once.get, check):
        await _failed(call)
        second = _frames(await _failed(call))
        for _ in range(3_000):
            last = await _failed(call)
        assert _frames(last) == second
