"""Counts of a run: windows that are left, failures, notices."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from structlog.testing import capture_logs
from support import RecordingWatch

from collector.completeness.plan import NO_ASKS, Plan
from collector.console.progress import Watch
from collector.errors import Fault
from collector.kinds import WaitKind
from collector.model.accounts import Account, BrokenEntry, Rate, Secret
from collector.model.results import AccountResult, Failure, Notice, Outcome
from collector.model.waits import Wait
from collector.run.counts import Counts
from collector.run.tally import Tally
from collector.runtime import Stop
from collector.store.database import Database
from collector.store.held import Held
from collector.store.writer import Writer
from collector.wechat.client import Client

ACCOUNT = Account("a", "wx0000000000000001", Secret("x"), Rate(5, 1))
MIDNIGHT = datetime(2026, 11, 24, 16, tzinfo=UTC)
HELD = Plan((), NO_ASKS, {}, {"user_summary": Wait(WaitKind.NOT_BEFORE, MIDNIGHT)})


@pytest.fixture
def tally() -> Tally:
    found = Tally(Watch())
    found.expect([ACCOUNT])
    found.add(AccountResult(ACCOUNT, Outcome.OK))
    return found


def test_broken_entries_have_failed() -> None:
    """Each counts once, also those without an appid or with the appid of another one."""
    faults = (Fault("a.yaml:1", "`rate_limit` can't be 'x'", "Write 5/s."),)
    entries = [
        BrokenEntry(name, appid, faults) for name, appid in [("b", "wxb"), ("c", "wxb"), ("d", None), ("e", None)]
    ]
    tally = Tally(Watch())
    with capture_logs() as logs:
        tally.expect([ACCOUNT, *entries])
    tally.add(AccountResult(ACCOUNT, Outcome.OK))
    result = tally.result("run", error=None, stopped_by=None)
    assert (result.total, result.outcomes[Outcome.FAILED], result.got_through, result.exit) == (5, 4, 1, 3)
    assert [(each.account, each.name) for each in result.failures] == [
        ("wxb", "b"),
        ("wxb", "c"),
        (None, "d"),
        (None, "e"),
    ]
    assert result.failures[0].hint == "a.yaml:1: `rate_limit` can't be 'x'. Write 5/s."
    assert [log["event"] for log in logs] == ["account.failed"] * 4


def test_broken_entry_in_several_rounds() -> None:
    """Where discovery reads who is there in each round, its failure is told once, and stays new."""
    tally, entry = Tally(Watch()), BrokenEntry("b", "wxb", (Fault("a.yaml:1", "what", "do"),))
    with capture_logs() as logs:
        tally.expect([entry])
        tally.date_broken({"wxb": MIDNIGHT}, {"wxb"})
        tally.begin_round()
        tally.expect([entry])
        tally.date_broken({"wxb": MIDNIGHT}, set())
    (failure,) = tally.result("run", error=None, stopped_by=None).failures
    assert (failure.since, failure.new) == (MIDNIGHT, True)
    assert [log["event"] for log in logs] == ["account.failed"]


def test_broken_entries_alone() -> None:
    tally = Tally(Watch())
    tally.expect([BrokenEntry("b", "wxb", (Fault("a.yaml:1", "what", "do"),))])
    assert tally.result("run", error=None, stopped_by=None).exit == 1


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.SKIPPED])
def test_failed_account_has_no_waits(tally: Tally, outcome: Outcome) -> None:
    """The windows of an account that failed or was skipped don't wait for anything."""
    tally.add(AccountResult(ACCOUNT, outcome))
    tally.note_waits(ACCOUNT, HELD)
    assert tally.result("run", error=None, stopped_by=None).notices == ()


def test_wait_is_noted_beside_that_of_this_run(tally: Tally) -> None:
    """A postponed account notes it with each of its turns; one that outlasts the run is told alone."""
    rate = Notice(ACCOUNT.appid, "a", WaitKind.RATE)
    tally.note(rate)
    for _ in range(2):
        tally.note_waits(ACCOUNT, HELD)
    before = Notice(ACCOUNT.appid, "a", WaitKind.NOT_BEFORE, MIDNIGHT)
    assert tally.result("run", error=None, stopped_by=None).notices == (rate, before)


PLATFORM = Failure("wx00000000000000c0", "agency", None, "the ticket is stale", 61006, hint="renew it", windows=2)
UNREAD_LIST = Failure("wx00000000000000c0", "agency", None, "the list of accounts can't be read", accounts=0)


