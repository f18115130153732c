"""Rankings of accounts and tags, and their totals compared with the first day."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from collector.model.daily import Daily
from collector.report.figures.account import Facts, columns_of
from collector.report.figures.fold import Fold
from collector.report.figures.frame import Frame
from collector.report.figures.lines import Line
from collector.report.figures.metrics import Metric
from collector.report.figures.periods import parse
from collector.report.figures.rankings import Ranking, ranked
from collector.report.formats import largest

NEWEST = date(2026, 11, 22)
DAYS = [NEWEST - timedelta(days=age) for age in range(10, -1, -1)]
FRAME = Frame(parse("week")(NEWEST), NEWEST)


def lines_of(*accounts: tuple[str, int, int, int], born: date | None = None) -> tuple[list[Line], list[Line]]:
    """Accounts by name, the total at the beginning, and new and lost followers of each day: lines of them and of tags.

    The accounts have the letters of their names as tags.
    """
    fold = Fold(FRAME)
    for name, total, new, lost in accounts:
        facts = Facts(f"wx-{name}", name, tuple(name), born or date(2020, 1, 1), born)
        days = [
            Daily(day, new, lost, total + (new - lost) * (index + 1), ())
            for index, day in enumerate(day for day in DAYS if not born or day >= born)
        ]
        fold.add(columns_of(facts, days, FRAME))
    figures = fold.figures()
    return [*figures.lines], [*figures.tags]


def names(lines: list[Line]) -> list[str]:
    return [line.name for line in lines]


def test_gains_and_losses_are_by_net_growth() -> None:
    lines, _ = lines_of(("a", 5_000, 9, 8), ("b", 5_000, 5, 0), ("c", 5_000, 0, 2), ("d", 5_000, 1, 4), ("e", 9, 0, 0))
    assert names(ranked(lines, Ranking.GAINS)) == ["b", "a"]
    assert names(ranked(lines, Ranking.LOSSES)) == ["d", "c"]
    assert names(ranked(lines, Ranking.GAINS, top=1)) == ["b"]


def test_bars_of_losses_are_as_long_as_their_size() -> None:
    lines, _ = lines_of(("c", 5_000, 0, 2), ("d", 5_000, 1, 4))
    assert largest(lines, Metric.NET_USER) == 21


def test_equals_rank_by_name() -> None:
    lines, _ = lines_of(("b", 5_000, 1, 0), ("a", 5_000, 1, 0))
    assert names(ranked(lines, Ranking.GAINS)) == ["a", "b"]


def test_growth_is_ranked_from_a_thousand_followers_on() -> None:
    """A small account that doubles doesn't lead."""
    at_first = 1_000 - 4 * 2  # the period begins on the fifth day
    lines, _ = lines_of(("small", at_first - 1, 3, 1), ("thousand", at_first, 2, 0), ("large", 80_000, 2, 0))
    assert names(ranked(lines, Ranking.GROWTH_RATE)) == ["thousand", "large"]


def test_unfollow_rate() -> None:
    lines, _ = lines_of(("a", 1_000, 0, 1), ("b", 1_000, 5, 2), ("none", 0, 0, 0))
    assert names(ranked(lines, Ranking.UNFOLLOW_RATE)) == ["b", "a"]


def test_tags_are_ranked_alike() -> None:
    _, tags = lines_of(("xy", 5_000, 2, 0), ("y", 5_000, 3, 0))
    assert names(tags) == ["x", "y"]
    assert names(ranked(tags, Ranking.GAINS)) == ["y", "x"]
    assert [line.value(Metric.NEW_USER) for line in tags] == [14, 35]


def test_tag_that_an_account_has_twice_counts_once() -> None:
    _, tags = lines_of(("xx", 5_000, 2, 0))
    assert [(line.name, line.accounts) for line in tags] == [("x", 1)]


def test_index_is_100_on_the_first_day() -> None:
    (line,), (tag,) = lines_of(("a", 90, 2, 0))
    assert line.index == [100, 102, 104, 106, 108, 110, 112]
    assert tag.index == line.index


def test_account_without_a_first_day_has_no_index() -> None:
    (line,), _ = lines_of(("a", 0, 2, 0), born=date(2026, 11, 18))
    assert line.totals == [None, None, 2, 4, 6, 8, 10]
    assert line.index == []


def test_total_of_a_tag_on_a_day_that_an_account_lacks_is_none() -> None:
    fold = Fold(FRAME)
    whole = [Daily(day, 0, 0, 100, ()) for day in DAYS]
    for name, days in (("a", whole), ("b", [*whole[:7], *whole[8:]])):
        fold.add(columns_of(Facts(name, name, ("t",), date(2020, 1, 1)), days, FRAME))
    (tag,) = fold.figures().tags
    assert tag.totals == [200, 200, 200, None, 200, 200, 200]


def test_account_that_was_collected_since_moves_no_index_of_its_tag() -> None:
    fold = Fold(FRAME)
    whole = [Daily(day, 0, 0, 100, ()) for day in DAYS]
    facts = Facts("a", "a", ("t",), date(2020, 1, 1))
    fold.add(columns_of(facts, whole, FRAME))
    fold.add(columns_of(replace(facts, account="b", begin=DAYS[7]), whole[7:], FRAME))
    (tag,) = fold.figures().tags
    assert tag.index == [100] * 7
    assert tag.total
    assert tag.total.followers == 200
