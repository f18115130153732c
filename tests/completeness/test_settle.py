from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.completeness.datasets import CUMULATE, DATASETS, QUIET, SUMMARY, fold
from collector.completeness.evidence import (
    Answer,
    answered,
    birth_after_void_days,
    covering,
    is_certain,
    is_quiet,
    missing_rows,
)
from collector.completeness.plan import Asks, Plan, Target, plan
from collector.completeness.settle import MAX_EDGES, Settling
from collector.kinds import WaitKind
from collector.model.accounts import Account, Rate, Secret
from collector.model.days import BEIJING, FIRST_DAY, NO_DAYS, ONE_DAY, Days, Window, beijing_day, newest_published
from collector.model.state import AccountState, Authorizer, DatasetState, Day, Trouble
from collector.model.waits import Wait
from collector.sandbox import World
from collector.sandbox.publication import shown_cumulate, shown_summary

NOTHING = Plan((), Asks({}, NO_DAYS), {}, {})
AUTHORIZER = Authorizer("agency", "Acme")
NEW = AccountState("wx0000000000000001", "a")
NOW = datetime(2015, 10, 23, 4, tzinfo=UTC)
TROUBLE = Trouble("no", 48001, None, "ask", NOW, NOW)
RECORDED = Window(date(2015, 10, 16), date(2015, 10, 22))
Payload = Callable[[str], Any]


def _answers(window: Window, **rows: list[dict[str, Any]]) -> dict[str, Answer]:
    return {name: _answer(name, window, given_rows) for name, given_rows in rows.items()}


def _answer(name: str, window: Window, rows: list[dict[str, Any]]) -> Answer:
    folded = fold(DATASETS[name], rows, window)
    return Answer(window, window, folded.days, Days.of(folded.malformed))


def _settling(newest: date, state: AccountState = NEW, plan_: Plan = NOTHING, **target: Any) -> Settling:
    return Settling(state, plan_, Target(newest, 7, **target))


def _row(day: date, total: int) -> dict[str, Any]:
    return {"ref_date": str(day), "cumulate_user": total}


def _sources(day: date, new: int, cancel: int) -> dict[str, Any]:
    return {"ref_date": str(day), "user_source": 0, "new_user": new, "cancel_user": cancel}


def _days(text: str) -> Days:
    """`"16-19 22"`: days of October 2015."""
    spans = [part.partition("-") for part in text.split()]
    return Days.joined(Window(date(2015, 10, int(begin)), date(2015, 10, int(end or begin))) for begin, _, end in spans)


def test_recorded_pair_of_october_2015(payload: Payload) -> None:
    """Cumulate has seven days, summary three: the four before stand still, so they are zeros."""
    settling = _settling(RECORDED.end)
    rows = {
        SUMMARY: payload("summary_recorded_2015-10_sparse")["list"],
        CUMULATE: payload("cumulate_recorded_2015-10")["list"],
    }
    stored = settling.take(_answers(RECORDED, **rows), NOW)
    inferred = {day.ref_date.day: day.inferred for day in stored}
    assert inferred == {16: {}, **{day: {SUMMARY: QUIET} for day in (17, 18, 19)}, **{day: {} for day in (20, 21, 22)}}
    assert settling.state.dataset(CUMULATE).covered == _days("16-22")
    assert settling.state.dataset(SUMMARY).covered == _days("17-22")
    assert settling.unresolved == {date(2015, 10, 16)}
    assert [
        day.ref_date for day in settling.resolve({date(2015, 10, 16)}, {date(2015, 10, 15): {"cumulate_user": 1}}, NOW)
    ] == [RECORDED.begin]
    assert settling.state.dataset(SUMMARY).covered == _days("16-22")


@pytest.mark.parametrize(("age", "zeros"), [(0, False), (1, False), (2, True)])
def test_quiet_day_is_zeros_from_age_two(age: int, zeros: bool) -> None:
    """Summary may be a day later than cumulate, so younger days wait for their row."""
    day = date(2015, 10, 20)
    settling = _settling(day + age * ONE_DAY)
    window = Window(day - ONE_DAY, day)
    stored = settling.take(_answers(window, user_summary=[], user_cumulate=[_row(d, 7) for d in window]), NOW)
    assert {d.ref_date: d.inferred for d in stored}[day] == ({SUMMARY: QUIET} if zeros else {})
    assert (day in settling.state.dataset(SUMMARY).covered) == zeros


def test_quiet_day_is_zeros_behind_a_later_row() -> None:
    """Summary has published beyond the day, so its row isn't late."""
    window = Window(date(2015, 10, 20), date(2015, 10, 22))
    totals = [_row(day, 7) for day in window]
    stored = _settling(window.end).take(
        _answers(window, user_summary=[_sources(window.end, 0, 0)], user_cumulate=totals), NOW
    )
    assert [day.ref_date.day for day in stored if day.inferred] == [21]


