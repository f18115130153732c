"""Accounts and tags over the period, a line each."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import chain

from collector.model.days import ONE_DAY, Days, Window
from collector.report.figures.account import Columns
from collector.report.figures.frame import Frame
from collector.report.figures.metrics import Metric, Missing, Ratio, Tally, Total
from collector.report.figures.sums import Part

LACKING, ABSENT, UNBORN = -1, -2, -3
"""Why a day has no total: it is expected; the account is silent or wasn't collected yet; it wasn't born."""

RECENT_DAYS = 7
"""The last days of the period among which the one is looked for that most accounts have in common."""

ALMOST_ALL = 0.99
"""Share of the accounts of the day with most of them that a newer day needs: some of thousands are always late."""


class Coverage(StrEnum):
    """How far the period of an account is covered, worst first; for the head of a page.

    * `failed` (失败): days of the period are pending, and the account has failed since its last success.
    * `pending` (待补): days of the period are pending.
    * `complete` (完整): none are; void days may be missing for ever.
    * `silent`: WeChat has had no figures of it for 14 days, and none since the period began.
    """

    FAILED = "failed"
    PENDING = "pending"
    COMPLETE = "complete"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Line:
    """One account, or all of one tag, over the period: a row of rankings and of the table of all accounts.

    `account` is the appid, None for a tag, `accounts` how many there are. `tally` has the growth up to the day of
    `total`, which is the newest day with a total, for a tag the day that its accounts have in common. `compact` has the
    totals by day of `Frame.shown`, or why there is none; those of a tag are without accounts that were collected only
    since some day of it, or fell silent. `opening` is 期初, None where it isn't stored.
    """

    name: str
    account: str | None
    accounts: int
    tags: tuple[str, ...]
    coverage: Coverage
    tally: Tally
    total: Total | None
    opening: int | None
    compact: Sequence[int]

    def value(self, metric: Metric) -> float | None:
        """Return a figure by its name."""
        if metric is Metric.CUMULATE_USER:
            return self.total.followers if self.total else None
        return self.tally.value(metric)

    @property
    def totals(self) -> list[int | None]:
        """The totals by day of `Frame.shown`; None where an account lacks the day, or there is none yet."""
        return [total if total >= 0 else None for total in self.compact]

    @property
    def index(self) -> list[float | None]:
        """The totals by day with that of the period's first day set to 100; empty where that is 0 or missing."""
        first = self.compact[0] if self.compact else 0
        return [None if total is None else 100 * total / first for total in self.totals] if first > 0 else []


def line_of(account: Columns, part: Part, frame: Frame, pending: Days) -> Line:
    """Return the line of an account, of whose period `part` has the sums, and some days are `pending`."""
    facts, days = account.facts, frame.slice(frame.shown)
    if part.is_blank:
        coverage = Coverage.SILENT
    elif pending:
        coverage = Coverage.FAILED if facts.failing else Coverage.PENDING
    else:
        coverage = Coverage.COMPLETE
    totals, has = account.cumulate_user, account.has_cumulate
    # Eight bytes a day, since the lines of all accounts are in memory together.
    compact = array("q", [totals[at] if has[at] else _why_absent(account, at) for at in range(days.start, days.stop)])
    tally = Tally(
        frame.shown,
        part.new_user if part.summary_days else None,
        part.cancel_user if part.summary_days else None,
        part.end,
        part.unfollow,
        missing=part.missing,
    )
    line = Line(facts.name, facts.account, 1, facts.tags, coverage, tally, None, part.opening, compact)
    return _with_growth(line, [line])


def sum_of(name: str, lines: Sequence[Line], shown: Window) -> Line:
    """Return the sum of some accounts, such as those of a tag, whatever their order."""
    tallies = [line.tally for line in lines]
    sums = Tally(
        shown,
        _sum(tally.new_user for tally in tallies),
        _sum(tally.cancel_user for tally in tallies),
        _sum(tally.cumulate_user for tally in tallies),
        Ratio(*map(sum, zip(*[tally.unfollow for tally in tallies], strict=True))),
        missing=Missing(*map(sum, zip(*[tally.missing for tally in tallies], strict=True))),
    )
    coverage = min((line.coverage for line in lines), key=[*Coverage].index, default=Coverage.COMPLETE)
    opening = _sum(line.opening for line in lines)
    compact = array("q", map(_total_of_all, zip(*_steady(lines), strict=True)))
    return _with_growth(Line(name, None, len(lines), (), coverage, sums, None, opening, compact), lines)


def tags_of(lines: Sequence[Line], shown: Window) -> list[Line]:
    """Return the sum of the accounts of each tag, by name."""
    by_tag: dict[str, list[Line]] = {}
    for line in lines:
        for tag in dict.fromkeys(line.tags):
            by_tag.setdefault(tag, []).append(line)
    return [sum_of(tag, of_tag, shown) for tag, of_tag in sorted(by_tag.items())]


def _why_absent(account: Columns, index: int) -> int:
    if index < account.born:
        return UNBORN
    return LACKING if account.begin <= index < account.silent_from else ABSENT


def _steady(lines: Iterable[Line]) -> list[Sequence[int]]:
    """Return the totals of the accounts that are expected on all days from their birth on."""
    return [line.compact for line in lines if ABSENT not in line.compact]


def _total_of_all(totals: Sequence[int]) -> int:
    lowest = min(totals)
    # UNBORN is lower still, and hides it from the minimum.
    if lowest == LACKING or LACKING in totals:
        return LACKING
    return sum(total for total in totals if total >= 0) if max(totals) >= 0 else UNBORN


def _with_growth(line: Line, lines: Sequence[Line]) -> Line:
    """Return a line with the total of the day that `lines` have in common, and their growth up to it."""
    index = _common_day(lines)
    if index is None:
        # Nobody expects a total of a silent account.
        lacking = sum(each.coverage is not Coverage.SILENT for each in lines)
        return replace(line, tally=replace(line.tally, growth_lacks=lacking))
    day = line.tally.days.begin + ONE_DAY * index
    followers, growth, growth_lacks, without = 0, [0, 0], 0, []
    for each in lines:
        total = each.compact[index]
        followers += max(total, 0)
        if total in {LACKING, ABSENT}:
            without.append(each.name)
        if each.opening is not None and total not in {LACKING, ABSENT}:
            growth[0] += max(total, 0) - each.opening
            growth[1] += each.opening
        elif each.coverage is not Coverage.SILENT:
            growth_lacks += 1
    tally = replace(line.tally, growth=Ratio(*growth), growth_lacks=growth_lacks)
    return replace(line, tally=tally, total=Total(day, followers, tuple(sorted(without))))


def _common_day(lines: Sequence[Line]) -> int | None:
    """Return the index of the newest day with totals of almost as many accounts as any has; None without any total."""
    count = len(lines[0].compact) if lines else 0
    # Older days count only where the last ones have no total at all.
    for days in (range(count)[-RECENT_DAYS:], range(count)):
        having = Counter(chain.from_iterable([at for at in days if line.compact[at] >= 0] for line in lines))
        if having:
            enough = ALMOST_ALL * max(having.values())
            return max(at for at, accounts in having.items() if accounts >= enough)
    return None


def _sum(numbers: Iterable[int | None]) -> int | None:
    there = [number for number in numbers if number is not None]
    return sum(there) if there else None
