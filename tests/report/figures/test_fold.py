"""Figures of accounts in one situation each: whole, with holes, with breaks, young, silent, of unknown channels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta
from itertools import count

import pytest

from collector.model.daily import Daily, Mark, Source
from collector.model.days import NO_DAYS, Days, Window
from collector.model.findings import Break
from collector.report.figures.account import Facts, columns_of
from collector.report.figures.comparing import Reason
from collector.report.figures.faults import AccountBreak, Gap, Silent, UnknownChannel
from collector.report.figures.fold import Fold
from collector.report.figures.frame import Against, Frame
from collector.report.figures.lines import Coverage
from collector.report.figures.metrics import Metric, Missing, Ratio, Total
from collector.report.figures.periods import parse
from collector.report.figures.values import Figures, Row

NEWEST = date(2026, 11, 25)
DAY = timedelta(days=1)
MONDAY, SUNDAY = date(2026, 11, 16), date(2026, 11, 22)
OLD = Facts("wx1", "acme", ("retail",), date(2020, 1, 1))


def frame_of(text: str = "week") -> Frame:
    return Frame(parse(text)(NEWEST), NEWEST)


def steady(begin: date, end: date, total: int = 1_000, new: int = 3, lost: int = 1) -> dict[date, Daily]:
    """Days of an account that gains and loses the same each day; `total` is that of the day before the first one."""
    days = [begin + DAY * number for number in range((end - begin).days + 1)]
    totals = count(total + new - lost, new - lost)
    sources = (Source(1, new, lost),)
    return {day: Daily(day, new, lost, all_of_them, sources) for day, all_of_them in zip(days, totals, strict=False)}


def figures_of(*accounts: tuple[Facts, dict[date, Daily]], text: str = "week", max_rows: int = 1_000) -> Figures:
    fold = Fold(frame_of(text), max_rows)
    for facts, days in accounts:
        fold.add(columns_of(facts, [*days.values()], fold.frame))
    return fold.figures()


def without(days: dict[date, Daily], gone: Iterable[date]) -> dict[date, Daily]:
    return {day: figures for day, figures in days.items() if day not in {*gone}}


def facts(name: str, begin: date = OLD.begin, born: date | None = None, *, silent: bool = False) -> Facts:
    return Facts(f"wx-{name}", name, (), begin, born, silent=silent)


def test_whole_account() -> None:
    figures = figures_of((OLD, steady(date(2025, 11, 1), SUNDAY)))
    card = {card.metric: card for card in figures.cards}
    assert figures.coverage[Coverage.COMPLETE] == 1
    assert not figures.gaps
    assert not figures.period.missing
    assert card[Metric.NEW_USER].value == 21
    assert card[Metric.NET_USER].value == 14
    assert figures.total == Total(SUNDAY, 1_000 + 2 * 387)
    assert figures.period.growth == Ratio(14, 1_760)
    totals = range(1_762, 1_775, 2)
    assert figures.period.unfollow == Ratio(7, sum(totals))
    assert {against: each.change for against, each in card[Metric.NEW_USER].comparisons.items()} == {
        Against.DAY: 0,
        Against.WEEK: 0,
        Against.MONTH: 3 / 90,  # October is longer than September
        Against.PERIOD: 0,
        Against.YEAR: 0,
    }
    assert card[Metric.CUMULATE_USER].comparisons[Against.PERIOD].change == 14 / 1_760


def test_a_week_is_compared_with_the_week_before() -> None:
    days = steady(date(2026, 11, 8), date(2026, 11, 15), new=2) | steady(MONDAY, SUNDAY, new=3)
    comparison = figures_of((OLD, days)).cards[1].comparisons[Against.WEEK]
    assert (comparison.days, comparison.base_days) == (
        Window(MONDAY, SUNDAY),
        Window(date(2026, 11, 9), date(2026, 11, 15)),
    )
    assert (comparison.this, comparison.base, comparison.change) == (21, 14, 0.5)


def test_hole_is_said_beside_each_sum() -> None:
    """A sum without two days of one account is no whole sum, and is compared without the account."""
    hole = [date(2026, 11, 18), date(2026, 11, 19)]
    days = without(steady(date(2025, 11, 1), SUNDAY), hole)
    figures = figures_of((OLD, days), (facts("b"), steady(date(2025, 11, 1), SUNDAY)))
    new_user, growth = figures.cards[1], figures.cards[5]
    assert (new_user.value, new_user.missing) == (36, 2)
    assert (growth.missing, growth.lacking) == (0, 0)
    compared = new_user.comparisons[Against.PERIOD]
    assert (compared.this, compared.base, compared.change, compared.accounts) == (21, 21, 0, 1)
    assert new_user.comparisons[Against.MONTH].change == 6 / 180
    assert new_user.comparisons[Against.MONTH].accounts == 0
    assert figures.gaps == [Gap("wx1", "acme", Days.of(hole), Days.of(hole))]
    assert figures.coverage == {
        Coverage.FAILED: 0,
        Coverage.PENDING: 1,
        Coverage.COMPLETE: 1,
        Coverage.SILENT: 0,
    }


@pytest.mark.parametrize(("gone", "coverage"), [([MONDAY], Coverage.FAILED), ([], Coverage.COMPLETE)])
def test_failing_account_has_failed_where_days_are_pending(gone: list[date], coverage: Coverage) -> None:
    days = without(steady(date(2026, 11, 1), SUNDAY), gone)
    assert figures_of((OLD.as_failing(), days)).lines[0].coverage is coverage


def test_base_with_a_hole_is_not_compared_with() -> None:
    days = without(steady(date(2025, 11, 1), SUNDAY), [date(2026, 11, 11)])
    comparisons = figures_of((OLD, days)).cards[1].comparisons
    assert comparisons[Against.PERIOD].reason is Reason.BASE_INCOMPLETE
    assert comparisons[Against.DAY].change == 0


def test_group_without_any_whole_account_is_not_compared() -> None:
    """The reason is that of the accounts which are whole in this window, if there are any."""
    late, early = date(2026, 11, 18), date(2026, 11, 11)
    days = steady(date(2026, 1, 1), SUNDAY)
    accounts = (OLD, without(days, [late])), (facts("b"), without(days, [early]))
    comparisons = figures_of(*accounts).cards[1].comparisons
    assert (comparisons[Against.PERIOD].reason, comparisons[Against.PERIOD].accounts) == (Reason.BASE_INCOMPLETE, 2)
    assert (comparisons[Against.YEAR].reason, comparisons[Against.YEAR].accounts) == (Reason.BASE_NOT_STORED, 2)
    assert figures_of(accounts[0], accounts[0]).cards[1].comparisons[Against.PERIOD].reason is Reason.INCOMPLETE


def test_account_born_in_this_window_does_not_stand_for_those_left_out() -> None:
    """Of a group whose older accounts all lack the base, it can't be said that nobody existed then."""
    young = facts("young", MONDAY, MONDAY), steady(MONDAY, SUNDAY, total=0)
    older = OLD, steady(date(2026, 11, 12), SUNDAY)
    assert figures_of(young, older).cards[1].comparisons[Against.PERIOD].reason is Reason.BASE_INCOMPLETE