def test_unchanged_total_with_movement(payload: Payload) -> None:
    """2021-04-13: +1 −1, so the total stands still though there was movement."""
    day = date(2021, 4, 13)
    window = Window(day - ONE_DAY, day)
    rows = payload("summary_recorded_2021-04_gap_dates")["list"]
    settling = _settling(day)
    totals = [_row(d, 50) for d in window]
    late = settling.take(_answers(window, user_summary=[], user_cumulate=totals), NOW)
    assert [d.inferred for d in late] == [{}, {}]
    assert day not in settling.state.dataset(SUMMARY).covered
    later = _settling(day + ONE_DAY, settling.state)
    came = later.take(_answers(Window(day, day), user_summary=rows), NOW)
    assert came[0].fields[SUMMARY]["sources"] == [
        {"user_source": 0, "new_user": 0, "cancel_user": 0},
        {"user_source": 17, "new_user": 1, "cancel_user": 1},
    ]


def test_day_whose_total_moved_is_pending() -> None:
    window = Window(date(2015, 10, 10), date(2015, 10, 11))
    settling = _settling(date(2015, 10, 15))
    settling.take(_answers(window, user_summary=[], user_cumulate=[_row(window.begin, 7), _row(window.end, 8)]), NOW)
    assert settling.state.dataset(SUMMARY).covered == NO_DAYS


@pytest.mark.parametrize("newer_first", [True, False])
def test_total_of_the_neighbouring_window(newer_first: bool) -> None:
    """A total at a window's end serves the neighbour, whichever is answered first."""
    newer, older = Window(date(2015, 10, 8), date(2015, 10, 9)), Window(date(2015, 10, 6), date(2015, 10, 7))
    settling = _settling(date(2015, 10, 20))
    inferred: set[int] = set()
    for window in (newer, older) if newer_first else (older, newer):
        answers = _answers(window, user_summary=[], user_cumulate=[_row(day, 7) for day in window])
        inferred |= {day.ref_date.day for day in settling.take(answers, NOW) if day.inferred}
    assert inferred == {7, 8, 9}
    assert settling.unresolved == {date(2015, 10, 6)}


def test_calls_of_the_day_are_noted() -> None:
    """They are noted with answers and without."""
    settling = _settling(RECORDED.end)
    settling.take(_answers(RECORDED, user_summary=[]), NOW)
    settling.count({SUMMARY: (RECORDED.end, 3), CUMULATE: (RECORDED.end, 2)})
    known = [settling.state.dataset(name) for name in DATASETS]
    assert [(dataset.calls_on, dataset.calls) for dataset in known] == [(RECORDED.end, 3), (RECORDED.end, 2)]
    settling.count({CUMULATE: (RECORDED.end, 5)})
    assert settling.state.dataset(CUMULATE).calls == 5


WAIT = Wait(WaitKind.QUOTA, NOW, 45009)


def test_answer_keeps_the_rest_of_a_dataset() -> None:
    """An answer changes nothing that it doesn't prove."""
    before = DatasetState(
        *(_days("1-8"), _days("9"), {date(2015, 10, 20): _days("11")}, date(2015, 10, 14), _days("12"), WAIT),
        *(date(2015, 10, 15), 7, NOW, TROUBLE),
    )
    after = answered(before, _days("8"), _days("8"), today=date(2015, 10, 23), newest=date(2015, 10, 22))
    assert after == before._replace(last_error=None)


def test_answer_keeps_the_rest_of_a_state() -> None:
    before = DatasetState(wait=Wait(WaitKind.NOT_BEFORE, NOW), calls_on=date(2015, 10, 15), calls=7, last_error=TROUBLE)
    account = AccountState("wx1", "a", ("tag",), None, date(2014, 12, 5), {CUMULATE: before}, AUTHORIZER)
    settling = _settling(RECORDED.end, account)
    settling.take(_answers(RECORDED, user_cumulate=[]), NOW)
    after = before._replace(last_success=NOW, last_error=None, empty={beijing_day(NOW): _days("16")})
    assert settling.state == account._replace(datasets={CUMULATE: after})


@pytest.mark.parametrize(
    "before", [DatasetState(void=_days("10")), DatasetState(empty={date(2015, 10, 22): _days("10")})]
)
def test_row_covers_a_void_or_missing_day(before: DatasetState) -> None:
    """A row ends all that missing rows had proved about its day."""
    known = answered(before, _days("10"), _days("10"), today=date(2015, 10, 23), newest=date(2015, 10, 22))
    assert known == DatasetState(covered=_days("10"))


def test_summary_alone_takes_stored_totals() -> None:
    """Without totals in the answers, days are unresolved until the documents give them."""
    covered = DatasetState(covered=_days("6-8"))
    settling = _settling(date(2015, 10, 20), NEW._replace(datasets={CUMULATE: covered}))
    window = Window(date(2015, 10, 6), date(2015, 10, 8))
    assert settling.take(_answers(window, user_summary=[]), NOW) == []
    assert settling.unresolved == set(window)
    stored = {date(2015, 10, day): {"cumulate_user": total} for day, total in ((6, 1), (7, 1), (8, 2))}
    assert [day.ref_date.day for day in settling.resolve(set(window), stored, NOW)] == [7]
    assert settling.unresolved == set()


