from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.completeness.plan import Ask, Asks, Plan, Target, begins, plan, waits
from collector.kinds import WaitKind
from collector.model.accounts import Account, Rate, Secret
from collector.model.days import FIRST_DAY, NO_DAYS, ONE_DAY, Days, Window
from collector.model.results import Notice
from collector.model.state import AccountState, DatasetState
from collector.model.waits import Wait

ACCOUNT = Account("a", "wx0000000000000001", Secret("x"), Rate(5, 1))
SUMMARY, CUMULATE = BOTH = ("user_summary", "user_cumulate")
NEWEST = date(2026, 11, 23)
NOW = datetime(2026, 11, 24, 2, 30, tzinfo=UTC)
TODAY = date(2026, 11, 24)
MIDNIGHT = datetime(2026, 11, 24, 16, tzinfo=UTC)
DAILY = Target(NEWEST, 7)
NEW = AccountState(ACCOUNT.appid, "a")
NOTHING: tuple[object, ...] = ((), (), {}, {}, 0)


def _state(covered: Days, *, refreshed_to: date | None = NEWEST) -> AccountState:
    return NEW._replace(datasets=dict.fromkeys(BOTH, DatasetState(covered=covered, refreshed_to=refreshed_to)))


def _plan(state: AccountState = NEW, target: Target = DAILY, *, before: date | None = None, **account: object) -> Plan:
    return plan(replace(ACCOUNT, **account), state, target, NOW, before=before)  # type: ignore[arg-type]


def _windows(asks: Iterable[Ask]) -> list[str]:
    return [str(ask.window) for ask in asks]


def _parts(planned: Plan) -> tuple[object, ...]:
    """Return a plan's fields, with the windows of its history made."""
    return planned.daily, tuple(planned.history), planned.lookback, planned.waits, planned.windows_held


def test_new_account_asks_one_window() -> None:
    """Its window holds the lookback, and both datasets are asked."""
    week = Days.between(date(2026, 11, 17), NEWEST)
    asks = (Ask(Window(date(2026, 11, 17), NEWEST), BOTH),)
    assert _parts(_plan()) == (asks, (), dict.fromkeys(BOTH, week), {}, 0)


def test_oldest_window_is_filled_up_backwards() -> None:
    """Windows begin at the newest day and have their full span, even beyond `since`."""
    for since in (date(2026, 11, 10), date(2026, 11, 15)):
        planned = _plan(since=since)
        assert _windows(planned.daily) == ["2026-11-17..2026-11-23"]
        assert _windows(planned.history) == ["2026-11-10..2026-11-16"]


def test_no_window_begins_before_the_first_day() -> None:
    planned = _plan(target=Target(date(2014, 12, 3), 7), since=FIRST_DAY)
    assert planned.daily == (Ask(Window(FIRST_DAY, date(2014, 12, 3)), BOTH),)


def test_since_after_the_newest_day() -> None:
    assert _parts(_plan(since=NEWEST + ONE_DAY)) == NOTHING


def test_complete_account_asks_nothing() -> None:
    """A second run on the same day has nothing to do."""
    assert _parts(_plan(_state(Days.between(date(2026, 11, 1), NEWEST)))) == NOTHING


def test_daily_run_asks_one_window() -> None:
    yesterday = NEWEST - ONE_DAY
    planned = _plan(_state(Days.between(date(2026, 11, 1), yesterday), refreshed_to=yesterday))
    assert planned.daily == (Ask(Window(date(2026, 11, 17), NEWEST), BOTH),)
    assert not planned.history


def test_lookback_after_an_outage() -> None:
    """All days whose last fetch came too early for WeChat's revisions are asked again."""
    planned = _plan(_state(Days.between(date(2026, 10, 1), date(2026, 11, 3)), refreshed_to=date(2026, 11, 3)))
    assert _windows(planned.daily) == ["2026-11-17..2026-11-23", "2026-11-10..2026-11-16", "2026-11-03..2026-11-09",
                                       "2026-10-27..2026-11-02"]  # fmt: skip
    assert planned.lookback[SUMMARY] == Days.between(date(2026, 10, 29), NEWEST)