def test_each_figure_leaves_out_the_accounts_that_lack_what_it_needs() -> None:
    days = steady(date(2026, 11, 1), SUNDAY)
    no_total = days | {SUNDAY: days[SUNDAY]._replace(cumulate_user=None)}
    cards = figures_of((OLD, days), (facts("b"), no_total)).cards
    assert [card.comparisons[Against.PERIOD].accounts for card in cards] == [1, 0, 0, 0, 1, 1]


def test_year_before_that_is_not_stored() -> None:
    comparisons = figures_of((OLD, steady(date(2026, 1, 1), SUNDAY))).cards[1].comparisons
    assert comparisons[Against.YEAR].reason is Reason.BASE_NOT_STORED
    assert comparisons[Against.PERIOD].reason is None


def test_year_before_of_a_week_53() -> None:
    comparisons = figures_of((OLD, steady(date(2026, 1, 1), SUNDAY)), text="2020-W53").cards[1].comparisons
    assert comparisons[Against.YEAR].reason is Reason.NO_PERIOD


def test_month_that_is_not_over_is_not_compared() -> None:
    figures = figures_of((OLD, steady(date(2025, 10, 1), NEWEST)), text="2026-11")
    assert figures.cards[1].value == 75
    assert not figures.period.missing
    comparisons = figures.cards[1].comparisons
    assert {comparisons[each].reason for each in (Against.PERIOD, Against.YEAR)} == {Reason.NOT_OVER}
    assert comparisons[Against.MONTH].days == Window(date(2026, 10, 1), date(2026, 10, 31))