def test_still_asked_total_comes_first() -> None:
    """No day is resolved from a stored total that this run still asks for: WeChat may have revised it."""
    newer, older = Window(date(2015, 10, 8), date(2015, 10, 14)), Window(date(2015, 10, 1), date(2015, 10, 7))
    datasets = {SUMMARY: DatasetState(covered=_days("1-7")), CUMULATE: DatasetState(covered=_days("1-14"))}
    settling = _settling(date(2015, 10, 22), NEW._replace(datasets=datasets))
    settling.take(_answers(newer, user_summary=[], user_cumulate=[_row(day, 9) for day in newer]), NOW)
    quiet = date(2015, 10, 8)
    assert settling.unresolved == {quiet}
    assert settling.resolvable(_days("1-7")) == set()
    assert settling.resolvable(_days("8")) == set()
    assert settling.resolvable(_days("1-6")) == {quiet}
    revised = [_row(day, 9) for day in older]
    zeros = [day.ref_date for day in settling.take(_answers(older, user_cumulate=revised), NOW) if day.inferred]
    assert (zeros, settling.unresolved) == ([quiet], set())


def test_resolvable_needs_both_stored_totals() -> None:
    """Without the total of the day before, only a later answer resolves a day."""
    settling = _settling(date(2015, 10, 20), NEW._replace(datasets={CUMULATE: DatasetState(covered=_days("6-8"))}))
    window = Window(date(2015, 10, 6), date(2015, 10, 8))
    settling.take(_answers(window, user_summary=[]), NOW)
    assert settling.unresolved == set(window)
    assert settling.resolvable(NO_DAYS) == {date(2015, 10, 7), date(2015, 10, 8)}


def test_late_total_makes_a_void_day_quiet() -> None:
    """A void day of summary is zeros once cumulate shows an unchanged total."""
    void = DatasetState(void=_days("7-8"))
    settling = _settling(date(2015, 10, 22), NEW._replace(datasets={SUMMARY: void}))
    window = Window(date(2015, 10, 6), date(2015, 10, 8))
    stored = settling.take(_answers(window, user_cumulate=[_row(day, 7) for day in window]), NOW)
    assert [day.ref_date.day for day in stored if day.inferred] == [7, 8]
    assert (settling.state.dataset(SUMMARY).covered, settling.state.dataset(SUMMARY).void) == (_days("7-8"), NO_DAYS)


def test_row_of_a_covered_day() -> None:
    """It replaces zeros in the document; the state stays."""
    day = date(2015, 10, 10)
    state = covering(DatasetState(), _days("10"))
    assert answered(state, Days.of([day]), Days.of([day]), today=date(2015, 10, 23), newest=date(2015, 10, 12)) == state


def test_void_after_two_beijing_days() -> None:
    """Two answers of one Beijing day count as one, and the day must be six days old."""
    day = Days.of([date(2015, 10, 10)])
    newest = date(2015, 10, 16)
    once = answered(DatasetState(), day, Days.of([]), today=date(2015, 10, 17), newest=newest)
    assert (once.void, once.empty) == (NO_DAYS, {date(2015, 10, 17): day})
    assert answered(once, day, Days.of([]), today=date(2015, 10, 17), newest=newest) == once
    twice = answered(once, day, Days.of([]), today=date(2015, 10, 18), newest=newest)
    assert (twice.void, twice.empty) == (day, {})
    assert covering(twice, day) == DatasetState(covered=day)


def test_younger_days_stay_pending() -> None:
    young = _days("11-16")
    state = answered(DatasetState(), young, Days.of([]), today=date(2015, 10, 17), newest=date(2015, 10, 16))
    assert state == DatasetState()


def test_zeros_reopen_the_void_days_before() -> None:
    """It perhaps wasn't published yet, when this host's clock was ahead or WeChat late for all days."""
    summary = DatasetState(covered=_days("1-5"), void=_days("6-9"))
    state = NEW._replace(datasets={SUMMARY: summary, CUMULATE: DatasetState(covered=_days("1-9"))})
    settling = _settling(date(2015, 10, 22), state)
    totals = [_row(day, 100) for day in RECORDED]
    settling.take(_answers(RECORDED, **{SUMMARY: [], CUMULATE: totals}), NOW)
    assert settling.state.dataset(SUMMARY).covered & _days("17-20") == _days("17-20")
    assert settling.state.dataset(SUMMARY).void & _days("6-9") == NO_DAYS


def test_lookback_ends_with_its_last_window() -> None:
    lookback = {name: _days("9-22") for name in DATASETS}
    settling = _settling(date(2015, 10, 22), plan_=replace(NOTHING, lookback=lookback))
    newer, older = Window(date(2015, 10, 16), date(2015, 10, 22)), Window(date(2015, 10, 9), date(2015, 10, 15))
    settling.take(_answers(newer, user_summary=[], user_cumulate=[]), NOW)
    assert settling.state.dataset(SUMMARY).refreshed_to is None
    shorter = Answer(older, Window(older.begin, older.end - ONE_DAY), {})
    settling.take({SUMMARY: shorter}, NOW)
    assert settling.state.dataset(SUMMARY).refreshed_to == date(2015, 10, 22)
    assert settling.state.dataset(CUMULATE).refreshed_to is None


