"""What follows from an error: a failure, a wait, or that WeChat is unreachable."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from collector.errors import (
    BudgetError,
    CallError,
    CallKind,
    ComponentError,
    HostError,
    RowError,
    TransientError,
    WaitKind,
)
from collector.model.accounts import Account, Rate, Secret
from collector.model.results import Failure
from collector.run.reactions import failure_of, is_unreachable, wait_ordered_by
from collector.wechat.errcodes import api_error

NOW = datetime(2026, 11, 24, 2, 30, 10, 500, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 24, 16, tzinfo=UTC)
ACCOUNT = Account("acme", "wx1", Secret("s3cret"), Rate(5, 1))


def _refusal(errcode: int) -> CallError:
    return api_error(errcode, "no rid: 5f422231-52120df7-13fcb545", CallKind.DATA)


def _platform(trouble: CallError) -> ComponentError:
    return ComponentError("wxc0", "agency", trouble)


def test_failure_has_the_error_and_its_remedy() -> None:
    error = _refusal(48001)
    rid = "5f422231-52120df7-13fcb545"
    assert failure_of(ACCOUNT, "user_summary", error, 3) == Failure(
        "wx1", "acme", "user_summary", "no", 48001, rid, error.hint, 3
    )
    assert failure_of(ACCOUNT, None, RowError("odd")) == Failure("wx1", "acme", None, "odd")


def test_platforms_failure_has_its_name() -> None:
    error = _platform(TransientError("no list", hint="wait"))
    assert failure_of(ACCOUNT, None, error) == Failure("wxc0", "agency", None, "no list", hint="wait")


@pytest.mark.parametrize(
    ("error", "wait"),
    [
        (_refusal(45009), (WaitKind.QUOTA, MIDNIGHT)),
        (BudgetError("used up"), (WaitKind.DAILY_CALLS, MIDNIGHT)),
        (_refusal(89506), (WaitKind.IP_REFUSED, NOW + timedelta(hours=24))),
        (_refusal(89507), (WaitKind.IP_REFUSED, NOW + timedelta(hours=1))),
        (_refusal(45011), (WaitKind.RATE, datetime(2026, 11, 24, 2, 31, tzinfo=UTC))),
        (_refusal(89503), (WaitKind.IP_UNCONFIRMED, None)),
        (_refusal(48001), None),
        (_refusal(40164), None),
        (_refusal(99999), None),
        (TransientError("reset"), None),
    ],
    ids=str,
)
def test_ordered_waits(error: CallError, wait: tuple[str, datetime | None] | None) -> None:
    """Kind and end of a wait; None where the error is a failure."""
    assert wait_ordered_by(error, NOW) == wait


def test_unreachable_by_the_common_route() -> None:
    """An account's own proxy or host that is gone doesn't mean that WeChat is unreachable."""
    own = HostError("no connection")
    own.is_common = False
    cases = [HostError("no connection"), own, _platform(HostError("none")), _platform(own), _refusal(-1), None]
    assert [is_unreachable(error) for error in cases] == [True, False, True, False, False, False]