def test_period_whose_last_day_is_the_newest_published_is_compared() -> None:
    figures = figures_of((OLD, steady(date(2025, 10, 1), NEWEST)), text="30")
    assert {each: figures.cards[1].comparisons[each].change for each in (Against.PERIOD, Against.YEAR)} == {
        Against.PERIOD: 0,
        Against.YEAR: 0,
    }


@pytest.mark.parametrize(
    ("new", "lost", "reason"), [(0, 0, Reason.BASE_ZERO), (1, 2, Reason.BASE_NEGATIVE), (2, 1, None)]
)
def test_base_of_net_growth(new: int, lost: int, reason: Reason | None) -> None:
    days = steady(date(2026, 11, 1), date(2026, 11, 15), new=new, lost=lost) | steady(MONDAY, SUNDAY)
    net_user = figures_of((OLD, days)).cards[3]
    assert net_user.metric is Metric.NET_USER
    assert net_user.comparisons[Against.PERIOD].reason is reason


def test_account_born_in_mid_period_lacks_nothing_before() -> None:
    born = date(2026, 11, 18)
    figures = figures_of((facts("young", born, born), steady(born, SUNDAY, total=0)))
    assert not figures.gaps
    assert not figures.period.missing
    assert figures.period.new_user == 15
    assert figures.total == Total(SUNDAY, 10)
    assert figures.series.of(frame_of().shown).marks == [Mark.UNBORN] * 2 + [Mark.STORED] * 5
    assert figures.cards[1].comparisons[Against.PERIOD].reason is Reason.BASE_UNBORN
    assert figures.period.growth == Ratio(10, 0)
    assert figures.cards[5].value is None


def test_account_born_in_mid_period_grows_the_group_from_nothing() -> None:
    born = date(2026, 11, 18)
    young = facts("young", born, born), steady(born, SUNDAY, total=0)
    figures = figures_of((OLD, steady(date(2025, 11, 1), SUNDAY)), young)
    assert figures.period.growth == Ratio(14 + 10, 1_760)
    assert figures.cards[1].comparisons[Against.PERIOD].change == 15 / 21


def test_account_born_after_the_day_of_the_total_adds_nothing_to_the_growth() -> None:
    late = steady(date(2025, 11, 1), date(2026, 11, 20))
    young = facts("young", SUNDAY, SUNDAY), steady(SUNDAY, SUNDAY, total=0)
    figures = figures_of((OLD, late), (facts("b"), late), young)
    assert figures.total
    assert (figures.total.day, figures.total.lacking) == (date(2026, 11, 20), ())
    assert figures.period.growth == Ratio(2 * 10, 2 * 1_760)


def test_total_of_a_tag_on_a_day_that_an_account_lacks_before_another_is_born() -> None:
    tagged = [replace(each, tags=("t",)) for each in (OLD, facts("young", SUNDAY, SUNDAY))]
    holes = without(steady(date(2025, 11, 1), SUNDAY), [date(2026, 11, 18)])
    whole = replace(tagged[0], account="wx2"), steady(date(2025, 11, 1), SUNDAY)
    (tag,) = figures_of((tagged[0], holes), whole, (tagged[1], steady(SUNDAY, SUNDAY, total=0))).tags
    assert tag.totals == [3_524, 3_528, None, 3_536, 3_540, 3_544, 3_550]


def test_first_day_of_an_account_can_be_missing() -> None:
    born = MONDAY - DAY
    figures = figures_of((facts("young", born, born), steady(MONDAY, SUNDAY)))
    assert (figures.lines[0].opening, figures.cards[5].lacking) == (None, 1)
    figures = figures_of((facts("young", MONDAY, MONDAY), steady(MONDAY + DAY, SUNDAY)))
    assert figures.details
    assert figures.details[-1].mark is Mark.MISSING


def test_coverage_of_a_tag_is_that_of_its_worst_account() -> None:
    days = steady(date(2025, 11, 1), SUNDAY)
    accounts = (OLD, days), (replace(OLD, account="b", failing=True), without(days, [MONDAY]))
    assert [figures_of(*accounts[:count]).tags[0].coverage for count in (1, 2)] == [Coverage.COMPLETE, Coverage.FAILED]
    pending = replace(OLD, account="c"), without(days, [MONDAY])
    assert figures_of(accounts[0], pending).tags[0].coverage is Coverage.PENDING