def _answered(at: datetime, *, stored_to: date, refreshed_to: date) -> AccountState:
    dataset = DatasetState(Days.between(date(2026, 11, 1), stored_to), refreshed_to=refreshed_to, last_success=at)
    return NEW._replace(datasets=dict.fromkeys(BOTH, dataset))


def test_lookback_once_a_day_if_wechat_is_late() -> None:
    """While the newest day is missing, the days before it are fetched again once a Beijing day."""
    yesterday, target = NEWEST - ONE_DAY, replace(DAILY, lookback_days=14)
    for answered_at, windows in ((NOW - timedelta(hours=1), 1), (NOW - ONE_DAY, 2)):
        planned = _plan(_answered(answered_at, stored_to=yesterday, refreshed_to=yesterday), target)
        assert (len(planned.daily), bool(planned.lookback)) == (windows, windows == 2)


def test_late_newest_day_ends_the_lookback() -> None:
    """Its window holds the whole lookback; else the next run of the day would fetch all of it once more."""
    yesterday = NEWEST - ONE_DAY
    planned = _plan(_answered(NOW - timedelta(hours=1), stored_to=yesterday, refreshed_to=yesterday))
    assert _windows(planned.daily) == ["2026-11-17..2026-11-23"]
    assert planned.lookback == dict.fromkeys(BOTH, Days.between(date(2026, 11, 17), NEWEST))


def test_hole_is_asked_of_its_dataset() -> None:
    """A dataset that has the day isn't asked."""
    days = Days.between(date(2026, 10, 1), NEWEST)
    state = _state(days)
    holed = state.dataset(SUMMARY)._replace(covered=days - Days.of([date(2026, 10, 20)]))
    planned = _plan(state._replace(datasets={**state.datasets, SUMMARY: holed}))
    assert _parts(planned) == ((), (Ask(Window(date(2026, 10, 14), date(2026, 10, 20)), (SUMMARY,)),), {}, {}, 0)


def test_only_a_refetch_asks_for_void_days() -> None:
    days = Days.between(date(2026, 10, 1), NEWEST)
    void = Days.of([date(2026, 10, 20)])
    dataset = DatasetState(covered=days - void, void=void, refreshed_to=NEWEST)
    state = NEW._replace(datasets=dict.fromkeys(BOTH, dataset))
    assert _parts(_plan(state)) == NOTHING
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
def test_oldest_day_wanted(since: date | None, history_since: date | None, begin: date) -> None:
    """The earliest day ever asked for is wanted, else the oldest stored one."""
    state = _state(Days.between(date(2026, 11, 10), NEWEST))._replace(history_since=history_since)
    assert begins(since, state, DAILY) == begin


def test_nothing_is_wanted_before_birth() -> None:
    state = _state(Days.between(date(2026, 11, 12), NEWEST))._replace(born=date(2026, 11, 12))
    assert _parts(_plan(state, since=FIRST_DAY)) == NOTHING


def test_partial_backfill() -> None:
    """It asks for its part beside the daily job."""
    state = _state(Days.between(date(2026, 11, 1), NEWEST))
    target = replace(DAILY, since=date(2026, 3, 1), until=date(2026, 3, 14))
    planned = _plan(state, target)
    assert planned.daily == ()
    assert _windows(planned.history) == ["2026-03-08..2026-03-14", "2026-03-01..2026-03-07"]


@pytest.mark.parametrize(
    ("dataset", "wait"),
    [
        (
            DatasetState(wait=Wait(WaitKind.NOT_BEFORE, NOW + timedelta(seconds=1))),
            Wait(WaitKind.NOT_BEFORE, NOW + timedelta(seconds=1)),
        ),
        (DatasetState(wait=Wait(WaitKind.NOT_BEFORE, NOW + ONE_DAY)), Wait(WaitKind.NOT_BEFORE, NOW + ONE_DAY)),
        (DatasetState(calls_on=date(2026, 11, 24), calls=5), Wait(WaitKind.DAILY_CALLS, MIDNIGHT)),
    ],
)
def test_waiting_dataset_is_left_out(dataset: DatasetState, wait: Wait) -> None:
    """A dataset that must not be asked now is no part of the plan, and its wait is named."""
    planned = _plan(NEW._replace(datasets={SUMMARY: dataset}), daily_calls=5)
    assert [ask.datasets for ask in planned.daily] == [(CUMULATE,)]
    assert planned.waits == {SUMMARY: wait}
    assert planned.lookback.keys() == {CUMULATE}


