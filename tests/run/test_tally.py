"""Counts of a run: windows that are left, failures, notices."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast

import pytest
from structlog.testing import capture_logs
from support import RecordingWatch

from collector.completeness.plan import Plan, Wait
from collector.console.progress import Watch
from collector.errors import UnreachableError
from collector.model.accounts import Account, Rate, Secret
from collector.model.results import AccountResult, Failure, Notice, Outcome, RunResult
from collector.run.tally import Tally
from collector.store.writer import Writer
from collector.wechat.client import Client
from collector.wechat.session import Access

ACCOUNT = Account("a", "wx0000000000000001", Secret("x"), Rate(5, 1))
OTHER = Account("b", "wx0000000000000002", Secret("x"), Rate(5, 1))
THIRD = Account("c", "wx0000000000000003", Secret("x"), Rate(5, 1))
MIDNIGHT = datetime(2026, 11, 24, 16, tzinfo=UTC)
HELD = Plan((), (), {}, {"user_summary": Wait("not_before", MIDNIGHT)}, 9)


@pytest.fixture
def tally() -> Tally:
    found = Tally(Watch())
    found.expect([ACCOUNT])
    found.add(AccountResult(ACCOUNT, Outcome.OK), history=False)
    return found


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.SKIPPED])
def test_failed_account_has_no_waits(tally: Tally, outcome: Outcome) -> None:
    """The windows of an account that failed or was skipped don't wait for a later run."""
    tally.add(AccountResult(ACCOUNT, outcome), history=False)
    tally.hold(ACCOUNT, HELD)
    result = tally.result("run", error=None, stopped_by=None)
    assert (result.windows_left, result.notices) == (0, ())


@pytest.mark.parametrize(("left", "counted"), [(0, 9), (7, 9), (9, 9), (12, 12)])
def test_window_left_by_both_datasets_counts_once(tally: Tally, left: int, counted: int) -> None:
    tally.hold(ACCOUNT, HELD)
    quota = Notice(ACCOUNT.appid, "a", "quota", MIDNIGHT)
    tally.add(AccountResult(ACCOUNT, Outcome.OK, notices=(quota,), windows_left=left), history=True)
    result = tally.result("run", error=None, stopped_by=None)
    assert result.windows_left == counted
    assert {notice.kind for notice in result.notices} == {"not_before", "quota"}


PLATFORM = Failure("wx00000000000000c0", "agency", None, "the ticket is stale", 61006, hint="renew it", windows=2)
UNREAD_LIST = Failure("wx00000000000000c0", "agency", None, "the list of accounts can't be read", accounts=0)


def _failures(tally: Tally) -> tuple[Failure, ...]:
    return tally.result("run", error=None, stopped_by=None).failures


def test_first_failure_of_a_dataset_stays(tally: Tally) -> None:
    """A dataset may fail with the newest days and again with history."""
    first = Failure(ACCOUNT.appid, "a", "user_summary", "first", windows=1)
    for failure in (first, Failure(ACCOUNT.appid, "a", "user_summary", "second", windows=5)):
        tally.add(AccountResult(ACCOUNT, Outcome.FAILED, (failure,)), history=failure is not first)
    assert _failures(tally) == (first,)


def test_platforms_failure_adds_up(tally: Tally) -> None:
    """A platform's failure is one for all its accounts, with their windows; each account brings its own value."""
    for appid in ("wx1", "wx2", "wx3"):
        tally.fail(replace(PLATFORM), of=appid)
    assert _failures(tally) == (replace(PLATFORM, accounts=3, windows=6),)


def test_failed_accounts_replace_a_failure_without_accounts(tally: Tally) -> None:
    """Failed accounts matter more than a list that only kept new ones from being found."""
    tally.fail(UNREAD_LIST, of=UNREAD_LIST.account)
    tally.fail(replace(PLATFORM), of="wx1")
    assert _failures(tally) == (PLATFORM,)
    tally.fail(replace(PLATFORM), of="wx2")
    assert _failures(tally) == (replace(PLATFORM, accounts=2, windows=4),)


def test_failures_are_logged(tally: Tally) -> None:
    with capture_logs() as logs:
        tally.fail(PLATFORM, of="wx1")
        tally.fail(replace(PLATFORM), of="wx2")
    assert logs == [{"event": "account.failed", "log_level": "info", **asdict(PLATFORM)}]


# Whole results


def _of_three(watch: Watch | None = None) -> Tally:
    tally = Tally(watch or Watch())
    tally.expect([ACCOUNT, OTHER, THIRD])
    return tally


def test_result_before_anything_was_asked() -> None:
    result = _of_three().result("r1", error="MongoDB is unreachable", stopped_by=None)
    assert result == RunResult(
        run="r1",
        seconds=result.seconds,
        outcomes={Outcome.OK: 0, Outcome.PENDING: 0, Outcome.FAILED: 0, Outcome.SKIPPED: 3},
        got_through=0,
        calls=0,
        token_calls=0,
        retries=0,
        days=0,
        failures=(),
        notices=(),
        silent=(),
        windows_left=0,
        error="MongoDB is unreachable",
        stopped_by=None,
    )
    assert 0 <= result.seconds < 60
    stopped = Tally(Watch()).result("r1", error=None, stopped_by=15)
    assert (stopped.total, stopped.stopped_by) == (0, 15)