def test_days_before_an_account_was_collected_are_not_missing_and_make_no_whole_sum() -> None:
    begin = date(2026, 11, 18)
    figures = figures_of((facts("new", begin), steady(begin, SUNDAY)))
    assert figures.period.missing == Missing(0, 0, 2)
    assert (figures.cards[1].missing, figures.cards[1].uncollected) == (0, 2)
    assert figures.cards[1].comparisons[Against.PERIOD].reason is Reason.INCOMPLETE
    assert figures.cards[5].lacking == 1
    assert figures.gaps == [Gap("wx-new", "new", NO_DAYS, NO_DAYS, NO_DAYS, begin)]
    assert figures.series.of(frame_of().shown).marks[:3] == [Mark.UNCOLLECTED] * 2 + [Mark.STORED]
    assert figures.coverage[Coverage.COMPLETE] == 1


def test_silent_account_is_listed_and_hinders_no_comparison() -> None:
    figures = figures_of((OLD, steady(date(2025, 11, 1), SUNDAY)), (facts("mute", silent=True), {}))
    assert figures.silent == [Silent("wx-mute", "mute", None)]
    assert figures.coverage[Coverage.SILENT] == 1
    assert not figures.period.missing
    assert figures.cards[1].comparisons[Against.PERIOD].change == 0
    assert figures.total
    assert figures.total.lacking == ("mute",)


def test_account_that_fell_silent_is_not_compared_with_its_better_days() -> None:
    last = date(2026, 11, 2)
    mute = facts("mute", silent=True), steady(date(2025, 11, 1), last)
    figures = figures_of((OLD, steady(date(2025, 11, 1), SUNDAY)), mute)
    assert figures.silent == [Silent("wx-mute", "mute", last)]
    assert figures.cards[1].comparisons[Against.PERIOD].change == 0
    year = figures.cards[1].comparisons[Against.YEAR]
    assert (year.this, year.base, year.accounts) == (21, 21, 1)


def test_account_that_fell_silent_after_the_period_lacks_days_like_others() -> None:
    """A report on a former period reads no later days, so the state says that the account had some."""
    days, hole = steady(date(2025, 6, 1), date(2026, 9, 28)), [date(2026, 9, 29), date(2026, 9, 30)]
    mute = replace(facts("mute", silent=True), newest=date(2026, 10, 20))
    figures = figures_of((mute, days), text="2026-09")
    assert [(each.cumulate, figures.silent) for each in figures.gaps] == [(Days.of(hole), [])]
    assert figures.series.lacking_cumulate[-3:] == [0, 1, 1]
    figures = figures_of((mute, without(days, Window(date(2026, 9, 1), date(2026, 9, 30)))), text="2026-09")
    assert (figures.period.missing.summary, figures.coverage[Coverage.PENDING]) == (30, 1)
    figures = figures_of((mute, days), text="2026-11")
    assert (figures.silent, figures.period.missing) == ([Silent("wx-mute", "mute", date(2026, 10, 20))], Missing())


def test_silent_account_alone() -> None:
    figures = figures_of((facts("mute", silent=True), {}))
    assert not figures.has_figures
    assert [card.value for card in figures.cards] == [None] * 6
    assert {each.reason for card in figures.cards for each in card.comparisons.values()} == {Reason.BASE_NOT_STORED}


def test_zeros_that_came_were_proven_or_are_missing_differ() -> None:
    days = steady(date(2026, 11, 1), SUNDAY, new=0, lost=0)
    days[date(2026, 11, 17)] = days[date(2026, 11, 17)]._replace(sources=())
    days[date(2026, 11, 18)] = Daily(date(2026, 11, 18), cumulate_user=1_000)
    del days[date(2026, 11, 19)]
    del days[date(2026, 11, 20)]
    about = Facts("wx1", "acme", (), OLD.begin, void=Days.of([date(2026, 11, 20)]))
    figures = figures_of((about, days))
    marks = [Mark.STORED, Mark.PROVEN, Mark.PARTIAL, Mark.MISSING, Mark.VOID, Mark.STORED, Mark.STORED]
    assert figures.series.of(frame_of().shown).marks == marks
    assert figures.series.of(frame_of().shown).new_user == [0, 0, None, None, None, 0, 0]
    assert figures.details
    assert [row.mark for row in figures.details][::-1] == marks
    assert figures.details[-3] == Row(date(2026, 11, 18), "wx1", "acme", Mark.PARTIAL, None, None, 1_000)
    gap = Gap("wx1", "acme", Days.of(date(2026, 11, each) for each in (18, 19)), Days.of([date(2026, 11, 19)]))
    assert [(each.summary, each.cumulate) for each in figures.gaps] == [(gap.summary, gap.cumulate)]
    assert figures.gaps[0].void == about.void
    assert figures.period.missing == Missing(3, 2, 0, 3)


