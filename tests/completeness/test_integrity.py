"""Documents read as pure values, and states that are compared with them and mended."""

from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.completeness.datasets import CUMULATE, DATASETS, SUMMARY, fold
from collector.completeness.integrity import (
    FIGURES,
    StoredDay,
    breaks,
    covered,
    differences,
    mended,
    read,
    void_between,
)
from collector.kinds import WaitKind
from collector.model.days import FIRST_DAY, NO_DAYS, ONE_DAY, Days, Window
from collector.model.findings import Break, Difference
from collector.model.state import AccountState, DatasetState, Trouble
from collector.model.waits import Wait

NEWEST = date(2026, 11, 23)
BOTH = frozenset({SUMMARY, CUMULATE})
WHOLE = {"new_user": 5, "cancel_user": 2, "net_user": 3, "sources": 1, "cumulate_user": 100}
NOTHING = {SUMMARY: NO_DAYS, CUMULATE: NO_DAYS}


def _ago(days: int) -> date:
    return NEWEST - days * ONE_DAY


def _last(days: int, *, until: int = 0) -> Days:
    """The days of ages `until` to `days` - 1."""
    return Days.between(_ago(days - 1), _ago(until))


def _state(covered: Days, **known: object) -> AccountState:
    dataset = DatasetState(covered=covered, **known)  # type: ignore[arg-type] # a test names the fields that matter to it
    return AccountState("wxa", "a", datasets={SUMMARY: dataset, CUMULATE: dataset})


def _mended(state: AccountState, found: Days, since: date | None = None) -> AccountState:
    return mended(state, {SUMMARY: found, CUMULATE: found}, since)


def test_figures_are_those_of_the_datasets() -> None:
    row = {"ref_date": str(NEWEST), "user_source": 0, "new_user": 1, "cancel_user": 1, "cumulate_user": 1}
    folded = {name: fold(dataset, [row], Window(NEWEST, NEWEST)).days for name, dataset in DATASETS.items()}
    assert {name: frozenset(days[NEWEST]) for name, days in folded.items()} == FIGURES


def test_dataset_is_stored_if_all_fields_are() -> None:
    """A document without one of a dataset's fields doesn't hold that dataset."""
    without_sources = {key: value for key, value in WHOLE.items() if key != "sources"}
    documents: list[dict[str, object]] = [
        {"ref_date": "2026-11-20", **WHOLE},
        {"ref_date": "2026-11-21", "cumulate_user": 100, "sources": None},
        {"ref_date": "2026-11-22", **without_sources},
        {"ref_date": "2026-11-23", **{key: WHOLE[key] for key in FIGURES[SUMMARY]}, "cumulate_user": 7.0},
    ]
    assert read(documents, NEWEST) == (
        [
            StoredDay(date(2026, 11, 20), BOTH, 100, 3),
            StoredDay(date(2026, 11, 21), frozenset({CUMULATE}), 100),
            StoredDay(date(2026, 11, 22), frozenset({CUMULATE}), 100),
            StoredDay(date(2026, 11, 23), frozenset({SUMMARY}), None, 3),
        ],
        0,
    )


def test_foreign_documents_are_only_counted() -> None:
    """Documents of another form, or of impossible days, prove nothing."""
    texts: list[object] = ["20261120", "2026-02-30", "", str(FIRST_DAY - ONE_DAY), "2026-11-25", "9999-12-31"]
    others: list[object] = [None, 20261120, datetime(2026, 11, 20, tzinfo=UTC), ["2026-11-20"]]
    without_figures: list[dict[str, object]] = [{}, {"ref_date": "2026-11-20"}]
    without_figures += [{"ref_date": "2026-11-20", "cumulate_user": True}]
    documents = [*({"ref_date": day, **WHOLE} for day in texts + others), *without_figures]
    assert read(documents, NEWEST) == ([], 13)


def test_day_after_the_newest_may_be_stored() -> None:
    """The hour from which a day counts as published can be set to a later one."""
    days, foreign = read([{"ref_date": "2026-11-24", **WHOLE}], NEWEST)
    assert ([stored.day for stored in days], foreign) == ([date(2026, 11, 24)], 0)


def test_oldest_day_that_wechat_keeps() -> None:
    days, foreign = read([{"ref_date": str(FIRST_DAY), **WHOLE}], NEWEST)
    assert ([stored.day for stored in days], foreign) == ([FIRST_DAY], 0)


