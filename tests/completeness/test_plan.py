from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.completeness.plan import Ask, Plan, Target, Wait, begins, plan
from collector.errors import WaitKind
from collector.model.accounts import Account, Rate, Secret
from collector.model.days import FIRST_DAY, NO_DAYS, ONE_DAY, Days, Window
from collector.model.results import Notice
from collector.model.state import AccountState, DatasetState

ACCOUNT = Account("a", "wx0000000000000001", Secret("x"), Rate(5, 1))
SUMMARY, CUMULATE = BOTH = ("user_summary", "user_cumulate")
NEWEST = date(2026, 11, 23)
NOW = datetime(2026, 11, 24, 2, 30, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 24, 16, tzinfo=UTC)
DAILY = Target(NEWEST, 7)
NEW = AccountState(ACCOUNT.appid, "a")


def _state(covered: Days, *, refreshed_to: date | None = NEWEST) -> AccountState:
    return replace(NEW, datasets=dict.fromkeys(BOTH, DatasetState(covered=covered, refreshed_to=refreshed_to)))


def _plan(state: AccountState = NEW, target: Target = DAILY, *, before: date | None = None, **account: object) -> Plan:
    return plan(replace(ACCOUNT, **account), state, target, NOW, before=before)  # type: ignore[arg-type]


def _windows(asks: tuple[Ask, ...]) -> list[str]:
    return [str(ask.window) for ask in asks]


def test_of_a_new_account_the_last_days_are_asked_in_one_window_of_both_datasets() -> None:
    week = Days.between(date(2026, 11, 17), NEWEST)
    assert _plan() == Plan((Ask(Window(date(2026, 11, 17), NEWEST), BOTH),), (), dict.fromkeys(BOTH, week), {})


def test_since_is_asked_newest_first_and_the_oldest_window_is_filled_up_backwards() -> None:
    for since in (date(2026, 11, 10), date(2026, 11, 15)):
        planned = _plan(since=since)
        assert _windows(planned.daily) == ["2026-11-17..2026-11-23"]
        assert _windows(planned.history) == ["2026-11-10..2026-11-16"]


def test_a_window_is_never_filled_up_beyond_the_first_day() -> None:
    planned = _plan(target=Target(date(2014, 12, 3), 7), since=FIRST_DAY)
    assert planned.daily == (Ask(Window(FIRST_DAY, date(2014, 12, 3)), BOTH),)


def test_since_after_the_newest_day_asks_nothing() -> None:
    assert _plan(since=NEWEST + ONE_DAY) == Plan((), (), {}, {})


def test_a_second_pass_on_a_complete_day_asks_nothing() -> None:
    assert _plan(_state(Days.between(date(2026, 11, 1), NEWEST))) == Plan((), (), {}, {})


def test_the_daily_pass_of_an_account_up_to_date_is_one_window() -> None:
    yesterday = NEWEST - ONE_DAY
    planned = _plan(_state(Days.between(date(2026, 11, 1), yesterday), refreshed_to=yesterday))
    assert planned.daily == (Ask(Window(date(2026, 11, 17), NEWEST), BOTH),)
    assert planned.history == ()


def test_after_an_outage_all_days_whose_last_look_came_too_early_are_looked_at_again() -> None:
    planned = _plan(_state(Days.between(date(2026, 10, 1), date(2026, 11, 3)), refreshed_to=date(2026, 11, 3)))
    assert _windows(planned.daily) == ["2026-11-17..2026-11-23", "2026-11-10..2026-11-16", "2026-11-03..2026-11-09",
                                       "2026-10-27..2026-11-02"]  # fmt: skip
    assert planned.lookback[SUMMARY] == Days.between(date(2026, 10, 29), NEWEST)


def _heard(at: datetime, *, stored_to: date, refreshed_to: date) -> AccountState:
    dataset = DatasetState(Days.between(date(2026, 11, 1), stored_to), refreshed_to=refreshed_to, last_success=at)
    return replace(NEW, datasets=dict.fromkeys(BOTH, dataset))


def test_where_the_newest_day_does_not_come_the_last_days_are_looked_at_once_a_day() -> None:
    yesterday = NEWEST - ONE_DAY
    for heard, looks in ((NOW - timedelta(hours=1), False), (NOW - ONE_DAY, True)):
        planned = _plan(_heard(heard, stored_to=yesterday, refreshed_to=yesterday))
        assert _windows(planned.daily) == ["2026-11-17..2026-11-23"]
        assert bool(planned.lookback) == looks


def test_a_hole_is_asked_of_the_datasets_that_have_it() -> None:
    days = Days.between(date(2026, 10, 1), NEWEST)
    state = _state(days)
    holed = replace(state.dataset(SUMMARY), covered=days - Days.of([date(2026, 10, 20)]))
    planned = _plan(replace(state, datasets={**state.datasets, SUMMARY: holed}))
    assert planned == Plan((), (Ask(Window(date(2026, 10, 14), date(2026, 10, 20)), (SUMMARY,)),), {}, {})