def test_unfollow_rate_is_of_days_with_both_figures() -> None:
    days = steady(date(2026, 11, 1), SUNDAY)
    days[MONDAY] = Daily(MONDAY, 3, 1, None, ())
    days[SUNDAY] = Daily(SUNDAY, cumulate_user=1_044)
    figures = figures_of((OLD, days))
    assert figures.period.cancel_user == 6
    assert figures.period.unfollow == Ratio(5, sum(range(1_034, 1_043, 2)))
    assert figures.period.missing == Missing(1, 1, 0, 2)
    assert figures.cards[4].missing == 2


def test_break() -> None:
    days = steady(date(2026, 11, 1), SUNDAY)
    wrong = date(2026, 11, 18)
    days[wrong] = days[wrong]._replace(cumulate_user=2_000)
    figures = figures_of((OLD, days))
    expected = [Break(wrong, 1_036, 2_000), Break(wrong + DAY, 2_002, 1_038)]
    assert figures.breaks == [AccountBreak("wx1", "acme", each) for each in expected]
    assert figures.series.of(frame_of().shown).breaks == [0, 0, 1, 1, 0, 0, 0]


def test_break_before_the_period_is_marked_in_the_series_alone() -> None:
    days = steady(date(2026, 10, 1), SUNDAY)
    days |= steady(date(2026, 11, 1), SUNDAY, total=5_000)
    figures = figures_of((OLD, days))
    assert not figures.breaks
    assert sum(figures.series.breaks) == 1


def test_total_of_a_group_is_of_a_day_that_most_have() -> None:
    """The newest of the last seven days on which most accounts have a total; who lacks it is named."""
    late = steady(date(2026, 11, 1), date(2026, 11, 20))
    gone = steady(date(2026, 11, 1), date(2026, 11, 12))
    accounts = [(facts(name), late) for name in ("a", "b")]
    figures = figures_of((OLD, steady(date(2026, 11, 1), SUNDAY)), *accounts, (facts("gone"), gone))
    assert figures.total == Total(date(2026, 11, 20), 3 * 1_040, ("gone",))


def test_total_is_looked_for_among_seven_days() -> None:
    early = steady(date(2026, 10, 1), date(2026, 11, 18))
    accounts = [(facts(name), early) for name in ("a", "b")]
    on_time = OLD, steady(date(2026, 10, 1), NEWEST)
    assert figures_of(on_time, *accounts, text="10").total == Total(NEWEST, 1_112, ("a", "b"))
    assert figures_of(*accounts, text="10").total == Total(date(2026, 11, 18), 2 * 1_098)


def test_mean_of_seven_days_is_of_those_that_are_there() -> None:
    days = steady(date(2026, 11, 1), date(2026, 11, 15), new=10) | steady(MONDAY, SUNDAY, new=3)
    figures = figures_of((OLD, without(days, [date(2026, 11, 14), date(2026, 11, 20)])))
    means = figures.series.mean(Metric.NEW_USER)[figures.series.slice(frame_of().shown)]
    assert means == [
        (10 * 5 + 3) / 6,
        (10 * 4 + 6) / 6,
        (10 * 3 + 9) / 6,
        (10 * 2 + 12) / 6,
        (10 + 12) / 5,
        (10 + 15) / 6,
        3,
    ]
    assert figures.series.mean(Metric.NEW_USER)[0] is None


def test_mean_over_a_day_that_an_account_lacks_is_no_whole_one() -> None:
    late = without(steady(date(2026, 11, 1), SUNDAY), [SUNDAY])
    figures = figures_of((OLD, steady(date(2026, 11, 1), SUNDAY)), (facts("late"), late))
    assert figures.series.new_user[-1] == 3
    assert figures.series.whole(Metric.NEW_USER)[-2:] == [6, None]
    assert figures.series.mean(Metric.NEW_USER)[-2:] == [6, (6 * 6 + 3) / 7]
    assert figures.series.whole_mean(Metric.NEW_USER)[-2:] == [6, None]
    assert figures.series.whole(Metric.CUMULATE_USER)[-2:] == [2_084, None]