def test_covered_days_of_each_dataset() -> None:
    days = [StoredDay(_ago(3), BOTH), StoredDay(_ago(2), BOTH), StoredDay(_ago(0), frozenset({CUMULATE}))]
    assert covered(days) == {SUMMARY: _last(4, until=2), CUMULATE: _last(4, until=2) | _last(1)}


def test_break_has_day_expected_and_found() -> None:
    """Expected is the total of the day before plus the day's net."""
    days = [StoredDay(_ago(2), BOTH, 100, 1), StoredDay(_ago(1), BOTH, 110, 7), StoredDay(NEWEST, BOTH, 109, -1)]
    (broken,) = breaks(days)
    assert broken == Break(_ago(1), expected=107, found=110)
    assert (broken.before, broken.difference) == (_ago(2), 3)


def test_break_needs_two_days_in_a_row() -> None:
    """It takes both totals and the net of the later day."""
    total_only = frozenset({CUMULATE})
    summary_only = frozenset({SUMMARY})
    assert breaks([StoredDay(_ago(2), BOTH, 100, 1), StoredDay(NEWEST, BOTH, 900, 1)]) == ()
    assert breaks([StoredDay(_ago(1), BOTH, 100, 1), StoredDay(NEWEST, total_only, 900)]) == ()
    assert breaks([StoredDay(_ago(1), BOTH, 100, 1), StoredDay(NEWEST, summary_only, None, 1)]) == ()
    assert breaks([StoredDay(_ago(1), summary_only, None, 1), StoredDay(NEWEST, BOTH, 900, 1)]) == ()


@given(st.lists(st.tuples(st.integers(-9, 9), st.booleans()), min_size=1, max_size=40), st.data())
def test_breaks_of_one_changed_total(drawn: list[tuple[int, bool]], data: st.DataObject) -> None:
    """Figures that add up never break; one changed total breaks at its day and at the day after."""
    nets, kept = [net for net, _ in drawn], [keep for _, keep in drawn]
    totals = accumulate(nets, initial=1000)
    next(totals)
    days = [
        StoredDay(FIRST_DAY + place * ONE_DAY, BOTH, total, net)
        for place, (net, total) in enumerate(zip(nets, totals, strict=True))
        if kept[place]
    ]
    assert breaks(days) == ()
    if days:
        place = data.draw(st.integers(0, len(days) - 1))
        changed = days[place]
        assert changed.cumulate is not None
        days[place] = StoredDay(changed.day, BOTH, changed.cumulate + 5, changed.net)
        stored = {day.day for day in days}
        assert [(broken.day, broken.difference) for broken in breaks(days)] == [
            (day, difference)
            for day, difference in ((changed.day, 5), (changed.day + ONE_DAY, -5))
            if {day, day - ONE_DAY} <= stored
        ]


def test_differences_by_dataset() -> None:
    """Lost and unknown days are listed by dataset; a dataset that agrees is left out."""
    state = _state(_last(10, until=2))
    assert differences(state, {SUMMARY: _last(10, until=2), CUMULATE: _last(8)}) == {
        CUMULATE: Difference(lost=_last(10, until=8), unknown=_last(2))
    }
    assert differences(AccountState("wxa", "a"), NOTHING) == {}


def test_few_days_before_covered_ones_are_fine() -> None:
    """A killed run may have stored them: windows reach back further than what is wanted."""
    state = _state(_last(10))
    assert differences(state, {SUMMARY: _last(16), CUMULATE: _last(10)}) == {}
    assert differences(state, {SUMMARY: _last(17), CUMULATE: _last(10)}) == {
        SUMMARY: Difference(unknown=_last(17, until=10))
    }
    holed = _state(_last(20, until=15) | _last(10))
    assert differences(holed, {SUMMARY: _last(20), CUMULATE: holed.dataset(CUMULATE).covered}) == {
        SUMMARY: Difference(unknown=_last(15, until=10))
    }