@pytest.mark.parametrize(
    "dataset",
    [
        DatasetState(wait=Wait(WaitKind.NOT_BEFORE, NOW)),
        DatasetState(calls_on=date(2026, 11, 23), calls=5),
        DatasetState(),
    ],
)
def test_wait_that_is_over(dataset: DatasetState) -> None:
    """It holds nothing up."""
    planned = _plan(NEW._replace(datasets={SUMMARY: dataset}), daily_calls=5)
    assert [ask.datasets for ask in planned.daily] == [BOTH]
    assert planned.waits == {}


def test_waits() -> None:
    """A dataset waits until WeChat's instant, else for Beijing's midnight once its `daily_calls` are used up."""
    hour = timedelta(hours=1)
    used = DatasetState(calls_on=date(2026, 11, 24), calls=5)
    state = NEW._replace(datasets={SUMMARY: used._replace(wait=Wait(WaitKind.NOT_BEFORE, NOW + hour)), CUMULATE: used})
    ordered, by_settings = Wait(WaitKind.NOT_BEFORE, NOW + hour), Wait(WaitKind.DAILY_CALLS, MIDNIGHT)
    limited = replace(ACCOUNT, daily_calls=5)
    assert waits(limited, state, NOW) == {SUMMARY: ordered, CUMULATE: by_settings}
    assert waits(limited, state, NOW + hour) == {SUMMARY: by_settings, CUMULATE: by_settings}
    assert waits(limited, state, MIDNIGHT) == {}
    assert waits(replace(ACCOUNT, daily_calls=6), state, NOW) == {SUMMARY: ordered}
    assert waits(ACCOUNT, state, NOW) == {SUMMARY: ordered}
    assert waits(limited, NEW, NOW) == {}


def test_complete_dataset_has_no_notice() -> None:
    """A dataset that must not be asked now, and lacks nothing, waits for nothing."""
    state = _state(Days.between(date(2026, 11, 1), NEWEST))
    held = state.dataset(SUMMARY)._replace(wait=Wait(WaitKind.NOT_BEFORE, MIDNIGHT))
    state = state._replace(datasets={**state.datasets, SUMMARY: held})
    assert waits(ACCOUNT, state, NOW) == {SUMMARY: Wait(WaitKind.NOT_BEFORE, MIDNIGHT)}
    assert _parts(_plan(state)) == NOTHING


def test_lookback_omits_finished_days() -> None:
    """Days whose last fetch came late enough for WeChat's revisions aren't asked again."""
    days = Days.between(date(2026, 10, 1), NEWEST)
    dataset = DatasetState(
        covered=days, refreshed_to=date(2026, 10, 20), looked=Days.between(date(2026, 10, 25), NEWEST)
    )
    planned = _plan(NEW._replace(datasets=dict.fromkeys(BOTH, dataset)))
    assert planned.lookback[SUMMARY] == Days.between(date(2026, 10, 15), date(2026, 10, 24))


def test_backfill_only_extends_what_is_wanted() -> None:
    state = _state(Days.between(date(2026, 10, 1), date(2026, 10, 7)))
    target = replace(DAILY, since=date(2026, 11, 8))
    assert begins(None, state, target) == date(2026, 10, 1)
    assert begins(None, NEW, replace(DAILY, since=NEWEST)) == date(2026, 11, 17)
    assert _windows(_plan(target=replace(DAILY, since=NEWEST)).daily) == ["2026-11-17..2026-11-23"]


