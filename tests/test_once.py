import asyncio

import pytest

from collector.errors import CallError, CommandTimeoutError, HostError, StoppedError
from collector.once import Once


class Source:
    """A value that takes a moment, or an error; it counts how often it is fetched."""

    def __init__(self, *results: str | Exception) -> None:
        self.results = list(results)
        self.fetched = 0

    async def fetch(self) -> str:
        self.fetched += 1
        await asyncio.sleep(0)
        result = self.results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result


async def test_fetches_for_all() -> None:
    source = Source("value")
    once = Once(source.fetch)
    assert await asyncio.gather(*(once.get() for _ in range(5))) == ["value"] * 5
    assert await once.get() == "value"
    assert source.fetched == 1


async def test_raises_to_each_its_own() -> None:
    """Every caller gets the same error as an object of its own, so that none can change it for another."""
    trouble = HostError("no answer", hint="look")
    trouble.unreachable = False
    source = Source(trouble)
    once = Once(source.fetch)
    failed = await asyncio.gather(*(once.get() for _ in range(5)), return_exceptions=True)
    assert len({id(error) for error in failed}) == 5
    assert [(type(error), str(error), vars(error)) for error in failed if isinstance(error, HostError)] == [
        (HostError, "no answer", vars(trouble))
    ] * 5
    assert source.fetched == 1


async def test_after_another_error() -> None:
    """An error that says nothing about the value, such as a stop, leaves the fetching to the next caller."""
    once = Once(Source(StoppedError(), "value").fetch)
    with pytest.raises(StoppedError):
        await once.get()
    assert await once.get() == "value"


async def test_after_a_cancelled_caller() -> None:
    gate, fetched = asyncio.Event(), 0

    async def fetch() -> str:
        nonlocal fetched
        fetched += 1
        await gate.wait()
        return "value"

    once = Once(fetch)
    first, second = asyncio.create_task(once.get()), asyncio.create_task(once.get())
    await asyncio.sleep(0)
    first.cancel()
    gate.set()
    assert await second == "value"
    assert (first.cancelled(), fetched) == (True, 2)


async def test_forgets_an_error() -> None:
    """An error that may recover leaves the fetching to the next caller, another one doesn't."""
    source = Source(CommandTimeoutError("slow", "wait"), CallError("refused"))
    once = Once(source.fetch)
    for error in (CommandTimeoutError, CallError, CallError):
        with pytest.raises(error):
            await once.get()
    assert source.fetched == 2