def test_void_days_are_not_asked_again_but_by_a_refetch() -> None:
    days = Days.between(date(2026, 10, 1), NEWEST)
    void = Days.of([date(2026, 10, 20)])
    dataset = DatasetState(covered=days - void, void=void, refreshed_to=NEWEST)
    state = replace(NEW, datasets=dict.fromkeys(BOTH, dataset))
    assert _plan(state) == Plan((), (), {}, {})
    target = replace(DAILY, since=date(2026, 10, 20), until=date(2026, 10, 20), refetch=True)
    assert _windows(_plan(state, target).history) == ["2026-10-14..2026-10-20"]


@pytest.mark.parametrize(
    ("since", "history_since", "begin"),
    [
        (date(2026, 10, 12), None, date(2026, 10, 12)),
        (date(2026, 10, 12), date(2026, 9, 1), date(2026, 9, 1)),
        (date(2026, 10, 12), date(2026, 11, 1), date(2026, 10, 12)),
        (None, date(2026, 10, 12), date(2026, 10, 12)),
        (None, None, date(2026, 11, 10)),
    ],
)
def test_the_earliest_day_that_was_ever_asked_for_is_wanted_else_the_oldest_stored(
    since: date | None, history_since: date | None, begin: date
) -> None:
    state = replace(_state(Days.between(date(2026, 11, 10), NEWEST)), history_since=history_since)
    assert begins(replace(ACCOUNT, since=since), state, DAILY) == begin


def test_nothing_is_wanted_before_the_account_was_born() -> None:
    state = replace(_state(Days.between(date(2026, 11, 12), NEWEST)), born=date(2026, 11, 12))
    assert _plan(state, since=FIRST_DAY) == Plan((), (), {}, {})


def test_a_backfill_of_a_part_asks_that_part_beside_the_daily_job() -> None:
    state = _state(Days.between(date(2026, 11, 1), NEWEST))
    target = replace(DAILY, since=date(2026, 3, 1), until=date(2026, 3, 14))
    planned = _plan(state, target)
    assert planned.daily == ()
    assert _windows(planned.history) == ["2026-03-08..2026-03-14", "2026-03-01..2026-03-07"]


@pytest.mark.parametrize(
    ("dataset", "wait"),
    [
        (DatasetState(not_before=NOW + timedelta(seconds=1)), Wait(WaitKind.NOT_BEFORE, NOW + timedelta(seconds=1))),
        (DatasetState(not_before=NOW + ONE_DAY), Wait(WaitKind.NOT_BEFORE, NOW + ONE_DAY)),
        (DatasetState(calls_on=date(2026, 11, 24), calls=5), Wait(WaitKind.DAILY_CALLS, MIDNIGHT)),
    ],
)
def test_a_dataset_that_must_not_be_asked_now_is_left_out(dataset: DatasetState, wait: Wait) -> None:
    planned = _plan(replace(NEW, datasets={SUMMARY: dataset}), daily_calls=5)
    assert [ask.datasets for ask in planned.daily] == [(CUMULATE,)]
    assert planned.waits == {SUMMARY: wait}
    assert planned.lookback.keys() == {CUMULATE}


@pytest.mark.parametrize(
    "dataset",
    [
        DatasetState(not_before=NOW),
        DatasetState(calls_on=date(2026, 11, 23), calls=5),
        DatasetState(),
    ],
)
def test_a_wait_that_is_over_holds_nothing_up(dataset: DatasetState) -> None:
    planned = _plan(replace(NEW, datasets={SUMMARY: dataset}), daily_calls=5)
    assert [ask.datasets for ask in planned.daily] == [BOTH]
    assert planned.waits == {}


def test_days_that_had_their_last_look_already_are_not_looked_at_again() -> None:
    days = Days.between(date(2026, 10, 1), NEWEST)
    dataset = DatasetState(
        covered=days, refreshed_to=date(2026, 10, 20), looked=Days.between(date(2026, 10, 25), NEWEST)
    )
    planned = _plan(replace(NEW, datasets=dict.fromkeys(BOTH, dataset)))
    assert planned.lookback[SUMMARY] == Days.between(date(2026, 10, 15), date(2026, 10, 24))


def test_a_backfill_only_ever_extends_what_is_wanted() -> None:
    state = _state(Days.between(date(2026, 10, 1), date(2026, 10, 7)))
    target = replace(DAILY, since=date(2026, 11, 8))
    assert begins(ACCOUNT, state, target) == date(2026, 10, 1)
    assert begins(ACCOUNT, NEW, replace(DAILY, since=NEWEST)) == date(2026, 11, 17)
    assert _windows(_plan(target=replace(DAILY, since=NEWEST)).daily) == ["2026-11-17..2026-11-23"]


def test_history_that_waits_is_counted() -> None:
    state = replace(NEW, datasets=dict.fromkeys(BOTH, DatasetState(not_before=MIDNIGHT)))
    planned = _plan(state, since=date(2026, 10, 1), before=date(2026, 11, 17))
    assert planned == Plan((), (), {}, dict.fromkeys(BOTH, Wait(WaitKind.NOT_BEFORE, MIDNIGHT)), 7)


