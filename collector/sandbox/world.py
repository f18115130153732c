"""The truth: accounts whose figures depend on the seed, the appid and the day alone.

Cumulate comes first: on a *moving* day it is drawn from the day alone, on a *still* day it stays the same. The net is
the step between two days, and the rows of summary are drawn to add up to it. So any day can be computed without the
days before it, except the still days directly before it.

Stored dumps of sandbox data depend on the order of the throws: a change here makes other worlds of the same seeds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, time, timedelta, timezone
from enum import Enum, auto
from functools import cached_property

from collector.sandbox.dice import Dice, hex_digits
from collector.sandbox.rows import Row, Truth, draw_rows, zeros

BEIJING = timezone(timedelta(hours=8), "Asia/Shanghai")
FIRST_DAY = date(2014, 12, 1)
"""The first day of WeChat's figures."""


@dataclass(frozen=True, slots=True)
class SandboxAccount:
    """One official account, with its credentials."""

    appid: str
    secret: str = field(repr=False)
    name: str


@dataclass(frozen=True, slots=True)
class Component:
    """The third-party platform, with its credentials at the start."""

    appid: str
    secret: str = field(repr=False)
    verify_ticket: str = field(repr=False)


class _Day(Enum):
    MOVING = auto()
    CHURN = auto()  # as many new followers as lost ones
    ZEROS = auto()  # a row of source 0 with zeros
    SPARSE = auto()  # no row in summary


_STILL_DAYS = (_Day.SPARSE, _Day.SPARSE, _Day.ZEROS, _Day.CHURN)


@dataclass(frozen=True, slots=True)
class _Character:
    """The size, activity and age of one account. Days are ordinals, percents are of 100."""

    base: int
    swing: int
    weekly_growth: int
    still_percent: int
    begin: int
    born: bool


