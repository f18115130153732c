"""Fold accounts into the figures of a report, one at a time.

    fold = Fold(frame)
    async for account, days in read_daily(database, [*facts], frame.days):
        fold.add(columns_of(facts[account], days, frame))
    figures = fold.figures()

The contribution of an account can be added to several folds: that of all accounts, and that of each of its tags.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from collector.model.days import NO_DAYS, Window
from collector.report.figures.account import Columns, breaks_of, mark_of
from collector.report.figures.channels import ChannelSums, OfAccount, channels_of
from collector.report.figures.comparing import Pairs
from collector.report.figures.faults import AccountBreak, Gap, Silent, account_breaks, gap_of, silent_of
from collector.report.figures.frame import Against, Frame
from collector.report.figures.lines import Coverage, Line, line_of, sum_of, tags_of
from collector.report.figures.metrics import CARDS, Metric
from collector.report.figures.series import SeriesSums
from collector.report.figures.sums import Part, parts_of
from collector.report.figures.values import Card, Figures, Row

MAX_ROWS = 20_000
"""Rows of the details that a fold keeps; beyond them it keeps none."""


class Contribution(NamedTuple):
    """The part of an account in the figures of each group that it belongs to."""

    account: Columns
    parts: Mapping[Window, Part]
    breaks: Sequence[int]
    channels: OfAccount
    line: Line
    gap: Gap | None
    silent: Silent | None


def contribution_of(account: Columns, frame: Frame) -> Contribution:
    """Return the part of an account in any group."""
    parts, gap = parts_of(account, frame), gap_of(account, frame)
    line = line_of(account, parts[frame.shown], frame, gap.summary | gap.cumulate if gap else NO_DAYS)
    channels, silent = channels_of(account, parts, frame), silent_of(account, frame)
    return Contribution(account, parts, breaks_of(account), channels, line, gap, silent)


class Fold:
    """Figures of a group while its accounts are added, in any order. It grows by some 1 KB an account and month."""

    def __init__(self, frame: Frame, max_rows: int = MAX_ROWS) -> None:
        self.frame = frame
        self._pairs = Pairs(frame)
        self._series = SeriesSums(frame.days)
        self._channels = ChannelSums(frame)
        self._lines: list[Line] = []
        self._gaps: list[Gap] = []
        self._breaks: list[AccountBreak] = []
        self._silent: list[Silent] = []
        self._rows: list[Row] | None = []
        self._max_rows = max_rows

    def add(self, account: Columns) -> None:
        """Add one account."""
        self.add_contribution(contribution_of(account, self.frame))

    def add_contribution(self, contribution: Contribution) -> None:
        """Add one account that several folds have in common, which spares most of the work."""
        self._pairs.add(contribution.parts)
        self._series.add(contribution.account, contribution.breaks)
        self._channels.add(contribution.account, contribution.channels)
        self._lines.append(contribution.line)
        self._gaps += [contribution.gap] if contribution.gap else []
        self._silent += [contribution.silent] if contribution.silent else []
        self._breaks += account_breaks(contribution.account, contribution.breaks, self.frame)
        self._add_rows(contribution.account)

    def figures(self) -> Figures:
        """Return the figures of all accounts that were added."""
        lines, series = sorted(self._lines, key=_by_name), self._series.series()
        group = sum_of("", lines, self.frame.shown)
        coverage = Counter(line.coverage for line in lines)
        return Figures(
            frame=self.frame,
            coverage={each: coverage[each] for each in Coverage},
            total=group.total,
            period=group.tally,
            cards=[self._card(metric, group) for metric in CARDS],
            series=series,
            channels=self._channels.channels(self._pairs, series),
            days_without_channels=self._channels.days_without,
            lines=lines,
            tags=tags_of(lines, self.frame.shown),
            gaps=sorted(self._gaps, key=_by_name),
            breaks=sorted(self._breaks, key=lambda found: (*_by_name(found), found.found.day)),
            silent=sorted(self._silent, key=_by_name),
            unknown_channels=self._channels.unknown(),
            details=None if self._rows is None else sorted(self._rows, key=_newest_first),
        )

    def _card(self, metric: Metric, group: Line) -> Card:
        lacking = {
            Metric.CUMULATE_USER: len(group.total.lacking) if group.total else group.accounts,
            Metric.GROWTH_RATE: group.tally.growth_lacks,
        }
        return Card(
            metric,
            group.value(metric),
            group.tally.missing.of(metric),
            # These take single days, so their accounts are counted instead of days.
            0 if metric in lacking else group.tally.missing.uncollected,
            lacking.get(metric, 0),
            {against: self._pairs.compare(against, metric) for against in Against},
        )

    def _add_rows(self, account: Columns) -> None:
        shown, facts = self.frame.shown, account.facts
        if self._rows is None or len(self._rows) + len(shown) > self._max_rows:
            # Rows of some accounts would pass for those of all.
            self._rows = None
            return
        first = self.frame.slice(shown).start
        for index, day in enumerate(shown, first):
            has_summary, has_cumulate = account.has_summary[index], account.has_cumulate[index]
            self._rows.append(
                Row(
                    day,
                    facts.account,
                    facts.name,
                    mark_of(account, index, day),
                    account.new_user[index] if has_summary else None,
                    account.cancel_user[index] if has_summary else None,
                    account.cumulate_user[index] if has_cumulate else None,
                )
            )


def _by_name(one: Line | Gap | AccountBreak | Silent) -> tuple[str, str]:
    return one.name, one.account or ""


def _newest_first(row: Row) -> tuple[int, str, str]:
    return -row.ref_date.toordinal(), row.name, row.account