def _failures(tally: Tally) -> tuple[Failure, ...]:
    return tally.result("run", error=None, stopped_by=None).failures


def test_first_failure_of_a_dataset_stays(tally: Tally) -> None:
    first = Failure(ACCOUNT.appid, "a", "user_summary", "first", windows=1)
    for failure in (first, Failure(ACCOUNT.appid, "a", "user_summary", "second", windows=5)):
        tally.fail(failure, of=ACCOUNT.appid)
    assert _failures(tally) == (first,)


def test_platforms_failure_adds_up(tally: Tally) -> None:
    """A platform's failure is one for all its accounts, with their windows; each account brings its own value."""
    for appid in ("wx1", "wx2", "wx3"):
        tally.fail(replace(PLATFORM), of=appid)
    assert _failures(tally) == (replace(PLATFORM, accounts=3, windows=6),)


def test_failed_accounts_replace_a_failure_without_accounts(tally: Tally) -> None:
    """Failed accounts matter more than a list that only kept new ones from being found."""
    tally.fail(UNREAD_LIST, of=UNREAD_LIST.name)
    tally.fail(replace(PLATFORM), of="wx1")
    assert _failures(tally) == (PLATFORM,)
    tally.fail(replace(PLATFORM), of="wx2")
    assert _failures(tally) == (replace(PLATFORM, accounts=2, windows=4),)


def _of(number: int, **more: Any) -> AccountResult:
    account = Account(f"n{number}", f"wx{number:016}", Secret("x"), Rate(5, 1))
    return AccountResult(account, Outcome.OK, **more)


def test_windows_and_silent_accounts_add_up() -> None:
    watch = RecordingWatch()
    tally = Tally(watch)
    results = [_of(1, silent=True), _of(2), _of(3, silent=True)]
    accounts = [result.account for result in results]
    tally.expect(accounts)
    for result in results:
        tally.add(result)
    tally.has_history(accounts[0])
    assert tally.uncounted(accounts) == accounts[1:]
    tally.leave({accounts[1].appid: 4, accounts[2].appid: 5})
    counted = tally.result("run", error=None, stopped_by=None)
    assert (counted.windows_left, counted.silent) == (4 + 5, ("n1", "n3"))
    assert watch.results == results


def test_failure_of_an_account_is_logged() -> None:
    tally = Tally(Watch())
    failure = Failure("wx1", "a", "user_summary", "no", 48001)
    tally.expect([_of(1).account])
    with capture_logs() as logs:
        tally.add(_of(1, failures=(failure,)))
    assert logs == [{"event": "account.failed", "log_level": "info", **asdict(failure)}]


async def test_refused_state_outside_the_selection(stop: Stop, tally: Tally, database: Database) -> None:
    """Discovery writes states of accounts that aren't selected: their failure is told, and the totals add up."""
    writer = Writer(database, Held(1))
    writer.rejected["wx2"] = "MongoDB rejected its state: no"
    writer.unsaved["wx3"] = 1
    async with Client.opened(timeout_s=1, connections=1, stop=stop) as client:
        tally.attach(client, writer)
        result = tally.result("run", error=None, stopped_by=None)
    assert (result.total, result.outcomes[Outcome.OK]) == (1, 1)
    assert [(failure.account, failure.name) for failure in result.failures] == [("wx2", "wx2")]
    assert result.exit == 3


def test_newer_day_replaces_the_older_one() -> None:
    """Each account counts as it comes out with the newer day, and as before where it has no turn any more."""
    tally = Tally(Watch())
    tally.fail(UNREAD_LIST, of=UNREAD_LIST.name)
    results = [
        _of(
            number,
            failures=(Failure(f"wx{number:016}", f"n{number}", None, "no"),),
            notices=(Notice(f"wx{number:016}", f"n{number}", WaitKind.RATE),),
            ended=frozenset({None}),
            silent=True,
        )
        for number in (1, 2)
    ]
    tally.expect([result.account for result in results])
    for result in results:
        tally.add(replace(result, outcome=Outcome.FAILED))
        tally.has_history(result.account)
    tally.add(_of(1))
    assert tally.uncounted([result.account for result in results]) == [results[0].account]
    assert tally.ended(results[0].account) == frozenset()
    assert tally.ended(results[1].account) == {None}
    left = tally.result("run", error=None, stopped_by=None)
    assert (left.outcomes[Outcome.OK], left.outcomes[Outcome.FAILED], left.total) == (1, 1, 2)
    assert [failure.name for failure in left.failures] == ["n2", "agency"]
    assert ([notice.name for notice in left.notices], left.silent) == (["n2"], ("n2",))


