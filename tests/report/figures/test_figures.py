"""Properties of the figures: they are what plain Python computes from the documents, account by account."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

from hypothesis import given, settings
from hypothesis import strategies as st

from collector.model.daily import Daily, Mark, Source
from collector.model.days import Window
from collector.report.figures.account import Facts, columns_of
from collector.report.figures.comparing import Comparison, Reason
from collector.report.figures.fold import Fold
from collector.report.figures.frame import Against, Frame
from collector.report.figures.metrics import CARDS, Metric
from collector.report.figures.periods import parse
from collector.report.figures.values import Figures

NEWEST = date(2026, 11, 25)
DAY = timedelta(days=1)
CODES = (0, 1, 17, 30, 999)


@dataclass(frozen=True)
class Case:
    """An account that may have been born or first collected on some day, with holes, breaks, and an early end.

    Days are counted from the first one of the frame. Its documents are made when they are needed: hypothesis complains
    of slow strategies.
    """

    frame: Frame
    number: int
    name: str
    tags: frozenset[str]
    born_at: int
    collected_after: int
    reach: int  # windows reach back further than what is wanted
    left_before_end: int
    holes: Sequence[tuple[int, int, str]]
    seed: int
    failing: bool

    @cached_property
    def days(self) -> dict[date, Daily]:
        """The stored days by date."""
        rng, days = random.Random(self.seed), {}
        total = rng.randrange(3) * 1000
        begin = max(self.born_at, self.begin_at - self.reach)
        for index in range(begin, len(self.frame.days) - self.left_before_end):
            lost = {dataset for at, length, dataset in self.holes if at <= index < at + length}
            sources = tuple(Source(code, rng.randrange(4), rng.randrange(3)) for code in CODES if rng.random() < 0.4)
            new, cancel = sum(each.new_user for each in sources), sum(each.cancel_user for each in sources)
            total = max(0, total + new - cancel + (rng.randrange(20) == 0))
            if lost < {"s", "c"} and "t" not in lost:
                day = self.frame.days.begin + DAY * index
                stored = Daily(day, new, cancel, total, sources)
                stored = stored._replace(cumulate_user=None) if "c" in lost else stored
                days[day] = stored._replace(new_user=None, cancel_user=None, sources=None) if "s" in lost else stored
        return days

    @cached_property
    def facts(self) -> Facts:
        first = self.frame.days.begin
        return Facts(
            f"wx{self.number}",
            self.name,
            tuple(self.tags),
            first + DAY * self.begin_at,
            first + DAY * self.born_at if self.born_at else None,
            failing=self.failing,
            silent=not self.days or (self.frame.end - self.last).days >= 14,
        )

    @property
    def begin_at(self) -> int:
        return min(self.born_at + self.collected_after, len(self.frame.days))

    @property
    def born(self) -> date:
        return self.facts.born or date.min

    @property
    def last(self) -> date:
        return max(self.days, default=date.min)

    def lived(self, window: Window) -> list[date]:
        return [day for day in window if day >= self.born]

    def is_blank(self, window: Window) -> bool:
        return self.facts.silent and self.last < window.begin

    def total(self, day: date) -> int | None:
        """The total of a day; 0 before the account was born."""
        stored = self.days.get(day)
        total = stored.cumulate_user if stored else None
        return 0 if total is None and day < self.born else total

    def expected(self, window: Window) -> list[date]:
        return [] if self.is_blank(window) else [day for day in window if day >= self.facts.begin]


@st.composite
def cases(draw: st.DrawFn, frame: Frame, number: int) -> Case:
    count = len(frame.days)
    return Case(
        frame,
        number,
        name=draw(st.sampled_from(["甲", "乙", "丙"])),
        tags=draw(st.frozensets(st.sampled_from(["a", "b"]))),
        born_at=draw(st.one_of(st.just(0), st.integers(0, count), st.integers(max(0, count - 40), count))),
        collected_after=draw(st.one_of(st.just(0), st.integers(0, 40), st.integers(0, count))),
        reach=draw(st.integers(0, 6)),
        left_before_end=draw(st.one_of(st.just(0), st.integers(0, min(70, count)))),
        holes=draw(st.lists(st.tuples(st.integers(0, count), st.integers(1, 40), st.sampled_from("sct")), max_size=3)),
        seed=draw(st.integers(0, 1000)),
        failing=draw(st.booleans()),
    )


@st.composite
def groups(draw: st.DrawFn) -> tuple[Frame, list[Case]]:
    periods = st.sampled_from(["week", "month", "2026-11", "2026-09", "2026-W40", "2020-W53", "1", "10", "60"])
    frame = Frame(parse(draw(periods))(NEWEST), NEWEST)
    return frame, [draw(cases(frame, number)) for number in range(draw(st.integers(1, 4)))]


def folded(frame: Frame, cases: Sequence[Case]) -> Figures:
    fold = Fold(frame)
    for case in cases:
        fold.add(columns_of(case.facts, [*case.days.values()], frame))
    return fold.figures()


def stored(cases: Sequence[Case], window: Window) -> Iterator[Daily]:
    for case in cases:
        yield from (case.days[day] for day in window if day in case.days)


@settings(max_examples=50)
@given(groups(), st.randoms())
def test_order_of_accounts_does_not_matter(group: tuple[Frame, list[Case]], rng: random.Random) -> None:
    frame, cases = group
    shuffled = [*cases]
    rng.shuffle(shuffled)
    assert folded(frame, shuffled) == folded(frame, cases)


@settings(max_examples=50)
@given(groups())
def test_sums_are_those_of_the_documents(group: tuple[Frame, list[Case]]) -> None:
    frame, cases = group
    period = folded(frame, cases).period
    days = [*stored(cases, frame.shown)]
    summaries = [day for day in days if day.new_user is not None]
    assert period.new_user == (sum(day.new_user or 0 for day in summaries) if summaries else None)
    assert period.cancel_user == (sum(day.cancel_user or 0 for day in summaries) if summaries else None)
    assert period.net_user == (sum(day.net_user or 0 for day in summaries) if summaries else None)
    both = [(day.cancel_user, day.cumulate_user) for day in days if None not in {day.cancel_user, day.cumulate_user}]
    assert period.unfollow == tuple(sum(pair[at] or 0 for pair in both) for at in (0, 1))


@settings(max_examples=50)
@given(groups())
def test_days_of_the_period_that_are_missing_are_counted(group: tuple[Frame, list[Case]]) -> None:
    frame, cases = group
    missing = folded(frame, cases).period.missing
    expected = [(case, day) for case in cases for day in case.expected(frame.shown)]
    absent = Daily(date.min)
    assert missing.summary == sum(case.days.get(day, absent).new_user is None for case, day in expected)
    assert missing.cumulate == sum(case.days.get(day, absent).cumulate_user is None for case, day in expected)
    assert missing.days == sum(None in case.days.get(day, absent)[1:4] for case, day in expected)
    before = [(case, day) for case in cases for day in case.lived(frame.shown) if day < case.facts.begin]
    assert missing.uncollected == sum(None in case.days.get(day, absent)[1:4] for case, day in before)


@settings(max_examples=50)
@given(groups())
def test_total_is_of_one_day_and_names_who_lacks_it(group: tuple[Frame, list[Case]]) -> None:
    frame, cases = group
    total = folded(frame, cases).total
    having = {day: [case for case in cases if _has_total(case, day)] for day in frame.shown}
    if total is None:
        assert not any(having.values())
        return
    recent = [*frame.shown][-7:]
    days = recent if any(having[day] for day in recent) else [*frame.shown]
    assert total.day == max(days, key=lambda day: (len(having[day]), day))
    assert total.followers == sum(case.total(total.day) or 0 for case in having[total.day])
    assert total.lacking == tuple(sorted(case.facts.name for case in cases if case.total(total.day) is None))


def _has_total(case: Case, day: date) -> bool:
    return day in case.days and case.days[day].cumulate_user is not None


@settings(max_examples=50)
@given(groups())
def test_growth_is_of_accounts_with_both_totals(group: tuple[Frame, list[Case]]) -> None:
    frame, cases = group
    figures = folded(frame, cases)
    if figures.total is None:
        return
    ends = [(case.total(frame.shown.begin - DAY), case.total(figures.total.day)) for case in cases]
    both = [(opening, closing) for opening, closing in ends if opening is not None and closing is not None]
    opening = sum(each[0] for each in both)
    assert figures.period.growth == (sum(each[1] for each in both) - opening, opening)


@settings(max_examples=50)
@given(groups())
def test_sum_that_lacks_a_day_says_so(group: tuple[Frame, list[Case]]) -> None:
    """No card is without a remark, unless all that was there to be had is in it."""
    frame, cases = group
    for card in folded(frame, cases).cards:
        if card.missing or card.uncollected or card.lacking:
            continue
        for case in cases:
            if case.is_blank(frame.shown):
                continue
            if card.metric in {Metric.NEW_USER, Metric.CANCEL_USER, Metric.NET_USER, Metric.UNFOLLOW_RATE}:
                lived = [case.days.get(day) for day in case.lived(frame.shown)]
                assert all(day and day.new_user is not None for day in lived)
            if card.metric is Metric.GROWTH_RATE:
                assert case.total(frame.shown.begin - DAY) is not None


def _is_whole(case: Case, metric: Metric, window: Window) -> bool:
    days = [case.days.get(day) for day in case.lived(window)]
    has_summaries = all(day and day.new_user is not None for day in days)
    match metric:
        case Metric.CUMULATE_USER:
            return case.total(window.end) is not None
        case Metric.GROWTH_RATE:
            return case.total(window.end) is not None and case.total(window.begin - DAY) is not None
        case Metric.UNFOLLOW_RATE:
            return has_summaries and all(day and day.cumulate_user is not None for day in days)
        case _:
            return has_summaries


def _figure(cases: Sequence[Case], metric: Metric, window: Window) -> float | None:
    days = [*stored(cases, window)]
    new, cancel = sum(day.new_user or 0 for day in days), sum(day.cancel_user or 0 for day in days)
    totals = sum(day.cumulate_user or 0 for day in days)
    closing, opening = (sum(case.total(day) or 0 for case in cases) for day in (window.end, window.begin - DAY))
    match metric:
        case Metric.CUMULATE_USER:
            return closing
        case Metric.GROWTH_RATE:
            return (closing - opening) / opening if opening else None
        case Metric.UNFOLLOW_RATE:
            return cancel / totals if totals else None
        case Metric.NEW_USER:
            return new
        case Metric.CANCEL_USER:
            return cancel
        case _:
            return new - cancel


@settings(max_examples=150)
@given(groups())
def test_comparisons_are_like_for_like(group: tuple[Frame, list[Case]]) -> None:
    """Each compares the accounts that are whole in both windows, and counts the others."""
    frame, cases = group
    for card in folded(frame, cases).cards:
        for against, comparison in card.comparisons.items():
            _check(frame, cases, card.metric, against, comparison)


def _check(frame: Frame, cases: Sequence[Case], metric: Metric, against: Against, comparison: Comparison) -> None:
    assert (comparison.change is None) == (comparison.reason is not None)
    this, base = frame.pairs[against]
    if base is None:
        assert comparison.reason in {Reason.NO_PERIOD, Reason.NOT_OVER}
        return
    present = [case for case in cases if not (case.is_blank(this) and case.is_blank(base))]
    whole = [case for case in present if all(_is_whole(case, metric, window) for window in (this, base))]
    assert comparison.accounts == len(present) - len(whole)
    value, base_value = (_figure(whole, metric, window) for window in (this, base))
    if comparison.change is not None:
        assert value is not None
        assert base_value is not None
        assert base_value > 0
        assert (comparison.this, comparison.base) == (value, base_value)
        assert comparison.change == (value - base_value) / base_value
    elif comparison.reason in {Reason.INCOMPLETE, Reason.BASE_INCOMPLETE, Reason.BASE_NOT_STORED, Reason.BASE_UNBORN}:
        assert not [*stored(whole, base)]
    else:
        assert value is None or base_value is None or base_value <= 0 or not frame.is_over


@settings(max_examples=50)
@given(groups())
def test_account_alone_is_compared_where_both_windows_are_whole(group: tuple[Frame, list[Case]]) -> None:
    frame, [case, *_] = group
    for card in folded(frame, [case]).cards:
        for against, comparison in card.comparisons.items():
            this, base = frame.pairs[against]
            if comparison.change is not None:
                assert base is not None
                assert _is_whole(case, card.metric, this)
                assert _is_whole(case, card.metric, base)
                assert comparison.accounts == 0


@settings(max_examples=100)
@given(groups())
def test_channels_are_compared_like_for_like(group: tuple[Frame, list[Case]]) -> None:
    frame, cases = group
    this, base = frame.pairs[Against.PERIOD]
    assert base is not None
    present = [case for case in cases if not (case.is_blank(this) and case.is_blank(base))]
    whole = [case for case in present if all(_is_whole(case, Metric.NEW_USER, window) for window in (this, base))]
    for channel in folded(frame, cases).channels:
        sums = [
            sum(s.new_user for day in stored(whole, window) for s in day.sources or () if s.user_source == channel.code)
            for window in (this, base)
        ]
        assert (channel.change.this, channel.change.base) == (*sums,)
        assert channel.change.accounts == len(present) - len(whole)
        if channel.change.change is not None:
            assert channel.change.change == (sums[0] - sums[1]) / sums[1]


@settings(max_examples=50)
@given(groups())
def test_series_are_the_sums_by_day(group: tuple[Frame, list[Case]]) -> None:
    frame, cases = group
    series = folded(frame, cases).series
    assert series.days == frame.days
    for index, day in enumerate(frame.days):
        there = [case.days[day] for case in cases if day in case.days]
        new = [each.new_user for each in there if each.new_user is not None]
        totals = [each.cumulate_user for each in there if each.cumulate_user is not None]
        assert series.new_user[index] == (sum(new) if new else None)
        assert series.cumulate_user[index] == (sum(totals) if totals else None)
        waiting = [c for c in cases if day >= c.facts.begin and not (c.facts.silent and day > c.last)]
        assert series.lacking_summary[index] == sum(c.days.get(day, Daily(day)).new_user is None for c in waiting)
        assert series.lacking_cumulate[index] == sum(c.days.get(day, Daily(day)).cumulate_user is None for c in waiting)
        is_whole = bool(there) and not series.lacking_summary[index] and not series.lacking_cumulate[index]
        assert (series.marks[index] in {Mark.STORED, Mark.PROVEN}) == (is_whole and len(new) == len(totals))


@settings(max_examples=50)
@given(groups())
def test_channels_add_up(group: tuple[Frame, list[Case]]) -> None:
    frame, cases = group
    figures = folded(frame, cases)
    assert sum(channel.new_user for channel in figures.channels) == (figures.period.new_user or 0)
    assert sum(channel.cancel_user for channel in figures.channels) == (figures.period.cancel_user or 0)
    for channel in figures.channels:
        rows = [s for day in stored(cases, frame.shown) for s in day.sources or () if s.user_source == channel.code]
        assert channel.new_user == sum(row.new_user for row in rows)
        assert channel.cancel_user == sum(row.cancel_user for row in rows)
        assert channel.share == (channel.new_user, figures.period.new_user)


@settings(max_examples=50)
@given(groups())
def test_lines_and_tags_are_the_figures_of_their_accounts(group: tuple[Frame, list[Case]]) -> None:
    """A line of an account or a tag says the same as a report on it alone."""
    frame, cases = group
    figures = folded(frame, cases)
    for line in figures.lines:
        alone = folded(frame, [case for case in cases if case.facts.account == line.account])
        assert (line.tally, line.total) == (alone.period, alone.total)
    for line in figures.tags:
        alone = folded(frame, [case for case in cases if line.name in case.facts.tags])
        assert (line.tally, line.total, line.accounts) == (alone.period, alone.total, len(alone.lines))


def test_cards_are_the_figures_of_the_page_in_its_order() -> None:
    frame = Frame(parse("week")(NEWEST), NEWEST)
    cards = folded(frame, []).cards
    assert tuple(card.metric for card in cards) == CARDS
    assert all(card.value is None for card in cards)
