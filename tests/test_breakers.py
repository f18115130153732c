import pytest
from structlog.testing import capture_logs

from collector.breakers import MAX_FAILURES, POSTPONE_S, PROBE_EVERY_S, CircuitBreaker, HalfOpenBreaker
from collector.errors import CallError, PostponedError


def test_opens_after_failures() -> None:
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


def test_closes_with_a_success() -> None:
    breaker = CircuitBreaker[CallError](max_failures=2)
    for _ in range(2):
        breaker.failed(CallError("failure"))
    breaker.succeeded()
    assert (breaker.is_open, breaker.error) == (False, None)
    breaker.failed(CallError("failure"))
    assert not breaker.is_open


def test_opens_at_once() -> None:
    breaker = CircuitBreaker[CallError]()
    breaker.failed(CallError("failure"), at_once=True)
    assert breaker.is_open


# Half-open


class Server:
    """A server behind a half-open breaker, which is unresponsive at first."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.breaker = HalfOpenBreaker("the vault", lambda: self.now_s)
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


def test_outage_is_logged_once(server: Server) -> None:
    """When the breaker opens, and when it closes, with what happened in between."""
    with capture_logs() as logs:
        server.breaker.succeeded()
        for _ in range(3 * MAX_FAILURES):
            server.ask()
        server.now_s += 2 * PROBE_EVERY_S
        server.ask()
        server.now_s += PROBE_EVERY_S
        server.is_back = True
        assert [server.ask() for _ in range(3)] == ["answer"] * 3
    events = [(log["event"], log["of"]) for log in logs]
    assert events == [("breaker.closed", "the vault"), ("breaker.opened", "the vault"), ("breaker.closed", "the vault")]
    assert (logs[1]["why"], logs[2]["after_s"], logs[2]["calls_refused"]) == ("unresponsive", 45, 6)
