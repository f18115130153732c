"""Consequences of errors: waits, scopes, failures."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from collector.errors import BudgetError, CallError, ComponentError, HostError, OriginError, RowError, TransientError
from collector.kinds import CallKind, Reaction, Scope, WaitKind
from collector.model.accounts import Account, Rate, Secret
from collector.model.results import Failure
from collector.model.waits import Wait
from collector.run.reactions import crash_of, failure_of, scope_of, wait_ordered_by
from collector.wechat.errcodes import api_error

NOW = datetime(2026, 11, 24, 3, 7, 30, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 24, 16, tzinfo=UTC)
ACCOUNT = Account("acme", "wx1", Secret("s"), Rate(5, 1))


def error_of(errcode: int, kind: CallKind = CallKind.DATA) -> CallError:
    return api_error(errcode, "x", kind)


@pytest.mark.parametrize(
    ("error", "kind", "until"),
    [
        (error_of(45009), WaitKind.QUOTA, MIDNIGHT),
        (error_of(45009, CallKind.TOKEN), WaitKind.QUOTA, MIDNIGHT),
        (error_of(45009, CallKind.COMPONENT), WaitKind.PLATFORM_QUOTA, MIDNIGHT),
        (BudgetError("used up"), WaitKind.DAILY_CALLS, MIDNIGHT),
        (error_of(45011), WaitKind.RATE, NOW.replace(minute=8, second=0)),
        (error_of(89503), WaitKind.IP_UNCONFIRMED, None),
        (error_of(89506), WaitKind.IP_REFUSED, NOW + timedelta(days=1)),
        (error_of(89507), WaitKind.IP_REFUSED, NOW + timedelta(hours=1)),
    ],
)
def test_waits(error: CallError, kind: WaitKind, until: datetime | None) -> None:
    assert wait_ordered_by(error, NOW) == Wait(kind, until, error.errcode)


@pytest.mark.parametrize(
    ("sent_at", "until"), [(MIDNIGHT - timedelta(seconds=1), MIDNIGHT), (MIDNIGHT, MIDNIGHT + timedelta(days=1))]
)
def test_quota_is_of_the_day_of_sending(sent_at: datetime, until: datetime) -> None:
    """The answer comes a second after Beijing's midnight."""
    error = error_of(45009)
    error.sent_at = sent_at
    assert wait_ordered_by(error.copy(), MIDNIGHT + timedelta(seconds=1)) == Wait(WaitKind.QUOTA, until, 45009)


@pytest.mark.parametrize("errcode", [-1, 40001, 40013, 42006, 42007, 48001, 40002, 61503, 99999])
def test_no_wait(errcode: int) -> None:
    assert wait_ordered_by(error_of(errcode), NOW) is None


@pytest.mark.parametrize(
    ("error", "scope"),
    [
        (error_of(61503), Scope.WINDOW),
        (error_of(61503, CallKind.TOKEN), Scope.WINDOW),
        (RowError("no date"), Scope.WINDOW),
        (error_of(-1), Scope.DATASET),
        (error_of(48001), Scope.DATASET),
        (error_of(61501), Scope.DATASET),
        (error_of(99999), Scope.DATASET),
        (error_of(45009), Scope.DATASET),
        (BudgetError("used up"), Scope.DATASET),
        (error_of(45009, CallKind.TOKEN), Scope.ACCOUNT),
        (error_of(99999, CallKind.COMPONENT), Scope.ACCOUNT),
        (TransientError("HTTP 502", kind=CallKind.TOKEN), Scope.ACCOUNT),
        (OriginError("the file is gone", "bring it back"), Scope.ACCOUNT),
        (error_of(40001), Scope.ACCOUNT),
        (error_of(40013), Scope.ACCOUNT),
        (error_of(42007), Scope.ACCOUNT),
        (error_of(45011), Scope.ACCOUNT),
        (error_of(89503), Scope.ACCOUNT),
        (error_of(89506), Scope.ACCOUNT),
        (ComponentError("wxp", "agency", error_of(61005)), Scope.PLATFORM),
    ],
)
def test_scope(error: CallError, scope: Scope) -> None:
    assert scope_of(error) is scope


def test_what_is_no_failure() -> None:
    """Days stay pending without a failure for waits and for days that aren't published yet."""
    harmless = {reaction for reaction in Reaction if not reaction.is_failure}
    assert harmless == {reaction for reaction in Reaction if reaction.wait} | {Reaction.NOT_YET}


def test_reactions_are_distinct() -> None:
    """Two rows of the same value would be one member of the enum."""
    assert len({reaction.label for reaction in Reaction}) == len(Reaction) == 15


def test_wait_kinds() -> None:
    """The values are those of `--json`; they never change."""
    assert [str(kind) for kind in WaitKind] == [
        "quota",
        "platform_quota",
        "daily_calls",
        "not_before",
        "rate",
        "ip_refused",
        "ip_unconfirmed",
    ]
    assert {kind for kind in WaitKind if kind.is_stored} == {
        WaitKind.QUOTA,
        WaitKind.PLATFORM_QUOTA,
        WaitKind.IP_REFUSED,
    }
    assert {kind for kind in WaitKind if kind.is_own_limit} == {WaitKind.DAILY_CALLS}
    assert {kind for kind in WaitKind if not kind.outlasts_run} == {WaitKind.RATE, WaitKind.IP_UNCONFIRMED}


def test_failure_of_an_account() -> None:
    error = api_error(48001, "api unauthorized rid: 6724b89c-1cea5696-76c26805", CallKind.DATA)
    assert failure_of(ACCOUNT, "user_summary", error, 3) == Failure(
        "wx1", "acme", "user_summary", "api unauthorized", 48001, "6724b89c-1cea5696-76c26805", error.hint, 3
    )


def test_failure_of_a_platform() -> None:
    error = ComponentError("wxp", "agency", error_of(61005, CallKind.COMPONENT))
    assert failure_of(ACCOUNT, None, error) == Failure("wxp", "agency", None, "x", 61005, None, error.hint)


def test_unreachable() -> None:
    """A host counts only on the route that most accounts take, for a platform's calls as well."""
    common, own = HostError("no answer"), HostError("no answer")
    own.unreachable = False
    errors = [common, own, *(ComponentError("wxp", "agency", error) for error in (common, own))]
    assert [error.unreachable for error in errors] == [True, False, True, False]
    assert not any(error.unreachable for error in (TransientError("HTTP 502"), error_of(-1)))


def test_crash_of_an_account() -> None:
    """The message names the kind of the error alone: its text may hold a secret."""
    assert crash_of(ACCOUNT, KeyError("s3cret"), windows=3) == Failure(
        "wx1",
        "acme",
        None,
        "the collector failed on this account (KeyError)",
        hint="this is a mistake of the collector: please report it with the log",
        windows=3,
    )
    assert crash_of(ACCOUNT, KeyError()).windows == 0