def test_channels() -> None:
    days = steady(date(2026, 11, 8), SUNDAY)
    for day in days:
        if day >= MONDAY:
            days[day] = days[day]._replace(sources=(Source(1, 2, 0), Source(30, 1, 1)))
    search, code = figures_of((OLD, days)).channels
    assert (search.code, search.new_user, search.cancel_user, search.net_user) == (1, 14, 0, 14)
    assert search.share == Ratio(14, 21)
    assert search.lost_to_new == Ratio(0, 14)
    assert (search.change.this, search.change.base, search.change.change) == (14, 21, -1 / 3)
    assert (code.code, code.change.reason) == (30, Reason.BASE_ZERO)
    assert code.by_day[-8:] == [0, 1, 1, 1, 1, 1, 1, 1]
    assert code.by_day[0] is None


def test_channels_with_as_many_new_followers_are_listed_by_the_lost_ones() -> None:
    days = {SUNDAY: Daily(SUNDAY, 4, 3, 10, (Source(1, 2, 0), Source(30, 2, 1), Source(17, 0, 2)))}
    assert [channel.code for channel in figures_of((OLD, days)).channels] == [30, 1, 17]


def test_unknown_channels_are_listed() -> None:
    days = steady(date(2026, 11, 16), SUNDAY)
    days[SUNDAY] = days[SUNDAY]._replace(sources=(Source(2, 3, 1),))
    figures = figures_of((OLD, days), (facts("b"), days))
    assert figures.unknown_channels == [UnknownChannel(2, 6, 2)]
    assert 2 in {channel.code for channel in figures.channels}


def test_account_without_channels_is_not_in_their_comparison() -> None:
    days = steady(date(2026, 11, 8), SUNDAY)
    lacking = days | {SUNDAY: days[SUNDAY]._replace(sources=None)}
    (channel,) = figures_of((OLD, days), (facts("b"), lacking)).channels
    assert channel.by_day[-2:] == [6, 3]
    change = channel.change
    assert (change.this, change.base, change.change, change.accounts) == (21, 21, 0, 1)


def test_unknown_channel_before_the_period_is_not_listed() -> None:
    days = steady(date(2026, 11, 1), SUNDAY)
    days[MONDAY - DAY] = days[MONDAY - DAY]._replace(sources=(Source(2, 3, 1),))
    figures = figures_of((OLD, days))
    assert figures.unknown_channels == []
    assert [channel.code for channel in figures.channels] == [1]


def test_days_without_channels_are_counted() -> None:
    days = steady(date(2026, 11, 8), SUNDAY)
    days[SUNDAY] = days[SUNDAY]._replace(sources=None)
    figures = figures_of((OLD, days))
    assert figures.days_without_channels == 1
    assert figures.channels[0].change.reason is Reason.INCOMPLETE
    assert figures.channels[0].by_day[-2:] == [3, None]


def test_days_outside_of_the_frame_are_left_out() -> None:
    days = steady(date(2020, 1, 1), NEWEST)
    assert figures_of((OLD, days)).total == Total(SUNDAY, days[SUNDAY].cumulate_user or 0)


def test_details_are_the_period_by_account_newest_first() -> None:
    days = steady(date(2026, 11, 1), SUNDAY)
    details = figures_of((facts("b"), days), (facts("a"), days)).details
    assert details
    assert len(details) == 14
    assert [(row.ref_date, row.name, row.net_user) for row in details[:2]] == [(SUNDAY, "a", 2), (SUNDAY, "b", 2)]


def test_details_that_are_too_many_are_none() -> None:
    days = steady(date(2026, 11, 1), SUNDAY)
    assert figures_of((facts("b"), days), (facts("a"), days), max_rows=13).details is None
    assert figures_of((facts("b"), days), (facts("a"), days), max_rows=14).details


@pytest.mark.parametrize(("late", "day"), [(1, SUNDAY), (2, SUNDAY - DAY)])
def test_few_of_many_are_late(late: int, day: date) -> None:
    """One of a hundred doesn't hold the day of the total back; it is named."""
    days = steady(date(2026, 11, 1), SUNDAY)
    names = [f"a{number:03}" for number in range(100)]
    accounts = [(facts(name), without(days, [SUNDAY] if number < late else [])) for number, name in enumerate(names)]
    total = figures_of(*accounts).total
    assert total is not None
    assert (total.day, total.lacking) == (day, ("a000",) if late == 1 else ())
