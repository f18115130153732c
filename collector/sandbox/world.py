"""The truth: accounts whose every figure follows from the seed, the appid and the day. Pure.

Cumulate comes first: on a *moving* day it is drawn from the day alone, on a *still* one it stays what
it was. The net is the step between two days, and the rows of summary are drawn so that they add up to
it. So any day can be computed without the days before it, but for the still days right behind it.

The shapes are those of recorded answers: several sources a day, unknown ones among them, source 0 often
but not always, keys in any order, and days without movement that summary lists with zeros or leaves out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, time, timedelta, timezone
from enum import Enum, auto
from functools import cached_property

from collector.sandbox.dice import Dice, hex_digits

BEIJING = timezone(timedelta(hours=8), "Asia/Shanghai")
FIRST_DAY = date(2014, 12, 1)
"""WeChat keeps nothing older."""

Row = dict[str, int | str]
"""A row of an answer, as JSON has it."""

_SOURCES = (1, 3, 10, 11, 17, 30, 35, 39, 43, 51, 57, 75, 78, 100, 149, 161, 200, 201)
"""The values of `user_source` but 0; 10 and 11 were seen, and WeChat never named them."""

_KEY_ORDERS = (
    ("ref_date", "user_source", "new_user", "cancel_user"),
    ("user_source", "ref_date", "cancel_user", "new_user"),
    ("ref_date", "new_user", "cancel_user", "user_source"),
)


@dataclass(frozen=True, slots=True)
class SandboxAccount:
    """One official account, with its credentials."""

    appid: str
    secret: str = field(repr=False)
    name: str


@dataclass(frozen=True, slots=True)
class Component:
    """The third-party platform that every account has authorised, with its credentials."""

    appid: str
    secret: str = field(repr=False)
    verify_ticket: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Truth:
    """What an account's day comes to once WeChat has said its last word on it.

    `rows` are those of summary, whose keys may stand in any order; `cumulate_user` is None on a day that has none.
    """

    rows: tuple[Row, ...]
    cumulate_user: int | None

    @property
    def new_user(self) -> int:
        """The sum over the sources."""
        return _total("new_user", self.rows)

    @property
    def cancel_user(self) -> int:
        """The sum over the sources."""
        return _total("cancel_user", self.rows)

    @property
    def net_user(self) -> int:
        """New less cancelled."""
        return self.new_user - self.cancel_user

    @property
    def sources(self) -> list[Row]:
        """The rows without their day, sorted by `user_source`."""
        rows = [{key: value for key, value in row.items() if key != "ref_date"} for row in self.rows]
        return sorted(rows, key=lambda row: row["user_source"])


def _total(key: str, rows: tuple[Row, ...]) -> int:
    return sum(int(row[key]) for row in rows)


class _Day(Enum):
    MOVING = auto()
    CHURN = auto()  # as many came as went
    ZEROS = auto()  # source 0 with zeros
    SPARSE = auto()  # no row of summary at all


_STILL_DAYS = (_Day.SPARSE, _Day.SPARSE, _Day.ZEROS, _Day.CHURN)


@dataclass(frozen=True, slots=True)
class _Character:
    """What makes one account larger, livelier or younger than another. Days are ordinals, percents of 100."""

    base: int
    swing: int
    weekly_growth: int
    still_percent: int
    begin: int
    born: bool


@dataclass(frozen=True)  # without slots, so that properties can be cached
class World:
    """All accounts of a pretend WeChat; two worlds of the same values are the same world.

    * `births`: the days on which the first accounts begin, in their order; all others are older than `FIRST_DAY`.
    * `lost_days`: the share of days that are in neither dataset, ever; the first day of an account is none of them.
    * `published_at`: the time of the next day, in Beijing, from which a day is there.
    * `revised_for_days`: for how many days after that, at most 7, a day shows fewer new followers than in the end.
    * `late_summary`: the share of days whose summary comes one to three days after their cumulate.
    * `sparse`: whether summary leaves out days without movement; else each of them has a row of zeros.
    """

    seed: int = 0
    size: int = 50
    births: tuple[date, ...] = ()
    lost_days: float = 0.0
    published_at: time = time(8)
    revised_for_days: int = 0
    late_summary: float = 0.0
    sparse: bool = True

    @cached_property
    def accounts(self) -> tuple[SandboxAccount, ...]:
        """The accounts, in an order that never changes."""
        return tuple(
            SandboxAccount(self._appid(n), hex_digits(32, self.seed, "secret", n), f"client-{n:05d}")
            for n in range(self.size)
        )

    @cached_property
    def account_of(self) -> dict[str, SandboxAccount]:
        """The accounts by their appids."""
        return {account.appid: account for account in self.accounts}

    @cached_property
    def component(self) -> Component:
        """The third-party platform."""
        return Component(
            self._appid("component"),
            hex_digits(32, self.seed, "component secret"),
            f"ticket@@@{hex_digits(64, self.seed, 'ticket')}",
        )

    def refresh_token(self, appid: str) -> str:
        """The `authorizer_refresh_token` with which the component gets an account's token."""
        return f"refreshtoken@@@{hex_digits(43, self.seed, 'refresh', appid)}"

    def truth(self, appid: str, day: date) -> Truth:
        """What `day` of the account comes to in the end.

        Raises:
            KeyError: the world has no account of that appid. So do the other questions about a day.
        """
        return Truth(tuple(self.summary(appid, day)), self.cumulate(appid, day))

    def summary(self, appid: str, day: date) -> list[Row]:
        """The rows of `day` in `getusersummary`: none on a sparse day, nor where cumulate has none."""
        character, ordinal = self._characters[appid], day.toordinal()
        if not self._exists(character, appid, day):
            return []
        match self._kind(character, appid, ordinal):
            case _Day.SPARSE:
                return []
            case _Day.ZEROS:
                return [_row(day, 0, 0, 0, _KEY_ORDERS[0])]
            case _:
                dice = Dice(self.seed, "rows", appid, ordinal)
                net = self._level(character, appid, ordinal) - self._level(character, appid, ordinal - 1)
                cancelled = max(dice.below(character.swing + 1), -net)
                rows = _split(dice, day, cancelled + net, cancelled)
                return rows if rows or self.sparse else [_row(day, 0, 0, 0, _KEY_ORDERS[0])]

    def cumulate(self, appid: str, day: date) -> int | None:
        """The `cumulate_user` of `day`; None before the account began, before `FIRST_DAY` and on a lost day."""
        character = self._characters[appid]
        if not self._exists(character, appid, day):
            return None
        return self._level(character, appid, day.toordinal())

    def summary_delay(self, appid: str, day: date) -> int:
        """How many days later than its cumulate the summary of `day` comes."""
        if not self.late_summary:
            return 0
        dice = Dice(self.seed, "late summary", appid, day)
        return 1 + dice.below(3) if dice.fraction() < self.late_summary else 0

    @cached_property
    def _characters(self) -> dict[str, _Character]:
        days: list[date | None] = [*self.births[: self.size], *[None] * (self.size - len(self.births))]
        return {
            account.appid: _character(Dice(self.seed, "character", account.appid), born)
            for account, born in zip(self.accounts, days, strict=True)
        }

    def _appid(self, key: object) -> str:
        return f"wx{hex_digits(16, self.seed, 'appid', key)}"

    def _exists(self, character: _Character, appid: str, day: date) -> bool:
        ordinal = day.toordinal()
        if day < FIRST_DAY or ordinal < character.begin:
            return False
        if not self.lost_days or ordinal == character.begin:
            return True
        return Dice(self.seed, "lost", appid, day).fraction() >= self.lost_days

    def _level(self, character: _Character, appid: str, ordinal: int) -> int:
        """The followers at the end of a day, published or not."""
        if character.born and ordinal < character.begin:
            return 0
        while self._kind(character, appid, ordinal) is not _Day.MOVING:
            ordinal -= 1
        drawn = Dice(self.seed, "level", appid, ordinal).below(character.swing + 1)
        return character.base + (ordinal - character.begin) * character.weekly_growth // 7 + drawn

    def _kind(self, character: _Character, appid: str, ordinal: int) -> _Day:
        dice = Dice(self.seed, "kind", appid, ordinal)
        if dice.below(100) >= character.still_percent or (character.born and ordinal == character.begin):
            return _Day.MOVING
        kind = _STILL_DAYS[dice.below(len(_STILL_DAYS))]
        return _Day.ZEROS if kind is _Day.SPARSE and not self.sparse else kind