def _missing(on: date, days: Days, *, since: date) -> AccountState:
    """All days since `since` are covered, but for `days` that were answered without a row on the Beijing day `on`."""
    covered = Days.between(since, NEWEST) - days
    return NEW._replace(datasets=dict.fromkeys(BOTH, DatasetState(covered, empty={on: days}, refreshed_to=NEWEST)))


def _asked(planned: Plan) -> Days:
    return Days.joined(ask.window for ask in (*planned.daily, *planned.history))


@pytest.mark.parametrize("refreshed_to", [NEWEST, NEWEST - ONE_DAY])
def test_day_without_a_row_today_waits(refreshed_to: date) -> None:
    """It is asked for again on the next Beijing day, or by a refetch, even if it is in the lookback."""
    old = Days.between(date(2026, 11, 1), date(2026, 11, 17))
    state = _missing(TODAY, old, since=date(2026, 10, 1))
    datasets = {name: state.dataset(name)._replace(refreshed_to=refreshed_to) for name in BOTH}
    state = state._replace(datasets=datasets)
    planned = _plan(state)
    assert not planned.history
    assert not planned.lookback.get(SUMMARY, NO_DAYS) & old
    assert _windows(_plan(state, replace(DAILY, since=date(2026, 10, 1))).history) == []
    again = _plan(_missing(TODAY - ONE_DAY, old, since=date(2026, 10, 1)))
    assert not old - _asked(again)
    refetch = _plan(state, replace(DAILY, since=date(2026, 11, 1), until=date(2026, 11, 17), refetch=True))
    assert not old - _asked(refetch)


def test_history_ends_behind_28_days_without_a_row_today() -> None:
    """Older days wait with them, except in an exhaustive backfill."""
    first = date(2026, 11, 1)
    wall = Days.between(first - 28 * ONE_DAY, first - ONE_DAY)
    state = _missing(TODAY, wall, since=first)._replace(history_since=date(2026, 9, 1))
    assert _parts(_plan(state)) == NOTHING
    exhaustive = _plan(state, replace(DAILY, since=date(2026, 9, 1), exhaustive=True))
    assert next(iter(exhaustive.history)).window.end == first - 29 * ONE_DAY
    yesterday = _missing(TODAY - ONE_DAY, wall, since=first)._replace(history_since=date(2026, 9, 1))
    assert _plan(yesterday).history.windows == 9
    short = _missing(TODAY, wall - Days.of([first - 28 * ONE_DAY]), since=first)
    assert _plan(short._replace(history_since=date(2026, 9, 1))).history


def test_waiting_history_is_counted() -> None:
    state = NEW._replace(datasets=dict.fromkeys(BOTH, DatasetState(wait=Wait(WaitKind.NOT_BEFORE, MIDNIGHT))))
    planned = _plan(state, since=date(2026, 10, 1), before=date(2026, 11, 17))
    assert _parts(planned) == ((), (), {}, dict.fromkeys(BOTH, Wait(WaitKind.NOT_BEFORE, MIDNIGHT)), 7)


def test_two_waits_of_a_kind_are_one_notice() -> None:
    """The notice ends with the later wait."""
    early, late = (
        DatasetState(wait=Wait(WaitKind.NOT_BEFORE, NOW + timedelta(hours=1))),
        DatasetState(wait=Wait(WaitKind.NOT_BEFORE, NOW + timedelta(hours=2))),
    )
    for summary, cumulate in ((early, late), (late, early)):
        planned = _plan(NEW._replace(datasets={SUMMARY: summary, CUMULATE: cumulate}))
        assert planned.notices(ACCOUNT) == (Notice(ACCOUNT.appid, "a", WaitKind.NOT_BEFORE, NOW + timedelta(hours=2)),)
    both = {SUMMARY: Wait(WaitKind.NOT_BEFORE, NOW), CUMULATE: Wait(WaitKind.DAILY_CALLS, NOW)}
    assert [notice.kind for notice in replace(_plan(), waits=both).notices(ACCOUNT)] == ["not_before", "daily_calls"]