def test_birth_at_the_oldest_row() -> None:
    """An account began where its total equals its net, and the day before has missing rows."""
    window = Window(date(2015, 10, 4), date(2015, 10, 8))
    totals = [_row(date(2015, 10, 7), 3), _row(date(2015, 10, 8), 5)]
    summary = [_sources(date(2015, 10, 7), 3, 0), _sources(date(2015, 10, 8), 2, 0)]
    settling = _settling(date(2015, 10, 22))
    settling.take(_answers(window, user_summary=summary, user_cumulate=totals), NOW)
    assert settling.state.born == date(2015, 10, 7)
    assert settling.is_before_birth(Window(date(2015, 9, 27), date(2015, 10, 3)))
    older = _settling(date(2015, 10, 22))
    older.take(_answers(window, user_summary=[_sources(date(2015, 10, 7), 2, 0)], user_cumulate=totals), NOW)
    assert older.state.born is None
    exhaustive = _settling(date(2015, 10, 22), exhaustive=True)
    exhaustive.take(_answers(window, user_summary=summary, user_cumulate=totals), NOW)
    assert exhaustive.state.born is None


def test_no_birth_behind_older_days_or_at_zero() -> None:
    """No birth is found while an older day is stored, or where the first total is 0."""
    first = date(2015, 10, 7)
    window = Window(date(2015, 10, 4), date(2015, 10, 8))
    older = DatasetState(covered=Days.between(date(2015, 1, 1), date(2015, 9, 30)))
    settling = _settling(date(2015, 10, 22), NEW._replace(datasets={CUMULATE: older, SUMMARY: older}))
    settling.take(_answers(window, user_summary=[_sources(first, 3, 0)], user_cumulate=[_row(first, 3)]), NOW)
    assert settling.state.born is None
    nobody = _settling(date(2015, 10, 22))
    nobody.take(_answers(window, user_summary=[_sources(first, 0, 0)], user_cumulate=[_row(first, 0)]), NOW)
    assert nobody.state.born is None


def test_older_row_undoes_the_birth() -> None:
    """A row from before the birth shows that it was wrong."""
    settling = _settling(date(2015, 10, 22), NEW._replace(born=date(2015, 10, 8)))
    window = Window(date(2015, 10, 6), date(2015, 10, 8))
    settling.take(_answers(window, user_summary=[], user_cumulate=[_row(day, 7) for day in window]), NOW)
    assert settling.state.born is None


def test_moved_total_reopens_zeros() -> None:
    """Zeros whose total has moved after all are pending again."""
    day = date(2015, 10, 20)
    window = Window(day - ONE_DAY, day)
    covered = DatasetState(covered=Days.joined([window]))
    settling = _settling(date(2015, 10, 23), NEW._replace(datasets={SUMMARY: covered, CUMULATE: covered}))
    rows = [_row(window.begin, 5), _row(window.end, 9)]
    settling.take(_answers(window, user_summary=[_sources(window.begin, 0, 0)], user_cumulate=rows), NOW)
    assert settling.state.dataset(SUMMARY).covered == Days.of([window.begin])


def test_interrupted_lookback_continues() -> None:
    """Days whose last fetch came late enough aren't asked again."""
    newest = date(2015, 10, 30)
    lookback = {SUMMARY: Days.between(date(2015, 10, 10), newest)}
    settling = _settling(newest, plan_=replace(NOTHING, lookback=lookback))
    settling.take(_answers(Window(date(2015, 10, 17), date(2015, 10, 23)), user_summary=[]), NOW)
    settling.take(_answers(Window(date(2015, 10, 24), newest), user_summary=[]), NOW)
    dataset = settling.state.dataset(SUMMARY)
    assert (dataset.refreshed_to, dataset.looked) == (None, Days.between(date(2015, 10, 17), date(2015, 10, 24)))
    settling.take(_answers(Window(date(2015, 10, 10), date(2015, 10, 16)), user_summary=[]), NOW)
    dataset = settling.state.dataset(SUMMARY)
    assert (dataset.refreshed_to, dataset.looked) == (newest, NO_DAYS)


def test_birth_at_a_window_edge() -> None:
    """The day before the first row may come with the next window."""
    settling = _settling(date(2015, 10, 22))
    first = date(2015, 10, 8)
    row = {SUMMARY: [_sources(first, 4, 1)], CUMULATE: [_row(first, 3)]}
    settling.take(_answers(Window(first, first + 6 * ONE_DAY), **row), NOW)
    assert settling.state.born is None
    settling.take(_answers(Window(first - 7 * ONE_DAY, first - ONE_DAY), user_summary=[], user_cumulate=[]), NOW)
    assert settling.state.born == first


def _voids(begin: date, length: int, first: date) -> AccountState:
    dataset = DatasetState(
        covered=Days.between(first, first + 9 * ONE_DAY), void=Days.between(begin, begin + (length - 1) * ONE_DAY)
    )
    return NEW._replace(datasets={SUMMARY: dataset, CUMULATE: dataset})


def test_birth_behind_28_void_days() -> None:
    first = date(2015, 10, 1)
    assert birth_after_void_days(_voids(first - 28 * ONE_DAY, 28, first)) == first
    assert birth_after_void_days(_voids(first - 28 * ONE_DAY, 27, first)) is None
    assert birth_after_void_days(_voids(first + 20 * ONE_DAY, 40, first)) is None
    assert birth_after_void_days(NEW) is None


