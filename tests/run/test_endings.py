"""The scopes that end with an error, and the waits that later runs keep."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from support import FAST

from collector.completeness.datasets import CUMULATE, DATASETS, SUMMARY
from collector.errors import BudgetError, HostError, RowError
from collector.kinds import CallKind, WaitKind
from collector.model.accounts import Account, Secret
from collector.model.results import Notice
from collector.model.waits import Wait
from collector.run.endings import Endings
from collector.wechat.errcodes import api_error

ACCOUNT = Account("a", "wx0000000000000001", Secret("x"), FAST)
NOW = datetime(2026, 11, 24, 2, 30, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 24, 16, tzinfo=UTC)


@pytest.fixture
def endings() -> Endings:
    return Endings(ACCOUNT)


def test_nothing_has_ended(endings: Endings) -> None:
    assert not endings
    assert all(map(endings.wants, DATASETS))
    assert (endings.failed, endings.notices, endings.datasets) == ({}, {}, frozenset())
    assert not endings.account_has_ended
    assert not endings.is_unreachable


def test_failed_window_ends_nothing(endings: Endings) -> None:
    """The first error of its dataset is told."""
    first, second = RowError("first"), RowError("second")
    for error in (first, second):
        assert endings.end(SUMMARY, error, NOW) == ((), None)
    assert not endings
    assert endings.wants(SUMMARY)
    assert (endings.failed, endings.errors) == ({SUMMARY: first}, {SUMMARY: first})


def test_window_not_there_yet_is_no_failure(endings: Endings) -> None:
    endings.end(SUMMARY, api_error(61503, "not yet", CallKind.DATA), NOW)
    assert endings.failed == {}


def test_dataset_ends_alone(endings: Endings) -> None:
    first = api_error(48001, "no", CallKind.DATA)
    for error in (first, api_error(47009, "no", CallKind.DATA)):
        assert endings.end(SUMMARY, error, NOW) == ((), None)
    assert (endings.wants(SUMMARY), endings.wants(CUMULATE)) == (False, True)
    assert endings.errors == {SUMMARY: first}
    assert endings.failed == {SUMMARY: first}
    assert endings.datasets == {SUMMARY}
    assert bool(endings)
    assert not endings.account_has_ended


def test_account_ends_with_all_datasets(endings: Endings) -> None:
    error = api_error(40125, "no", CallKind.TOKEN)
    assert endings.end(None, error, NOW) == ((), None)
    assert not any(map(endings.wants, DATASETS))
    assert endings.errors == dict.fromkeys(DATASETS, error)
    assert (endings.account_has_ended, endings.datasets, endings.failed) == (True, frozenset(DATASETS), {None: error})


def test_quota_of_a_dataset_waits(endings: Endings) -> None:
    """Later runs keep the wait of this dataset; it is no failure."""
    datasets, wait = endings.end(SUMMARY, api_error(45009, "no", CallKind.DATA), NOW)
    assert (list(datasets), wait) == ([SUMMARY], Wait(WaitKind.QUOTA, MIDNIGHT, 45009))
    assert endings.notices == {WaitKind.QUOTA: Notice(ACCOUNT.appid, "a", WaitKind.QUOTA, MIDNIGHT)}
    assert (endings.failed, endings.wants(SUMMARY), endings.wants(CUMULATE)) == ({}, False, True)


def test_refused_ip_keeps_all_datasets_waiting(endings: Endings) -> None:
    datasets, wait = endings.end(SUMMARY, api_error(89507, "no", CallKind.DATA), NOW)
    assert (list(datasets), wait) == (list(DATASETS), Wait(WaitKind.IP_REFUSED, NOW + timedelta(hours=1), 89507))
    assert endings.account_has_ended


def test_own_limit_is_not_stored(endings: Endings) -> None:
    assert list(endings.end(SUMMARY, BudgetError("used up"), NOW)[0]) == []
    assert list(endings.notices) == [WaitKind.DAILY_CALLS]


def test_wait_replaces_no_error(endings: Endings) -> None:
    error = api_error(48001, "no", CallKind.DATA)
    endings.end(SUMMARY, error, NOW)
    endings.wait(SUMMARY, Wait(WaitKind.NOT_BEFORE, MIDNIGHT))
    endings.wait(None, Wait(WaitKind.RATE, None))
    assert endings.failed == {SUMMARY: error}
    assert endings.notices[WaitKind.RATE] == Notice(ACCOUNT.appid, "a", WaitKind.RATE, None)
    assert endings.account_has_ended


@pytest.mark.parametrize(("unreachable", "found"), [(True, True), (False, False)])
def test_only_no_connection_is_unreachable(endings: Endings, unreachable: bool, found: bool) -> None:
    error = HostError("no answer")
    error.reaction, error.unreachable = error.reaction.after_retries, unreachable
    endings.wait(SUMMARY, Wait(WaitKind.RATE, None))
    endings.end(None, error, NOW)
    assert endings.is_unreachable is found


def test_error_of_an_earlier_pass_stays(endings: Endings) -> None:
    error = RowError("malformed")
    endings.take_over({SUMMARY: error})
    assert (endings.failed, endings.errors) == ({SUMMARY: error}, {SUMMARY: error})
    assert endings.wants(SUMMARY)