def test_gaps_of_asked_days_are_left() -> None:
    """Days asked in this run that are still pending are left to the next run."""
    state = _state(Days.between(date(2026, 11, 1), date(2026, 11, 19)))._replace(history_since=date(2026, 10, 25))
    assert _windows(_plan(state).daily) == ["2026-11-17..2026-11-23"]
    planned = _plan(state, before=date(2026, 11, 17))
    assert planned.daily == ()
    assert _windows(planned.history) == ["2026-10-25..2026-10-31"]


day_sets = st.sets(st.dates(NEWEST - 80 * ONE_DAY, NEWEST)).map(Days.of)


@given(day_sets, day_sets, st.dates(NEWEST - 90 * ONE_DAY, NEWEST), st.integers(1, 30), day_sets)
def test_every_pending_day_is_asked_once(summary: Days, cumulate: Days, since: date, lookback: int, void: Days) -> None:
    datasets = {
        SUMMARY: DatasetState(covered=summary, void=void - summary, refreshed_to=NEWEST),
        CUMULATE: DatasetState(covered=cumulate, refreshed_to=NEWEST - ONE_DAY),
    }
    planned = _plan(NEW._replace(datasets=datasets), Target(NEWEST, lookback), since=since)
    asks = [*planned.daily, *planned.history]
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


@given(day_sets, day_sets, day_sets)
def test_counts_without_making_windows(summary: Days, cumulate: Days, among: Days) -> None:
    for to_ask in ({SUMMARY: summary, CUMULATE: cumulate}, dict.fromkeys(BOTH, summary)):
        asks = Asks(to_ask, among)
        made = list(asks)
        assert (asks.windows, asks.calls) == (len(made), sum(len(ask.datasets) for ask in made))
        assert bool(asks) == bool(made)
        wanted = Days.union(to_ask.values()) & among
        assert (asks.begin, asks.end) == (wanted.oldest, wanted.newest)


def test_oldest_asked_day_is_left_as_well() -> None:
    """`before` itself was asked in this run."""
    holed = Days.between(date(2026, 11, 1), NEWEST) - Days.between(date(2026, 11, 17), date(2026, 11, 18))
    assert _parts(_plan(_state(holed), before=date(2026, 11, 17))) == NOTHING


def test_nothing_is_wanted_before_first_day() -> None:
    """WeChat keeps nothing older, whatever settings and state say."""
    early = FIRST_DAY - 30 * ONE_DAY
    state = NEW._replace(born=early, history_since=early)
    assert begins(early, state, replace(DAILY, since=early)) == FIRST_DAY


def test_partial_backfill_of_a_new_account() -> None:
    """It asks for its part and for the last days."""
    planned = _plan(target=replace(DAILY, since=date(2026, 3, 1), until=date(2026, 3, 14)))
    assert _windows(planned.daily) == ["2026-11-17..2026-11-23"]
    assert _windows(planned.history) == ["2026-03-08..2026-03-14", "2026-03-01..2026-03-07"]


def test_only_a_refetch_asks_for_settled_days() -> None:
    state = _state(Days.between(date(2026, 10, 1), NEWEST))
    target = replace(DAILY, since=date(2026, 11, 10))
    assert _parts(_plan(state, target)) == NOTHING
    assert _parts(_plan(state, replace(DAILY, refetch=True))) == NOTHING
    planned = _plan(state, replace(target, refetch=True))
    assert _windows([*planned.daily, *planned.history]) == ["2026-11-17..2026-11-23", "2026-11-10..2026-11-16"]


@pytest.mark.parametrize("dataset", [DatasetState(), DatasetState(calls_on=date(2026, 11, 23), calls=1)])
def test_new_day_has_used_no_daily_calls(dataset: DatasetState) -> None:
    assert _plan(NEW._replace(datasets=dict.fromkeys(BOTH, dataset)), daily_calls=1).waits == {}


def test_defaults_of_a_target() -> None:
    """A plain run wants no history, no refetch, and nothing from before an account's birth."""
    assert Target(NEWEST, 7) == Target(NEWEST, 7, since=None, until=None, refetch=False, exhaustive=False)