def test_history_stops_behind_28_missing_days() -> None:
    """The state isn't changed before a second Beijing day; an exhaustive backfill goes on."""
    first = date(2015, 10, 1)
    settling = _settling(date(2015, 10, 22), NEW._replace(datasets=_voids(first, 0, first).datasets))
    for week in range(4):
        end = first - (1 + 7 * week) * ONE_DAY
        assert not settling.is_before_birth(Window(end - 6 * ONE_DAY, end))
        settling.take(_answers(Window(end - 6 * ONE_DAY, end), user_summary=[], user_cumulate=[]), NOW)
    end = first - 29 * ONE_DAY
    assert settling.is_before_birth(Window(end - 6 * ONE_DAY, end))
    exhaustive = _settling(date(2015, 10, 22), settling.state, exhaustive=True)
    assert not exhaustive.is_before_birth(Window(end - 6 * ONE_DAY, end))


def test_silent_after_14_days_without_a_row() -> None:
    """Only an answer shows it: an account that wasn't asked isn't silent."""
    newest = date(2015, 10, 22)
    window = Window(newest - 6 * ONE_DAY, newest)
    for last, silent in ((newest - 14 * ONE_DAY, True), (newest - 13 * ONE_DAY, False)):
        state = NEW._replace(datasets={CUMULATE: DatasetState(covered=Days.of([last]))})
        settling = _settling(newest, state)
        assert not settling.is_silent
        settling.take(_answers(window, user_summary=[], user_cumulate=[]), NOW)
        assert settling.is_silent == silent


def test_failure_keeps_its_begin_until_a_success() -> None:
    """`since` of a repeated failure is that of the first."""
    settling = _settling(RECORDED.end)
    later = NOW + ONE_DAY
    settling.fail(SUMMARY, Trouble("no", 48001, None, "ask", NOW, NOW))
    settling.fail(SUMMARY, Trouble("still no", 48001, None, "ask", later, later))
    assert settling.state.dataset(SUMMARY).last_error == Trouble("still no", 48001, None, "ask", NOW, later)
    settling.take(_answers(RECORDED, user_summary=[]), later)
    dataset = settling.state.dataset(SUMMARY)
    assert (dataset.last_error, dataset.last_success) == (None, later)


MALFORMED = {"new_user": None, "cumulate_user": None}


def test_malformed_day_never_becomes_zeros() -> None:
    """Its total is unchanged, and a later row has come: without a row of its own it would be quiet."""
    window = Window(date(2015, 10, 16), RECORDED.end)
    rows = [_sources(date(2015, 10, 18), 0, 0) | MALFORMED, _sources(window.end, 0, 0)]
    settling = _settling(window.end)
    stored = settling.take(_answers(window, user_summary=rows, user_cumulate=[_row(day, 7) for day in window]), NOW)
    assert [day.ref_date.day for day in stored if day.inferred] == [17, 19, 20, 21]
    assert date(2015, 10, 18) not in settling.state.dataset(SUMMARY).settled
    settling = _settling(window.end, NEW._replace(datasets={CUMULATE: DatasetState(covered=_days("16-22"))}))
    settling.take(_answers(window, user_summary=[]), NOW)
    settling.take(_answers(window, user_summary=rows[:1]), NOW)
    assert settling.unresolved == set(window) - {date(2015, 10, 18)}


@pytest.mark.parametrize(
    "before", [DatasetState(), DatasetState(void=_days("1")), DatasetState(empty={FIRST_DAY: _days("1")})]
)
def test_malformed_day_is_never_void(before: DatasetState) -> None:
    """A row of it came: what missing rows had proved before is undone, and the day is pending."""
    window = Window(date(2015, 10, 1), date(2015, 10, 2))
    settling = _settling(RECORDED.end, NEW._replace(datasets={CUMULATE: before}))
    for _ in range(2):
        settling.take(_answers(window, user_cumulate=[_row(window.begin, 7) | MALFORMED]), NOW)
    dataset = settling.state.dataset(CUMULATE)
    assert (dataset.settled, missing_rows(dataset)) == (NO_DAYS, _days("2"))


def test_malformed_day_of_the_lookback_is_pending() -> None:
    """WeChat may have revised its figures, which those of older days keep."""
    covered = DatasetState(covered=_days("1-22"))
    planned = replace(NOTHING, lookback={CUMULATE: _days("17-22")})
    settling = _settling(RECORDED.end, NEW._replace(datasets={CUMULATE: covered}), planned)
    rows = [_row(day, 7) | (MALFORMED if day.day < 18 else {}) for day in RECORDED]
    settling.take(_answers(RECORDED, user_cumulate=rows), NOW)
    dataset = settling.state.dataset(CUMULATE)
    assert (dataset.covered, dataset.refreshed_to) == (_days("1-16 18-22"), RECORDED.end)


def test_malformed_day_is_no_success() -> None:
    """The failure of a dataset goes on while its answers hold malformed days."""
    settling = _settling(RECORDED.end, NEW._replace(datasets={CUMULATE: DatasetState(last_error=TROUBLE)}))
    settling.take(_answers(RECORDED, user_cumulate=[_row(RECORDED.end, 7) | MALFORMED]), NOW)
    assert settling.state.dataset(CUMULATE).last_error == TROUBLE