def test_platforms_failure_of_a_newer_day(tally: Tally) -> None:
    """Its accounts count once, however many days they failed."""
    for _ in range(2):
        for number in (1, 2):
            tally.add(replace(_of(number, failures=(PLATFORM,)), outcome=Outcome.FAILED))
    assert [failure.accounts for failure in _failures(tally)] == [2]


async def test_result_has_all_counts(stop: Stop, database: Database) -> None:
    """Those of the client and of the writer; refused and unsaved accounts count as that."""
    tally, results = Tally(Watch()), [_of(number, answered=number == 4) for number in range(1, 5)]
    tally.expect([result.account for result in results])
    for result in results[:3]:
        tally.add(result)
    tally.add(replace(results[3], outcome=Outcome.FAILED))
    writer = Writer(database, Held(1))
    writer.days = 7
    writer.rejected = {
        results[0].account.appid: "MongoDB rejected 2026-11-23: Document failed validation",
        results[1].account.appid: "MongoDB rejected its state: too large",
    }
    writer.unsaved[results[2].account.appid] = 1
    tally.lag.max_s = 0.25
    async with Client.opened(timeout_s=1, connections=1, stop=stop) as client:
        client.calls, client.token_calls, client.retries = 3, 2, 1
        tally.attach(client, writer)
        counted = tally.result("r1", error="gone", stopped_by=15)
    assert (counted.run, counted.error, counted.stopped_by, counted.loop_lag_s) == ("r1", "gone", 15, 0.25)
    assert 0 <= counted.seconds < 60
    assert (counted.calls, counted.token_calls, counted.retries, counted.days) == (3, 2, 1, 7)
    assert dict(counted.outcomes) == {
        Outcome.OK: 0,
        Outcome.PENDING: 0,
        Outcome.FAILED: 3,
        Outcome.SKIPPED: 1,
    }
    assert counted.got_through == 1  # the one that failed, but had an answer
    assert [(failure.name, failure.errmsg, failure.hint) for failure in counted.failures] == [
        (
            "n1",
            "MongoDB rejected 2026-11-23: Document failed validation",
            "look at the document and at the validator of user_daily",
        ),
        ("n2", "MongoDB rejected its state: too large", "MongoDB refused a write: look into its log"),
    ]


def test_result_before_anything_is_open() -> None:
    result = Tally(Watch()).result("r1", error="gone", stopped_by=None)
    assert (result.calls, result.token_calls, result.retries, result.days, result.total) == (0, 0, 0, 0, 0)


def test_history_of_an_account(tally: Tally) -> None:
    """It may be asked where the newest days were, and a dataset is left."""
    other = _of(2).account
    tally.expect([ACCOUNT, other])
    assert not tally.may_ask_history(other)
    tally.add(AccountResult(ACCOUNT, Outcome.FAILED, ended=frozenset({"user_summary"})))
    assert tally.may_ask_history(ACCOUNT)
    tally.add(AccountResult(ACCOUNT, Outcome.FAILED, ended=frozenset({"user_summary", "user_cumulate"})))
    assert not tally.may_ask_history(ACCOUNT)


def test_failure_is_logged_once(tally: Tally) -> None:
    with capture_logs() as logs:
        for dataset in ("user_summary", "user_summary", "user_cumulate"):
            tally.fail(Failure(ACCOUNT.appid, "a", dataset, "no"), of=ACCOUNT.appid)
    assert [log["dataset"] for log in logs] == ["user_summary", "user_cumulate"]


def test_failure_stays_new(tally: Tally) -> None:
    """The account fails once more, for a newer day or elsewhere. A platform's is new if those of its accounts are."""
    new = Failure(ACCOUNT.appid, "a", None, "no", new=True)
    tally.add(AccountResult(ACCOUNT, Outcome.FAILED, (new,)))
    tally.add(AccountResult(ACCOUNT, Outcome.FAILED, (replace(new, new=False),)))
    assert [failure.new for failure in _failures(tally)] == [True]
    for of, is_new in (("wx1", True), ("wx2", False)):
        tally.fail(replace(PLATFORM, new=is_new), of=of)
    tally.take(Counts({"wx3": Outcome.FAILED}, failures={"wx3": [replace(new, account="wx3", new=True)]}))
    tally.take(Counts({"wx3": Outcome.FAILED}, failures={"wx3": [replace(new, account="wx3", new=False)]}))
    assert {failure.account: failure.new for failure in _failures(tally)} == {
        ACCOUNT.appid: True,
        PLATFORM.account: False,
        "wx3": True,
    }