@dataclass(frozen=True)  # without slots, so that properties can be cached
class World:
    """All accounts of a simulated WeChat; worlds of equal values have equal figures.

    * `births`: the first days of the first accounts, in order; all other accounts are older than `FIRST_DAY`.
    * `lost_days`: the share of days that are never in any dataset; the first day of an account is always there.
    * `published_at`: the Beijing time at which a day is published, on the next day.
    * `published_until`: each day is published at another minute for each account, between `published_at` and then.
    * `waves`: the number of such minutes in a day, if not one for each account.
    * `revised_for_days`: the number of days, at most 7, for which a published day shows too few new followers.
    * `late_summary`: the share of days whose summary is published one to three days after their cumulate.
    * `sparse`: summary has no row for some days without movement; if False, each of them has a row of zeros.
    * `mini_programs`: the number of mini programs, which can authorise the component and have no figures.
    * `nick_names`: pairs of an appid and its nick name, where that differs from the account's name.
    """

    seed: int = 0
    size: int = 50
    births: tuple[date, ...] = ()
    lost_days: float = 0.0
    published_at: time = time(8)
    published_until: time | None = None
    waves: int | None = None
    revised_for_days: int = 0
    late_summary: float = 0.0
    sparse: bool = True
    mini_programs: int = 0
    nick_names: tuple[tuple[str, str], ...] = ()

    @cached_property
    def accounts(self) -> tuple[SandboxAccount, ...]:
        """The accounts, in a fixed order."""
        return tuple(
            SandboxAccount(self._appid(n), hex_digits(32, self.seed, "secret", n), f"client-{n:05d}")
            for n in range(self.size)
        )

    @cached_property
    def account_of(self) -> dict[str, SandboxAccount]:
        """The accounts by appid."""
        return {account.appid: account for account in self.accounts}

    @cached_property
    def mini_program_appids(self) -> tuple[str, ...]:
        """The appids of the mini programs, in a fixed order."""
        return tuple(self._appid(f"mini program {n}") for n in range(self.mini_programs))

    @cached_property
    def authorizers(self) -> tuple[str, ...]:
        """The appids of all accounts and mini programs, evenly mixed."""
        accounts = [(n / self.size, account.appid) for n, account in enumerate(self.accounts)]
        minis = [((n + 0.5) / self.mini_programs, appid) for n, appid in enumerate(self.mini_program_appids)]
        return tuple(appid for _, appid in sorted(accounts + minis))

    def nick_name(self, appid: str) -> str:
        """Return the nick name of an account or a mini program, which may be empty or not unique."""
        return self._nick_names[appid]

    @cached_property
    def component(self) -> Component:
        """The third-party platform."""
        return Component(self._appid("component"), hex_digits(32, self.seed, "component secret"), self.verify_ticket())

    def verify_ticket(self, nth: int = 1) -> str:
        """Return the `nth` ticket that WeChat pushes to the component."""
        return f"ticket@@@{hex_digits(64, self.seed, 'ticket', nth)}"

    def refresh_token(self, appid: str, nth: int = 1) -> str:
        """Return the `authorizer_refresh_token` of an account's or mini program's `nth` authorisation."""
        return f"refreshtoken@@@{hex_digits(43, self.seed, 'refresh', appid, nth)}"

    @cached_property
    def token_server_key(self) -> str:
        """The key of the token server, in hexadecimal."""
        return hex_digits(32, self.seed, "token server key")

    def truth(self, appid: str, day: date) -> Truth:
        """Return the final figures of `day`.

        Raises:
            KeyError: the world has no account of that appid, here and in the other methods about a day.
        """
        return Truth(tuple(self.summary(appid, day)), self.cumulate(appid, day))

    def summary(self, appid: str, day: date) -> list[Row]:
        """Return the final rows of `day` in `getusersummary`: none on a sparse day or without a total."""
        character, ordinal = self._characters[appid], day.toordinal()
        if not self._exists(character, appid, day):
            return []
        match self._kind(character, appid, ordinal):
            case _Day.SPARSE:
                return []
            case _Day.ZEROS:
                return zeros(day)
            case _:
                dice = Dice(self.seed, "rows", appid, ordinal)
                net = self._level(character, appid, ordinal) - self._level(character, appid, ordinal - 1)
                # A net loss needs at least that many lost followers, so that no figure is negative.
                cancelled = max(dice.below(character.swing + 1), -net)
                rows = draw_rows(dice, day, cancelled + net, cancelled)
                # Drawn rows can come out empty: no movement, and no source 0 among them.
                return rows if rows or self.sparse else zeros(day)

    def cumulate(self, appid: str, day: date) -> int | None:
        """Return the `cumulate_user` of `day`; None before the account's first day and on a lost day."""
        character = self._characters[appid]
        if not self._exists(character, appid, day):
            return None
        return self._level(character, appid, day.toordinal())

    def publication(self, appid: str, day: date) -> time:
        """Return the Beijing time at which `day` is published for an account, on the next day."""
        if self.published_until is None:
            return self.published_at
        dice = Dice(self.seed, "publication", appid, day)
        if self.waves:
            dice = Dice(self.seed, "wave", dice.below(self.waves), day)
        begin, end = (60 * at.hour + at.minute for at in (self.published_at, self.published_until))
        hour, minute = divmod(begin + dice.below(end - begin), 60)
        return time(hour, minute)

    def summary_delay(self, appid: str, day: date) -> int:
        """Return the days between the publication of `day`'s cumulate and of its summary."""
        dice = Dice(self.seed, "late summary", appid, day)
        return 1 + dice.below(3) if dice.fraction() < self.late_summary else 0

    @cached_property
    def _nick_names(self) -> dict[str, str]:
        accounts = {account.appid: account.name for account in self.accounts}
        minis = {appid: f"mini-{n:05d}" for n, appid in enumerate(self.mini_program_appids)}
        return {**accounts, **minis, **dict(self.nick_names)}

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
        may_be_lost = self.lost_days and ordinal != character.begin
        return not may_be_lost or Dice(self.seed, "lost", appid, day).fraction() >= self.lost_days

    def _level(self, character: _Character, appid: str, ordinal: int) -> int:
        """Return the followers at the end of a day, published or not."""
        if character.born and ordinal < character.begin:
            return 0
        # A still day has the total of the last moving day. The first day of a young account is always a moving one.
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
    """Draw the size, activity and growth of an account."""
    base = (64 + dice.below(64)) << dice.below(12)
    return _Character(
        base=base,
        swing=base // 64 + 1,
        weekly_growth=dice.below(base // 32 + 1),
        still_percent=(5, 15, 30, 60)[dice.below(4)],
        begin=(born or FIRST_DAY).toordinal(),
        born=born is not None,
    )