def test_malformed_day_is_older_than_no_birth() -> None:
    """An account that has rows before its birth is older, whatever they hold."""
    settling = _settling(RECORDED.end, NEW._replace(born=date(2015, 10, 8)))
    settling.take(
        _answers(
            Window(date(2015, 10, 1), date(2015, 10, 7)), user_summary=[_sources(date(2015, 10, 2), 0, 0) | MALFORMED]
        ),
        NOW,
    )
    assert settling.state.born is None


def test_conditions_of_quiet_and_certain() -> None:
    """Quiet needs both totals; zeros need age two or a later row."""
    day = date(2015, 10, 20)
    assert is_quiet(day, {day: 7, day - ONE_DAY: 7}) is True
    assert is_quiet(day, {day: 7, day - ONE_DAY: 6}) is False
    assert is_quiet(day, {day: 7}) is None
    assert is_quiet(day, {day - ONE_DAY: 7}) is None
    assert not is_certain(day, None, day + ONE_DAY)
    assert is_certain(day, None, day + 2 * ONE_DAY)
    assert is_certain(day, day + ONE_DAY, day + ONE_DAY)
    assert not is_certain(day, day, day + ONE_DAY)


# Whole histories, day after day, without network and database: WeChat is the sandbox's own account of what it shows.

ZONES = [timezone(timedelta(hours=hours)) for hours in (-8, 0, 5.5, 8)]
BEGIN = date(2024, 2, 1)


@dataclass
class History:
    """A collector without network and database, and what it has stored."""

    world: World
    account: Account
    state: AccountState
    stored: dict[date, dict[str, Any]] = field(default_factory=dict)
    came: dict[date, dict[str, Any]] = field(default_factory=dict)
    dice: random.Random = field(default_factory=lambda: random.Random(0))

    def run(self, now: datetime, *, fails: set[str], newest_is_late: bool, spoils: float = 0.0) -> None:
        target = Target(newest_published(now, time(8)), 7)
        shown = target.newest - ONE_DAY * newest_is_late
        planned = plan(self.account, self.state, target, now)
        settling = Settling(self.state, planned, target)
        for ask in (*planned.daily, *planned.history):
            if settling.is_before_birth(ask.window):
                break
            answers = {
                name: self._answer(name, ask.window, shown, spoils) for name in ask.datasets if name not in fails
            }
            days = settling.take(answers, now)
            for name, answer in answers.items():
                assert not answer.malformed & missing_rows(settling.state.dataset(name))
                assert not answer.malformed & Days.of(day.ref_date for day in days if name in day.inferred)
            self._store(days)
            if settling.unresolved and CUMULATE not in answers:
                self._store(settling.resolve(frozenset(settling.unresolved), self.stored, now))
        self._store(settling.resolve(frozenset(settling.unresolved), self.stored, now))
        self.state = settling.state

    def _answer(self, name: str, window: Window, shown: date, spoils: float) -> Answer:
        """Answer with the world's rows; those of each day are malformed with the probability `spoils`."""
        show = shown_summary if name == SUMMARY else shown_cumulate
        rows: list[dict[str, Any]] = []
        for day in window if window.end <= shown else Window(window.begin, shown):
            odd = {"new_user": None, "cumulate_user": None} if self.dice.random() < spoils else {}
            rows += [{**row, **odd} for row in show(self.world, self.account.appid, day, shown)]
        answer = _answer(name, window, rows)
        for day, fields in answer.days.items():
            self.came.setdefault(day, {}).update(fields)
        return answer

    def _store(self, days: list[Any]) -> None:
        for day in days:
            document = self.stored.setdefault(day.ref_date, {})
            for fields in day.fields.values():
                document |= fields
            for fields in day.inferred.values():
                document |= {key: value for key, value in fields.items() if key not in document}

    def check(self) -> None:
        """Each stored figure is what WeChat gave last, or, where summary gave none, zeros."""
        for day, document in self.stored.items():
            came = self.came[day]
            assert document == came or ("sources" not in came and document == {**came, **QUIET})


instants = st.tuples(st.integers(0, 24 * 60 - 1), st.sampled_from(ZONES))


