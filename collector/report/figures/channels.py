"""Figures by channel (来源)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import add
from typing import NamedTuple

from collector.model.channels import CHANNELS
from collector.model.days import Window
from collector.report.figures.account import Columns
from collector.report.figures.comparing import Comparison, Pairs, compared
from collector.report.figures.faults import UnknownChannel
from collector.report.figures.frame import Against, Frame
from collector.report.figures.metrics import Ratio
from collector.report.figures.series import Series
from collector.report.figures.sums import Lack, Part


@dataclass(frozen=True, slots=True)
class Channel:
    """Figures of one channel over the period. `by_day` has its new followers on the days of the series.

    `share` is its part of the new followers of all channels (渠道占比), `change` compares its new followers with the
    period before (环比). An unknown code has no entry in `CHANNELS`: show its number.
    """

    code: int
    new_user: int
    cancel_user: int
    share: Ratio
    change: Comparison
    by_day: Sequence[int | None]

    @property
    def net_user(self) -> int:
        """The new followers without the lost ones."""
        return self.new_user - self.cancel_user

    @property
    def lost_to_new(self) -> Ratio:
        """The lost followers for each new one (取关/新增比)."""
        return Ratio(self.cancel_user, self.new_user)


NEED = Lack.SUMMARY | Lack.CHANNELS
"""Figures that must be whole in both windows for the comparison of a channel."""


class OfAccount(NamedTuple):
    """New and lost followers of an account by channel, as columns; `unknown` are codes of the period without a name.

    `compared` are the new followers of the period and of the one before it; empty if the account isn't whole in both.
    """

    new_user: Mapping[int, Sequence[int]]
    cancel_user: Mapping[int, Sequence[int]]
    unknown: frozenset[int]
    compared: Mapping[int, tuple[int, int]]


def channels_of(account: Columns, parts: Mapping[Window, Part], frame: Frame) -> OfAccount:
    """Return the figures of an account by channel."""
    count, shown = len(frame.days), frame.slice(frame.shown)
    new_user: dict[int, list[int]] = {}
    cancel_user: dict[int, list[int]] = {}
    for index, sources in account.sources:
        for code, new, lost in sources:
            if code not in new_user:
                new_user[code], cancel_user[code] = [0] * count, [0] * count
            new_user[code][index] += new
            cancel_user[code][index] += lost
    # Nearly all accounts have none, and are spared the second pass over their channels.
    unnamed = new_user.keys() - CHANNELS.keys()
    unknown = {
        code
        for index, sources in (account.sources if unnamed else ())
        for code, _, _ in sources
        if code in unnamed and shown.start <= index < shown.stop
    }
    return OfAccount(new_user, cancel_user, frozenset(unknown), _compared(new_user, parts, frame))


class ChannelSums:
    """Figures by channel and day while accounts are added."""

    def __init__(self, frame: Frame) -> None:
        count = len(frame.days)
        self._frame = frame
        self._new_user: dict[int, Sequence[int]] = {}
        self._cancel_user: dict[int, Sequence[int]] = {}
        self._compared: dict[int, tuple[int, int]] = {}
        self._without = [0] * count
        self._accounts: Counter[int] = Counter()

    def add(self, account: Columns, channels: OfAccount) -> None:
        """Add one account."""
        for sums, columns in ((self._new_user, channels.new_user), (self._cancel_user, channels.cancel_user)):
            for code, column in columns.items():
                before = sums.get(code)
                # The first column is taken uncopied, since no column is ever changed.
                sums[code] = column if before is None else list(map(add, before, column))
        for code, (this, base) in channels.compared.items():
            before = self._compared.get(code, (0, 0))
            self._compared[code] = before[0] + this, before[1] + base
        self._accounts.update(channels.unknown)
        for index in account.without_sources:
            self._without[index] += 1

    @property
    def days_without(self) -> int:
        """The days of accounts in the period whose channels aren't stored though their sums are."""
        return sum(self._without[self._frame.slice(self._frame.shown)])

    def channels(self, pairs: Pairs, series: Series) -> list[Channel]:
        """Return the channels with any follower in the period, most new followers first."""
        shown = self._frame.slice(self._frame.shown)
        new_user = {code: sum(by_day[shown]) for code, by_day in self._new_user.items()}
        cancel_user = {code: sum(by_day[shown]) for code, by_day in self._cancel_user.items()}
        total = sum(new_user.values())
        gaps = self._gaps(series)
        # An unknown code is listed without followers too: it is reported among the anomalies.
        codes = [code for code in new_user if new_user[code] or cancel_user[code] or self._accounts[code]]
        return [
            Channel(
                code,
                new_user[code],
                cancel_user[code],
                Ratio(new_user[code], total),
                self._change(code, pairs),
                [None if is_gap else new for new, is_gap in zip(self._new_user[code], gaps, strict=True)],
            )
            for code in sorted(codes, key=lambda code: (-new_user[code], -cancel_user[code], code))
        ]

    def _gaps(self, series: Series) -> list[bool]:
        """Return for each day if it has no figures by channel: nothing is stored of it, or sums alone."""
        new_user = self._new_user.values()
        return [
            sums is None or (without > 0 and not any(by_day[index] for by_day in new_user))
            for index, (sums, without) in enumerate(zip(series.new_user, self._without, strict=True))
        ]

    def unknown(self) -> list[UnknownChannel]:
        """Return the codes of the period that aren't in the table of channels."""
        shown = self._frame.slice(self._frame.shown)
        return [
            UnknownChannel(code, sum(self._new_user[code][shown]), accounts)
            for code, accounts in sorted(self._accounts.items())
        ]

    def _change(self, code: int, pairs: Pairs) -> Comparison:
        days, whole = self._frame.pairs[Against.PERIOD], pairs.whole(Against.PERIOD, NEED)
        # No whole account has the channel in either window.
        this, base = self._compared.get(code, (0, 0))
        return compared(days, this, base, whole.reason, whole.left_out)


def _compared(
    new_user: Mapping[int, Sequence[int]], parts: Mapping[Window, Part], frame: Frame
) -> Mapping[int, tuple[int, int]]:
    this, base = frame.pairs[Against.PERIOD]
    if base is None or (parts[this].lacks | parts[base].lacks) & NEED:
        return {}
    of_this, of_base = frame.slice(this), frame.slice(base)
    return {code: (sum(column[of_this]), sum(column[of_base])) for code, column in new_user.items()}