def test_result_of_a_run() -> None:
    """Failures and notices come in the order of the configuration, those of platforms last."""
    watch = RecordingWatch()
    tally = _of_three(watch)
    failed, quota = Failure(THIRD.appid, "c", None, "no"), Notice(OTHER.appid, "b", "quota", MIDNIGHT)
    results = [
        AccountResult(THIRD, Outcome.FAILED, (PLATFORM, failed)),
        AccountResult(OTHER, Outcome.PENDING, notices=(quota,), answered=True, silent=True, windows_left=2),
        AccountResult(ACCOUNT, Outcome.OK, silent=True),
    ]
    for each in results:
        tally.add(each, history=False)
    first = Failure(ACCOUNT.appid, "a", "user_summary", "late")
    tally.add(AccountResult(ACCOUNT, Outcome.FAILED, (first,), silent=True), history=True)
    tally.count(
        cast(Client, SimpleNamespace(calls=5, token_calls=3, retries=1)),
        cast(Writer, SimpleNamespace(days=7, rejected={}, unsaved=())),
    )
    result = tally.result("r1", error=None, stopped_by=None)
    assert result == RunResult(
        run="r1",
        seconds=result.seconds,
        outcomes={Outcome.OK: 0, Outcome.PENDING: 1, Outcome.FAILED: 2, Outcome.SKIPPED: 0},
        got_through=1,
        calls=5,
        token_calls=3,
        retries=1,
        days=7,
        failures=(first, failed, PLATFORM),
        notices=(quota,),
        silent=("b", "a"),
        windows_left=2,
        error=None,
        stopped_by=None,
    )
    assert watch.results == results


def test_rejected_and_unsaved_documents() -> None:
    """An account whose document MongoDB rejected has failed; one whose days weren't acknowledged is skipped."""
    tally = _of_three()
    for account in (ACCOUNT, OTHER, THIRD):
        tally.add(AccountResult(account, Outcome.OK, answered=True), history=False)
    invalid = "2026-11-23: Document failed validation"
    rejected = {OTHER.appid: "2026-11-23: the disk is full", ACCOUNT.appid: invalid}
    writer = SimpleNamespace(days=7, rejected=rejected, unsaved={THIRD.appid})
    tally.count(cast(Client, SimpleNamespace(calls=5, token_calls=3, retries=1)), cast(Writer, writer))
    result = tally.result("r1", error=None, stopped_by=None)
    assert (result.got_through, result.outcomes[Outcome.FAILED], result.outcomes[Outcome.SKIPPED]) == (0, 2, 1)
    assert [(each.account, each.name, each.errmsg) for each in result.failures] == [
        (ACCOUNT.appid, "a", invalid),
        (OTHER.appid, "b", "2026-11-23: the disk is full"),
    ]
    assert ["validator" in each.hint for each in result.failures] == [True, False]
    assert all(each.hint for each in result.failures)


def test_windows_left_of_several_accounts() -> None:
    tally = _of_three()
    for account in (ACCOUNT, OTHER, THIRD):
        tally.add(AccountResult(account, Outcome.OK, windows_left=1), history=False)
    tally.hold(ACCOUNT, HELD)
    tally.hold(OTHER, HELD)
    tally.add(AccountResult(THIRD, Outcome.OK, windows_left=4), history=True)
    assert tally.result("r1", error=None, stopped_by=None).windows_left == 3 + 9 + 9 + 4


# Who goes on with history


def test_history_needs_an_answer_and_a_dataset() -> None:
    """Accounts that were skipped, or both of whose datasets have ended, don't continue with their history."""
    tally = _of_three()
    tally.add(AccountResult(ACCOUNT, Outcome.OK, ended=frozenset({"user_summary"})), history=False)
    tally.add(AccountResult(OTHER, Outcome.FAILED, ended=frozenset({"user_summary", "user_cumulate"})), history=False)
    assert [tally.can_go_on(account) for account in (ACCOUNT, OTHER, THIRD)] == [True, False, False]
    tally.add(AccountResult(ACCOUNT, Outcome.OK, ended=frozenset({"user_cumulate"})), history=True)
    assert tally.ended(ACCOUNT) == {"user_summary", "user_cumulate"}
    assert tally.ended(THIRD) == set()


@pytest.mark.parametrize(
    ("tried", "workers", "answered", "gives_up"),
    [(2, 1, False, True), (1, 1, False, False), (2, 1, True, False), (3, 64, False, True), (2, 64, False, False)],
)
def test_unreachable_wechat(tried: int, workers: int, answered: bool, gives_up: bool) -> None:
    """Twice as many accounts as workers, or all, without a connection and no answer at all end the run."""
    tally = _of_three()
    for account in (ACCOUNT, OTHER, THIRD)[:tried]:
        tally.add(AccountResult(account, Outcome.FAILED, unreachable=True), history=False)
    client = SimpleNamespace(answered=answered, trouble="timed out")
    access = cast(Access, SimpleNamespace(client=client, route=SimpleNamespace(hosts=("https://a", "https://b"))))
    if not gives_up:
        tally.give_up_if_unreachable(access, workers)
        return
    with pytest.raises(UnreachableError) as error:
        tally.give_up_if_unreachable(access, workers)
    assert str(error.value) == (
        f"WeChat can't be reached: {tried} accounts tried https://a, https://b and none had an answer (timed out). "
        "Check this host's network, the proxy and api.hosts"
    )
