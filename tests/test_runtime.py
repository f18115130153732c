import asyncio
import signal
import time
import traceback
from collections.abc import Awaitable, Callable
from datetime import UTC

import pytest

from collector.errors import CallError, CommandTimeoutError, HostError, PostponedError, StoppedError
from collector.runtime import (
    MAX_FAILURES,
    POSTPONE_S,
    PROBE_EVERY_S,
    CircuitBreaker,
    Clock,
    HalfOpenBreaker,
    LoopLag,
    Once,
    Stop,
    in_background,
)


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


async def test_once_fetches_for_all() -> None:
    source = Source("value")
    once = Once(source.fetch)
    assert await asyncio.gather(*(once.get() for _ in range(5))) == ["value"] * 5
    assert await once.get() == "value"
    assert source.fetched == 1


async def test_once_raises_to_each_its_own() -> None:
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


async def test_once_after_another_error() -> None:
    """An error that says nothing about the value, such as a stop, leaves the fetching to the next caller."""
    once = Once(Source(StoppedError(), "value").fetch)
    with pytest.raises(StoppedError):
        await once.get()
    assert await once.get() == "value"


async def test_once_after_a_cancelled_caller() -> None:
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


async def test_once_forgets_an_error() -> None:
    """An error that may recover leaves the fetching to the next caller, another one doesn't."""
    source = Source(CommandTimeoutError("slow", "wait"), CallError("refused"))
    once = Once(source.fetch)
    for error in (CommandTimeoutError, CallError, CallError):
        with pytest.raises(error):
            await once.get()
    assert source.fetched == 2


def test_breaker_opens_after_failures() -> None:
    breaker = CircuitBreaker[CallError]()
    for number in range(MAX_FAILURES):
        assert not breaker.is_open
        breaker.check()
        breaker.failed(CallError(f"failure {number}"))
    breaker.failed(CallError("one that was in flight"))
    assert breaker.is_open
    raised = []
    for _ in range(2):
        with pytest.raises(CallError, match=f"failure {MAX_FAILURES - 1}") as failed:
            breaker.check()
        raised.append(failed.value)
    assert raised[0] is not raised[1]


def test_breaker_closes_with_a_success() -> None:
    breaker = CircuitBreaker[CallError](max_failures=2)
    for _ in range(2):
        breaker.failed(CallError("failure"))
    breaker.succeeded()
    assert (breaker.is_open, breaker.error) == (False, None)
    breaker.failed(CallError("failure"))
    assert not breaker.is_open


def test_breaker_opens_at_once() -> None:
    breaker = CircuitBreaker[CallError]()
    breaker.failed(CallError("failure"), at_once=True)
    assert breaker.is_open


# Half-open


class Server:
    """A server behind a half-open breaker, which is unresponsive at first."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.breaker = HalfOpenBreaker(lambda: self.now_s)
        self.is_back = False
        self.asked_at: list[float] = []

    def ask(self) -> str:
        """Call it as a source of tokens does, without retries; return the result."""
        try:
            self.breaker.begin()
        except PostponedError as postponed:
            return f"postponed to {postponed.at_s - 1000:g}"
        except CallError as error:
            return str(error)
        self.asked_at.append(self.now_s - 1000)
        if self.is_back:
            self.breaker.succeeded()
            return "answer"
        self.breaker.failed(CallError("unresponsive"))
        return "no answer"


@pytest.fixture
def server() -> Server:
    """A server that is unresponsive, and whose breaker has opened at second 0."""
    server = Server()
    for _ in range(MAX_FAILURES):
        server.ask()
    server.asked_at.clear()
    return server


def test_one_probe_every_15_s(server: Server) -> None:
    """Of many callers in each second, one every 15 seconds gets through, also when all others fail at once."""
    for _ in range(2 * POSTPONE_S):
        for _ in range(10):
            server.ask()
        server.now_s += 1
    assert server.asked_at == list(range(PROBE_EVERY_S, 2 * POSTPONE_S, PROBE_EVERY_S))


def test_postponed_to_the_next_probe(server: Server) -> None:
    assert server.ask() == "postponed to 15"
    server.now_s += 40
    assert [server.ask(), server.ask()] == ["no answer", "postponed to 55"]
    server.now_s += 75
    assert [server.ask(), server.ask()] == ["no answer", "postponed to 120"]


def test_no_postponement_after_two_minutes(server: Server) -> None:
    """Two minutes after the breaker opened, callers fail with the error that opened it."""
    server.now_s += POSTPONE_S
    assert [server.ask(), server.ask()] == ["no answer", "unresponsive"]


@pytest.mark.parametrize("after_s", [PROBE_EVERY_S, 3 * POSTPONE_S])
def test_probe_closes_the_breaker(server: Server, after_s: float) -> None:
    """A probe that succeeds lets all others through; the breaker opens again only after as many failures."""
    server.now_s += after_s
    server.is_back = True
    assert [server.ask() for _ in range(3)] == ["answer"] * 3
    server.is_back = False
    assert [server.ask() for _ in range(MAX_FAILURES)] == ["no answer"] * MAX_FAILURES
    assert server.ask() == f"postponed to {after_s + PROBE_EVERY_S:g}"


def test_lost_probe_isnt_waited_for(server: Server) -> None:
    """A probe without a result, such as a cancelled one, doesn't keep the next one from being made."""
    server.now_s += PROBE_EVERY_S
    server.breaker.begin()
    assert server.ask() == "postponed to 30"
    server.now_s += PROBE_EVERY_S
    assert server.ask() == "no answer"


async def _failed(call: Callable[[], Awaitable[object]]) -> CallError:
    with pytest.raises(CallError) as failed:
        await call()
    return failed.value


def frames(error: BaseException) -> int:
    return sum(1 for _ in traceback.walk_tb(error.__traceback__))


async def test_traceback_of_a_shared_error_doesnt_grow() -> None:
    """A platform or a token server that fails for thousands of accounts doesn't raise one object to them all."""
    once, breaker = Once(Source(CallError("refused")).fetch), CircuitBreaker[CallError](1)
    breaker.failed(CallError("refused"))

    async def check() -> None:
        breaker.check()

    for call in (once.get, check):
        await _failed(call)
        second = frames(await _failed(call))
        for _ in range(3_000):
            last = await _failed(call)
        assert frames(last) == second


async def test_lag_of_a_held_loop() -> None:
    """It is the longest delay, and a loop that is idle has nearly none."""
    lag = LoopLag()
    async with in_background(lag.measure(), name="lag"):
        for held_s in (0.3, 0):
            await asyncio.sleep(0.06)
            time.sleep(held_s)  # noqa: ASYNC251 - holding the loop is the point
    assert lag.max_s >= 0.2