def test_a_wait_of_both_datasets_is_one_notice_until_the_later_one_ends() -> None:
    early, late = DatasetState(not_before=NOW + timedelta(hours=1)), DatasetState(not_before=NOW + timedelta(hours=2))
    for summary, cumulate in ((early, late), (late, early)):
        planned = _plan(replace(NEW, datasets={SUMMARY: summary, CUMULATE: cumulate}))
        assert planned.notices(ACCOUNT) == (Notice(ACCOUNT.appid, "a", WaitKind.NOT_BEFORE, NOW + timedelta(hours=2)),)
    waits = Wait(WaitKind.NOT_BEFORE, NOW), Wait(WaitKind.DAILY_CALLS, NOW)
    kinds = [notice.kind for notice in Plan((), (), {}, dict(zip("ab", waits, strict=True))).notices(ACCOUNT)]
    assert kinds == ["not_before", "daily_calls"]


def test_when_the_newest_days_are_done_their_gaps_are_left_to_the_next_run() -> None:
    state = replace(_state(Days.between(date(2026, 11, 1), date(2026, 11, 19))), history_since=date(2026, 10, 25))
    assert _windows(_plan(state).daily) == ["2026-11-17..2026-11-23"]
    planned = _plan(state, before=date(2026, 11, 17))
    assert planned.daily == ()
    assert _windows(planned.history) == ["2026-10-25..2026-10-31"]


day_sets = st.sets(st.dates(NEWEST - 80 * ONE_DAY, NEWEST)).map(Days.of)


@given(day_sets, day_sets, st.dates(NEWEST - 90 * ONE_DAY, NEWEST), st.integers(1, 30), day_sets)
def test_every_day_wanted_and_not_settled_is_asked_of_its_dataset_once(
    summary: Days, cumulate: Days, since: date, lookback: int, void: Days
) -> None:
    datasets = {
        SUMMARY: DatasetState(covered=summary, void=void - summary, refreshed_to=NEWEST),
        CUMULATE: DatasetState(covered=cumulate, refreshed_to=NEWEST - ONE_DAY),
    }
    planned = _plan(replace(NEW, datasets=datasets), Target(NEWEST, lookback), since=since)
    asks = planned.daily + planned.history
    assert [ask.window.end for ask in asks] == sorted((ask.window.end for ask in asks), reverse=True)
    assert sum(len(ask.window) for ask in asks) == len(Days.joined(ask.window for ask in asks))
    wanted = Days.between(since, NEWEST)
    for name, dataset in datasets.items():
        asked = Days.joined(ask.window for ask in asks if name in ask.datasets)
        assert not (wanted - dataset.settled) - asked
        assert not planned.lookback.get(name, NO_DAYS) - asked
        for ask in asks:
            lacks = ((wanted - dataset.settled) | planned.lookback.get(name, NO_DAYS)) & Days.joined([ask.window])
            assert (name in ask.datasets) == bool(lacks)


def test_of_days_that_were_asked_in_this_run_not_even_the_oldest_is_asked_again() -> None:
    holed = Days.between(date(2026, 11, 1), NEWEST) - Days.between(date(2026, 11, 17), date(2026, 11, 18))
    assert _plan(_state(holed), before=date(2026, 11, 17)) == Plan((), (), {}, {})


def test_nothing_is_wanted_before_wechat_keeps_anything_whatever_is_known_and_asked() -> None:
    early = FIRST_DAY - 30 * ONE_DAY
    state = replace(NEW, born=early, history_since=early)
    assert begins(replace(ACCOUNT, since=early), state, replace(DAILY, since=early)) == FIRST_DAY


def test_a_backfill_of_a_part_asks_a_new_account_for_that_part_and_the_last_days() -> None:
    planned = _plan(target=replace(DAILY, since=date(2026, 3, 1), until=date(2026, 3, 14)))
    assert _windows(planned.daily) == ["2026-11-17..2026-11-23"]
    assert _windows(planned.history) == ["2026-03-08..2026-03-14", "2026-03-01..2026-03-07"]


def test_a_backfill_asks_for_settled_days_in_a_refetch_alone() -> None:
    state = _state(Days.between(date(2026, 10, 1), NEWEST))
    target = replace(DAILY, since=date(2026, 11, 10))
    assert _plan(state, target) == Plan((), (), {}, {})
    assert _plan(state, replace(DAILY, refetch=True)) == Plan((), (), {}, {})
    planned = _plan(state, replace(target, refetch=True))
    assert _windows(planned.daily + planned.history) == ["2026-11-17..2026-11-23", "2026-11-10..2026-11-16"]


@pytest.mark.parametrize("dataset", [DatasetState(), DatasetState(calls_on=date(2026, 11, 23), calls=1)])
def test_of_one_call_a_day_nothing_is_used_when_the_day_begins(dataset: DatasetState) -> None:
    assert _plan(replace(NEW, datasets=dict.fromkeys(BOTH, dataset)), daily_calls=1).waits == {}


def test_a_plain_run_asks_for_no_history_nor_again_nor_beyond_an_accounts_begin() -> None:
    assert Target(NEWEST, 7) == Target(NEWEST, 7, since=None, until=None, refetch=False, exhaustive=False)
