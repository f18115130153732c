from datetime import UTC, datetime
from typing import Any

from collector.kinds import WaitKind
from collector.model.results import Failure, Notice, Outcome, RunResult, grouped_by_remedy, grouped_by_wait

MIDNIGHT = datetime(2026, 11, 24, 16, tzinfo=UTC)


def _failure(name: str, errmsg: str, hint: str = "") -> Failure:
    return Failure(f"wx-{name}", name, None, errmsg, hint=hint)


def test_groups_by_remedy() -> None:
    """The largest group comes first, groups of one size in the order of their first failures."""
    a, b, c = _failure("a", "no", "ask"), _failure("b", "ip 1", "allow"), _failure("c", "ip 2", "allow")
    d = _failure("d", "odd")
    assert grouped_by_remedy([a, b, c, d]) == [[b, c], [a], [d]]
    assert grouped_by_remedy([]) == []


def test_remedy_without_a_hint() -> None:
    """The message takes its place, also where it is another failure's hint."""
    assert _failure("a", "ask").remedy == "ask"
    assert len(grouped_by_remedy([_failure("a", "ask"), _failure("b", "no", "ask")])) == 1


def test_groups_by_wait() -> None:
    """Waits of one kind with different ends are apart."""
    a, b = Notice("wx-a", "a", WaitKind.QUOTA, MIDNIGHT), Notice("wx-b", "b", WaitKind.QUOTA)
    c = Notice("wx-c", "c", WaitKind.QUOTA, MIDNIGHT)
    assert grouped_by_wait([b, a, c]) == [[a, c], [b]]


def _exit(**counts: Any) -> tuple[int, str]:
    outcomes = {outcome: counts.pop(outcome, 0) for outcome in Outcome}
    known = {
        "run": "r1",
        "seconds": 1.0,
        "outcomes": outcomes,
        "got_through": outcomes[Outcome.OK] + outcomes[Outcome.PENDING],
    }
    result = RunResult(**(known | counts))
    return result.exit, result.status


def test_exit_code_by_precedence() -> None:
    """A signal comes first, then failures, then pending accounts."""
    assert _exit(ok=1) == (0, "ok")
    assert _exit() == (0, "ok")
    assert _exit(ok=1, pending=1) == (75, "pending")
    assert _exit(ok=1, pending=1, failed=1) == (3, "partial")
    assert _exit(pending=1, failed=1) == (3, "partial")
    assert _exit(failed=1) == (1, "failed")
    assert _exit(failed=1, got_through=1) == (3, "partial")
    assert _exit(ok=1, failed=1, error="MongoDB is gone") == (1, "failed")
    assert _exit(ok=1, error="MongoDB is gone", stopped_by=15) == (143, "stopped")
    assert _exit(failed=1, skipped=1, stopped_by=2) == (130, "stopped")
