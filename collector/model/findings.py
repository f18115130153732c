"""The findings of `verify`, and of `status --gaps`, about stored days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from collector.model.days import NO_DAYS, ONE_DAY, Days
from collector.model.results import ExitCode


@dataclass(frozen=True, slots=True)
class Break:
    """A day whose total (`found`) differs from the total of the day before plus the day's net (`expected`)."""

    day: date
    expected: int
    found: int

    @property
    def before(self) -> date:
        """The day before, whose total was the basis."""
        return self.day - ONE_DAY

    @property
    def difference(self) -> int:
        """The followers found beyond those expected."""
        return self.found - self.expected


@dataclass(frozen=True, slots=True)
class Difference:
    """The days in which the state of a dataset and its documents differ.

    `lost` days are covered in the state and not stored; `unknown` days are stored and not covered.
    """

    lost: Days = NO_DAYS
    unknown: Days = NO_DAYS


@dataclass(frozen=True, slots=True)
class AccountFindings:
    """The findings about one account.

    `differences` has the datasets that differ. `foreign` counts its documents that aren't in the collector's form.
    `damaged` is True if its state could not be read completely, `newer` if a newer version of the collector wrote it:
    a repair leaves that one alone. `heals` is True if the next run asks for all that differs, as after one that was
    killed.
    """

    account: str
    name: str
    differences: Mapping[str, Difference] = field(default_factory=dict)
    damaged: bool = False
    breaks: tuple[Break, ...] = ()
    foreign: int = 0
    newer: bool = False
    heals: bool = field(default=False, compare=False)

    @property
    def differs(self) -> bool:
        """True if there is something to repair."""
        return self.damaged or bool(self.differences)

    @property
    def lost_days(self) -> int:
        """The days that at least one dataset has lost."""
        return len(Days.union(difference.lost for difference in self.differences.values()))

    @property
    def unknown_days(self) -> int:
        """The days stored for at least one dataset and unknown to the state."""
        return len(Days.union(difference.unknown for difference in self.differences.values()))


@dataclass(frozen=True, slots=True)
class Verified:
    """The result of `verify` over `checked` accounts, with `findings` for those that have any.

    `foreign` counts the documents of `user_daily` that aren't in the collector's form, of any account. `at_work` is
    True if a run was at work at the same time. `database` names what was verified.
    """

    checked: int
    findings: Sequence[AccountFindings]
    foreign: int = 0
    repaired: bool = False
    at_work: bool = False
    database: str = field(default="", compare=False)

    @property
    def differing(self) -> list[AccountFindings]:
        """The accounts with something to repair."""
        return [found for found in self.findings if found.differs]

    @property
    def newer(self) -> list[AccountFindings]:
        """The accounts whose state a newer version of the collector wrote."""
        return [found for found in self.findings if found.newer]

    @property
    def exit(self) -> ExitCode:
        """3 while something is left to repair, or a state is of a newer version; else 0."""
        # Breaks and foreign documents don't count: `--repair` can't change them.
        return ExitCode.PARTIAL if (self.differing and not self.repaired) or self.newer else ExitCode.OK


@dataclass(frozen=True, slots=True)
class AccountGaps:
    """The gaps in the stored days of one account, by dataset.

    `missing` days are wanted and not stored. `void` days lie between stored ones, and WeChat has nothing for them.
    `lost_days` counts the missing days that are covered by mistake, so no run asks for them. `unresolved` are those
    that summary alone lacks, and that are perhaps quiet.
    """

    account: str
    name: str
    missing: Mapping[str, Days] = field(default_factory=dict)
    void: Mapping[str, Days] = field(default_factory=dict)
    breaks: tuple[Break, ...] = ()
    lost_days: int = 0
    unresolved: Days = NO_DAYS

    @property
    def lacking(self) -> Mapping[str, Days]:
        """The missing days without the unresolved ones."""
        return {name: days - self.unresolved for name, days in self.missing.items()}

    @property
    def perhaps_quiet(self) -> Mapping[str, Days]:
        """The unresolved days, of the dataset that lacks them."""
        return {name: days & self.unresolved for name, days in self.missing.items()}