def _character(dice: Dice, born: date | None) -> _Character:
    """Draw an account: small or large, quiet or lively, steady or growing."""
    base = (64 + dice.below(64)) << dice.below(12)
    return _Character(
        base=base,
        swing=base // 64 + 1,
        weekly_growth=dice.below(base // 32 + 1),
        still_percent=(5, 15, 30, 60)[dice.below(4)],
        begin=(born or FIRST_DAY).toordinal(),
        born=born is not None,
    )


def _split(dice: Dice, day: date, new: int, cancelled: int) -> list[Row]:
    """Rows of up to five sources that add up to `new` and `cancelled`; source 0 alone is listed without movement."""
    others = [_SOURCES[dice.below(len(_SOURCES))] for _ in range(dice.below(5))]
    sources = list(dict.fromkeys(others if others and dice.below(8) == 0 else [0, *others]))
    order = _KEY_ORDERS[dice.below(len(_KEY_ORDERS))]
    news = _shares(dice, new, len(sources))
    cancels = _shares(dice, cancelled, len(sources))
    figures = zip(sources, news, cancels, strict=True)
    return [_row(day, *figure, order) for figure in figures if figure[0] == 0 or figure[1:] != (0, 0)]


def _shares(dice: Dice, total: int, count: int) -> list[int]:
    weights = [1 + dice.below(8) for _ in range(count)]
    shares = [total * weight // sum(weights) for weight in weights]
    shares[dice.below(count)] += total - sum(shares)
    return shares


def _row(day: date, source: int, new: int, cancelled: int, order: tuple[str, ...]) -> Row:
    values: Row = {"ref_date": day.isoformat(), "user_source": source, "new_user": new, "cancel_user": cancelled}
    return {key: values[key] for key in order}