def test_repair_keeps_the_rest_of_the_state() -> None:
    """The found days become covered and leave `void` and `empty`; nothing else changes."""
    at = datetime(2026, 11, 24, 2, tzinfo=UTC)
    summary = DatasetState(
        covered=_last(10),
        void=_last(12, until=10) | _last(20, until=15),
        empty={_ago(0): _last(15, until=13), _ago(1): _last(13, until=12)},
        refreshed_to=NEWEST,
        wait=Wait(WaitKind.NOT_BEFORE, at),
        calls_on=NEWEST,
        calls=4,
        last_success=at,
        last_error=Trouble("no", 48001, "rid", "ask", at, at),
    )
    state = AccountState("wxa", "a", ("retail",), _ago(30), _ago(25), {SUMMARY: summary})
    found = _last(13)
    expected = DatasetState(
        covered=found,
        void=_last(20, until=15),
        empty={_ago(0): _last(15, until=13)},
        refreshed_to=NEWEST,
        wait=Wait(WaitKind.NOT_BEFORE, at),
        calls_on=NEWEST,
        calls=4,
        last_success=at,
        last_error=summary.last_error,
    )
    assert mended(state, {SUMMARY: found, CUMULATE: NO_DAYS}, None) == AccountState(
        "wxa", "a", ("retail",), _ago(30), _ago(25), {SUMMARY: expected, CUMULATE: DatasetState()}
    )


def test_lookback_restarts_where_a_dump_ends() -> None:
    """A restored dump holds figures that WeChat has revised since."""
    state = _state(_last(100), refreshed_to=NEWEST)
    assert _mended(state, _last(100, until=30)).dataset(SUMMARY).refreshed_to == _ago(30)


def test_lookback_restarts_despite_newer_days() -> None:
    """Runs after the restore have stored newer days, and the figures before them are old still."""
    state = _state(_last(100), refreshed_to=NEWEST)
    assert _mended(state, _last(100, until=30) | _last(7)).dataset(SUMMARY).refreshed_to == _ago(30)


def test_old_hole_leaves_the_lookback_alone() -> None:
    """The days of the hole are pending anyway."""
    state = _state(_last(400), refreshed_to=NEWEST)
    assert _mended(state, _last(400, until=300) | _last(200)).dataset(SUMMARY).refreshed_to == NEWEST


@pytest.mark.parametrize(("age", "begins_again"), [(28, True), (29, False)])
def test_lookback_begins_again_at_a_hole_within_28_days(age: int, begins_again: bool) -> None:
    """Older holes aren't the end of a dump that was restored lately."""
    found = _last(100, until=age + 10) | _last(age)
    refreshed_to = _mended(_state(_last(100), refreshed_to=NEWEST), found).dataset(SUMMARY).refreshed_to
    assert refreshed_to == (_ago(age + 10) if begins_again else NEWEST)


def test_repair_never_advances_the_lookback() -> None:
    """Without a date from before, or with no day left, it begins anew."""
    state = _state(_last(20), refreshed_to=_ago(15))
    assert _mended(state, _last(20, until=5)).dataset(SUMMARY).refreshed_to == _ago(15)
    assert _mended(state, NO_DAYS).dataset(SUMMARY).refreshed_to is None
    assert _mended(_state(_last(20)), _last(20, until=5)).dataset(SUMMARY).refreshed_to is None


def test_lost_days_stay_wanted() -> None:
    """History reaches back to them, though they are older than all days that are left."""
    state = _state(_last(100))
    assert _mended(state, _last(40)).history_since == _ago(99)
    assert _mended(state, NO_DAYS).history_since == _ago(99)
    assert _mended(state, NO_DAYS, since=_ago(50)).history_since == _ago(99)
    assert _mended(state, _last(100, until=80), since=_ago(50)).history_since == _ago(79)


def test_history_is_extended_only_if_needed() -> None:
    """Lost days that `since` or older stored days hold are wanted anyway."""
    state = _state(_last(100))
    assert _mended(state, _last(40), since=_ago(99)).history_since is None
    assert _mended(state, _last(100, until=40)).history_since is None
    assert _mended(state, _last(200)).history_since is None


ranges = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 9)), max_size=5).map(
    lambda drawn: Days.joined(Window(_ago(age + span), _ago(age)) for age, span in drawn)
)


@given(ranges, ranges, ranges)
def test_repair_is_idempotent(known: Days, void: Days, found: Days) -> None:
    """A repaired state agrees with the documents, and a second repair changes nothing."""
    state = _state(known, void=void - known, refreshed_to=NEWEST)
    repaired = _mended(state, found)
    assert differences(repaired, {SUMMARY: found, CUMULATE: found}) == {}
    assert _mended(repaired, found) == repaired
    assert repaired.dataset(SUMMARY).void == void - known - found


def test_only_void_days_between_stored_ones() -> None:
    """Void days at either end are no hole."""
    dataset = DatasetState(void=_last(50, until=45) | _last(20, until=18) | _last(2))
    assert void_between(dataset, _last(40, until=30) | _last(10, until=5)) == _last(20, until=18)
    assert void_between(dataset, NO_DAYS) == NO_DAYS