@settings(max_examples=150)
@given(
    seed=st.integers(0, 10_000),
    born=st.none() | st.dates(BEGIN - 20 * ONE_DAY, BEGIN + 60 * ONE_DAY),
    passes=st.lists(st.tuples(st.integers(0, 9), instants, st.integers(0, 9)), min_size=1, max_size=25),
    revised=st.integers(0, 5),  # a late newest day makes all days a day younger than they are
    late=st.sampled_from([0.0, 0.3]),
    lost=st.sampled_from([0.0, 0.05]),
)
def test_any_history_ends_with_the_truth(
    seed: int, born: date | None, passes: list[Any], revised: int, late: float, lost: float
) -> None:
    """Whatever fails, is late, lost, revised or malformed: each stored figure is WeChat's, and nothing is left out."""
    world = World(
        seed=seed, size=1, births=(born,) if born else (), revised_for_days=revised, late_summary=late, lost_days=lost
    )
    (only,) = world.accounts
    account = Account(only.name, only.appid, Secret("x"), Rate(5, 1), since=BEGIN)
    history = History(world, account, AccountState(only.appid, only.name))
    dice = random.Random(seed)
    today = BEGIN + 5 * ONE_DAY
    for days_later, (minute, zone), trouble in passes:
        today += ONE_DAY * days_later
        now = datetime.combine(today, time(minute // 60, minute % 60), BEIJING).astimezone(zone)
        fails = {name for name in DATASETS if trouble and dice.random() < 0.3}
        history.run(now, fails=fails, newest_is_late=trouble == 1, spoils=0.2 if trouble > 6 else 0.0)
        history.check()
    last = datetime.combine(max(today, born or today), time(12), BEIJING)
    for day in range(1, 13):
        history.run(last + day * ONE_DAY, fails=set(), newest_is_late=False)
        history.check()
    newest = newest_published(last + 12 * ONE_DAY, time(8))
    settled = Days.between(BEGIN + ONE_DAY, newest - 7 * ONE_DAY)  # of the first day, nobody asked for the day before
    assert {day: document for day, document in history.stored.items() if day in settled} == {
        day: expected for day in settled if (expected := _truth(world, only.appid, day))
    }


def _truth(world: World, appid: str, day: date) -> dict[str, Any]:
    truth = world.truth(appid, day)
    if truth.cumulate_user is None:
        return {}
    expected: dict[str, Any] = {"cumulate_user": truth.cumulate_user}
    if truth.rows or world.cumulate(appid, day - ONE_DAY) == truth.cumulate_user:
        keys = ("new_user", "cancel_user", "net_user", "sources")
        expected |= {key: getattr(truth, key) for key in keys}
    return expected


def test_no_missing_row_before_the_first_day() -> None:
    """WeChat keeps nothing older, so no missing row is noted there."""
    settling = _settling(date(2014, 12, 20))
    settling.take(_answers(Window(FIRST_DAY, FIRST_DAY + 6 * ONE_DAY), user_summary=[], user_cumulate=[]), NOW)
    assert settling.state.dataset(SUMMARY).empty[date(2015, 10, 23)].oldest == FIRST_DAY


def test_stored_days_are_whole() -> None:
    """Each has the account, its new name, what came or was inferred, and the instant."""
    window = Window(date(2015, 10, 18), date(2015, 10, 20))
    settling = Settling(NEW, NOTHING, Target(date(2015, 10, 24), 7), "renamed")
    rows = [_row(window.begin, 7), _row(date(2015, 10, 19), 7), _row(window.end, 9)]
    first, second, third = settling.take(
        _answers(window, user_summary=[_sources(window.end, 2, 0)], user_cumulate=rows), NOW
    )
    total = {CUMULATE: {"cumulate_user": 7}}
    assert first == Day(NEW.account, "renamed", window.begin, total, NOW)
    assert second == Day(NEW.account, "renamed", date(2015, 10, 19), total, NOW, {SUMMARY: QUIET})
    assert (third.account, third.name, third.fetched_at, third.inferred) == (NEW.account, "renamed", NOW, {})
    assert set(third.fields) == {SUMMARY, CUMULATE}
    (resolved,) = settling.resolve({window.begin}, {window.begin - ONE_DAY: {"cumulate_user": 7}}, NOW)
    assert resolved == Day(NEW.account, "renamed", window.begin, {}, NOW, {SUMMARY: QUIET})
    assert (settling.state.name, settling.is_renamed) == ("a", True)
    settling.rename()
    assert (settling.state.name, settling.is_renamed) == ("renamed", False)


def test_change_and_count_keep_the_rest() -> None:
    """Fields of a dataset change, and nothing else of it or of the other one."""
    known = DatasetState(covered=_days("1-3"), calls_on=RECORDED.end, calls=4)
    settling = _settling(RECORDED.end, NEW._replace(datasets={SUMMARY: known, CUMULATE: DatasetState(calls=1)}))
    settling.change(SUMMARY, wait=Wait(WaitKind.NOT_BEFORE, NOW))
    assert settling.state.dataset(SUMMARY) == known._replace(wait=Wait(WaitKind.NOT_BEFORE, NOW))
    before = settling.state
    settling.count({SUMMARY: (RECORDED.end, 4)})
    assert settling.state is before
    settling.count({SUMMARY: (RECORDED.end, 5)})
    assert settling.state.dataset(SUMMARY) == known._replace(wait=Wait(WaitKind.NOT_BEFORE, NOW), calls=5)
    settling.count({SUMMARY: (RECORDED.end + ONE_DAY, 5)})
    assert settling.state.dataset(SUMMARY).calls_on == RECORDED.end + ONE_DAY
    assert settling.state.dataset(CUMULATE) == DatasetState(calls=1)


@pytest.mark.parametrize(("total", "pending"), [(7, False), (8, True)])
def test_newest_day_without_summary(total: int, pending: bool) -> None:
    """It may be quiet while its total is that of the day before; one that has moved is pending."""
    window = Window(date(2015, 10, 20), date(2015, 10, 22))
    settling = _settling(window.end)
    rows = [_row(window.begin, 7), _row(date(2015, 10, 21), 7), _row(window.end, total)]
    settling.take(_answers(window, user_summary=[_sources(window.begin, 1, 0)], user_cumulate=rows), NOW)
    assert settling.newest_is_pending == pending


def test_newest_day_of_an_earlier_run() -> None:
    """Without an answer of this run nothing says that it may be quiet."""
    covered = {CUMULATE: DatasetState(covered=Days.of([RECORDED.end]))}
    assert _settling(RECORDED.end, NEW._replace(datasets=covered)).newest_is_pending


def test_few_edges_are_kept() -> None:
    """The oldest are forgotten first."""
    settling = _settling(date(2015, 10, 22))
    windows = list(Days.between(date(2015, 7, 1), date(2015, 10, 22)).windows(7))
    for window in windows:
        settling.take(_answers(window, user_cumulate=[_row(day, 7) for day in window]), NOW)
    assert len(windows) * 2 > MAX_EDGES == len(settling._edges)
    assert windows[-1].begin in settling._edges
    assert windows[0].end not in settling._edges


def test_window_of_the_birth_is_not_before_it() -> None:
    born = date(2015, 10, 10)
    settling = _settling(RECORDED.end, NEW._replace(born=born))
    assert settling.is_before_birth(Window(born - 7 * ONE_DAY, born - ONE_DAY))
    assert not settling.is_before_birth(Window(born - 6 * ONE_DAY, born))


@pytest.mark.parametrize("has_totals", [False, True])
def test_history_ends_behind_missing_windows(has_totals: bool) -> None:
    """Four windows without a row in this run, of both datasets, are the probable end of history."""
    settling = _settling(date(2015, 12, 31))
    windows = list(Days.between(date(2015, 9, 1), date(2015, 10, 26)).windows(7))
    settling.take(_answers(windows[0], user_summary=[], user_cumulate=[_row(day, 7) for day in windows[0]]), NOW)
    for window in windows[1:5]:
        assert not settling.is_before_birth(windows[5])
        rows = [_row(day, 7) for day in window] if has_totals else []
        settling.take(_answers(window, user_summary=[], user_cumulate=rows), NOW)
    assert settling.is_before_birth(windows[5]) == (not has_totals)


def test_birth_behind_void_days() -> None:
    void = Days.between(date(2015, 8, 1), date(2015, 10, 9))
    dataset = DatasetState(covered=_days("10-15"), void=void)
    settling = _settling(RECORDED.end, NEW._replace(datasets={SUMMARY: dataset, CUMULATE: dataset}))
    settling.take(_answers(RECORDED, user_cumulate=[_row(day, 7) for day in RECORDED]), NOW)
    assert settling.state.born == date(2015, 10, 10)
    settling.take(
        _answers(Window(date(2015, 10, 10), date(2015, 10, 10)), user_cumulate=[_row(date(2015, 10, 10), 7)]), NOW
    )
    assert settling.state.born == date(2015, 10, 10)  # a row of that day is nothing older


def test_birth_with_one_follower() -> None:
    """The first total is the net of the first day."""
    window = Window(date(2015, 10, 1), date(2015, 10, 7))
    settling = _settling(date(2015, 12, 31))
    rows = [_row(date(2015, 10, day), 1) for day in (5, 6, 7)]
    settling.take(_answers(window, user_summary=[_sources(date(2015, 10, 5), 1, 0)], user_cumulate=rows), NOW)
    assert settling.state.born == date(2015, 10, 5)


def _held(settling: Settling, *days: date) -> list[bool]:
    return [settling.hold(day, is_held=True) for day in days]


def test_newest_day_held_back_on_three_days() -> None:
    """Only days running count, each once, however many runs it has."""
    today = RECORDED.end + ONE_DAY
    days = [today + ONE_DAY * n for n in (0, 0, 1, 3, 4, 5, 6)]
    settling = _settling(RECORDED.end)
    assert _held(settling, *days) == [False, False, False, False, False, True, True]
    assert settling.state.held == Days.between(today + ONE_DAY * 4, today + ONE_DAY * 6)


def test_newest_day_that_comes_the_same_day_was_not_held_back() -> None:
    day = RECORDED.end
    settling = _settling(day, NEW._replace(held=Days.between(day - ONE_DAY, day + ONE_DAY)))
    settling.take(_answers(RECORDED, user_summary=[_sources(day, 1, 0)], user_cumulate=[_row(day, 5)]), NOW)
    assert not settling.hold(day + ONE_DAY, is_held=False)
    assert settling.state.held == Days.between(day - ONE_DAY, day)


def test_newest_day_that_comes_the_next_day_was_held_back() -> None:
    """It is the newest until WeChat publishes another, but a run in the night mends nothing of the day before."""
    day = RECORDED.end
    settling = _settling(day, NEW._replace(held=Days.between(day, day + ONE_DAY)))
    settling.take(_answers(RECORDED, user_summary=[_sources(day, 1, 0)], user_cumulate=[_row(day, 5)]), NOW)
    assert not settling.hold(day + ONE_DAY * 2, is_held=False)
    assert settling.state.held == Days.between(day, day + ONE_DAY)
