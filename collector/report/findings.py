"""What `verify` finds, and what `status --gaps` adds: as lines for people, and as JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from collector.days import NO_DAYS, ONE_DAY, Days, Window
from collector.errors import printable
from collector.model import ExitCode
from collector.report.words import counted

MOST_SHOWN = 20
"""Ranges of a kind, and breaks, that people are shown of one account; JSON holds all."""

MOST_ACCOUNTS = 50
"""Accounts that people are shown of a kind; JSON holds all."""


@dataclass(frozen=True, slots=True)
class Break:
    """A day whose total, `found`, isn't what the day before and the day's net come to, `expected`."""

    day: date
    expected: int
    found: int

    @property
    def before(self) -> date:
        """The day whose total was expected to go on."""
        return self.day - ONE_DAY

    @property
    def difference(self) -> int:
        """How many followers more were found than expected."""
        return self.found - self.expected


@dataclass(frozen=True, slots=True)
class Difference:
    """Where the state of a dataset and the documents differ.

    `lost` days count as covered, and nothing is stored of them; `unknown` ones are stored, and don't count as covered.
    """

    lost: Days = NO_DAYS
    unknown: Days = NO_DAYS


@dataclass(frozen=True, slots=True)
class AccountFindings:
    """What was found of one account.

    `differences` has the datasets that differ, `foreign` is how many of its documents aren't of the collector's form.
    `damaged` says that its state was of another version, or couldn't be read as a whole.
    """

    account: str
    name: str
    differences: Mapping[str, Difference] = field(default_factory=dict)
    damaged: bool = False
    breaks: tuple[Break, ...] = ()
    foreign: int = 0

    @property
    def differs(self) -> bool:
        """Whether there is something to repair."""
        return self.damaged or bool(self.differences)

    @property
    def lost_days(self) -> int:
        """Days that one dataset at least has lost."""
        return _days_of(difference.lost for difference in self.differences.values())

    @property
    def unknown_days(self) -> int:
        """Days of which one dataset at least is stored unknown to the state."""
        return _days_of(difference.unknown for difference in self.differences.values())


@dataclass(frozen=True, slots=True)
class Verified:
    """What `verify` found in the `checked` accounts: `findings` of those that have any.

    `foreign` counts the documents of `user_daily` that aren't of the collector's form, of whatever account. `at_work`
    says that a run was at work meanwhile.
    """

    checked: int
    findings: Sequence[AccountFindings]
    foreign: int = 0
    repaired: bool = False
    at_work: bool = False

    @property
    def differing(self) -> list[AccountFindings]:
        """The accounts with something to repair."""
        return [found for found in self.findings if found.differs]

    @property
    def exit(self) -> ExitCode:
        """Breaks and foreign documents change nothing: no repair of ours could mend them."""
        return ExitCode.PARTIAL if self.differing and not self.repaired else ExitCode.OK


@dataclass(frozen=True, slots=True)
class AccountGaps:
    """What the stored days of one account lack, by dataset.

    `missing` days are wanted and not stored; `void` ones lie between stored days, and WeChat has nothing for them.
    `lost_days` of the missing ones count as covered by mistake, so no run asks for them.
    """

    account: str
    name: str
    missing: Mapping[str, Days] = field(default_factory=dict)
    void: Mapping[str, Days] = field(default_factory=dict)
    breaks: tuple[Break, ...] = ()
    lost_days: int = 0


def verified_json(verified: Verified) -> dict[str, object]:
    """What `verify --json` prints: every account with findings; fields are added in later versions, never changed.

    `at_work` stands there when a run was: what it had stored may not have been known yet.
    """
    differing = verified.differing
    return {
        "exit": verified.exit,
        "repaired": verified.repaired,
        "accounts": [_findings_json(found) for found in verified.findings],
        "totals": {
            "accounts": verified.checked,
            "differing": len(differing),
            "damaged": sum(found.damaged for found in differing),
            "lost_days": sum(found.lost_days for found in differing),
            "unknown_days": sum(found.unknown_days for found in differing),
            "breaks": sum(len(found.breaks) for found in verified.findings),
            "foreign": verified.foreign,
        },
        **({"at_work": True} if verified.at_work else {}),
    }


def verified_text(verified: Verified) -> str:
    """What was found, for people; the last lines say what to do."""
    differing = verified.differing
    parts = [
        _section("State and documents differ:", [_difference_lines(found) for found in differing]),
        _breaks_section(verified.findings),
        _foreign(verified.foreign),
        _next_step(verified, sum(found.lost_days for found in differing)),
    ]
    return "\n\n".join(part for part in parts if part)


def gaps_json(gaps: Iterable[AccountGaps]) -> dict[str, dict[str, object]]:
    """What `status --gaps --json` adds to each account, by appid."""
    return {
        found.account: {
            "missing": {name: _ranges_json(days) for name, days in found.missing.items()},
            "void": {name: _ranges_json(days) for name, days in found.void.items()},
            "breaks": [_break_json(each) for each in found.breaks],
            "lost_days": found.lost_days,
        }
        for found in gaps
    }


def gaps_text(gaps: Sequence[AccountGaps]) -> str:
    """What the stored days lack, for people; empty when there is nothing to say."""
    lost = sum(found.lost_days for found in gaps)
    parts = [
        _section("Missing:", _blocks(gaps, "missing")),
        _section("Void between stored days, WeChat has nothing for them:", _blocks(gaps, "void")),
        _breaks_section(gaps),
        f"{_has(lost)} taken for stored by mistake: repair with `collector verify --repair`." if lost else "",
    ]
    return "\n\n".join(part for part in parts if part)


def _findings_json(found: AccountFindings) -> dict[str, object]:
    return {
        "account": found.account,
        "name": found.name,
        "damaged": found.damaged,
        "datasets": {
            name: {"lost": _ranges_json(difference.lost), "unknown": _ranges_json(difference.unknown)}
            for name, difference in found.differences.items()
        },
        "breaks": [_break_json(each) for each in found.breaks],
        "foreign": found.foreign,
    }


def _break_json(broken: Break) -> dict[str, object]:
    return {
        "ref_date": str(broken.day),
        "before": str(broken.before),
        "expected": broken.expected,
        "found": broken.found,
        "difference": broken.difference,
    }


def _ranges_json(days: Days) -> list[dict[str, str]]:
    return [{"begin": str(window.begin), "end": str(window.end)} for window in days.ranges]


def _difference_lines(found: AccountFindings) -> list[str]:
    lines = [_title(found)]
    if found.damaged:
        lines.append("  its state is damaged or of another version")
    for what in ("lost", "unknown"):
        days = {name: getattr(difference, what) for name, difference in found.differences.items()}
        lines += _range_lines(days, f"{what:<7}")
    return lines


def _blocks(gaps: Iterable[AccountGaps], what: str) -> list[list[str]]:
    """The accounts that have days of a kind, each with its ranges."""
    lines = ((found, _range_lines(getattr(found, what))) for found in gaps)
    return [[_title(found), *ranges] for found, ranges in lines if ranges]


def _breaks_section(accounts: Iterable[AccountFindings | AccountGaps]) -> str:
    blocks = [
        [_title(found), *_bounded([_break_line(each) for each in found.breaks])] for found in accounts if found.breaks
    ]
    return _section("Totals that aren't the day before's plus the net, as WeChat gave them:", blocks)


def _break_line(broken: Break) -> str:
    figures = f"{broken.found:>14,} found, {broken.expected:>14,} expected, {broken.difference:>+10,}"
    return f"  {broken.before} to {broken.day}  {figures}"


def _range_lines(days: Mapping[str, Days], *label: str) -> list[str]:
    width = max(map(len, days), default=0)
    return [
        line
        for name, held in days.items()
        for line in _bounded(["  ".join(["", f"{name:<{width}}", *label, _span(window)]) for window in held.ranges])
    ]


def _span(window: Window) -> str:
    return str(window.begin) if len(window) == 1 else f"{window.begin} to {window.end}  {len(window):>5,} days"


def _section(title: str, blocks: Sequence[Sequence[str]]) -> str:
    lines = [line for block in blocks[:MOST_ACCOUNTS] for line in block]
    if len(blocks) > MOST_ACCOUNTS:
        lines.append(f"and {counted(len(blocks) - MOST_ACCOUNTS, 'account')} more; --json has all")
    return "\n".join([title, *lines]) if blocks else ""


def _bounded(lines: Sequence[str]) -> list[str]:
    more = len(lines) - MOST_SHOWN
    return [*lines[:MOST_SHOWN], f"  and {more:,} more"] if more > 0 else [*lines]


def _title(found: AccountFindings | AccountGaps) -> str:
    return printable(f"{found.name} ({found.account})")


def _foreign(count: int) -> str:
    if not count:
        return ""
    are, they = ("isn't", "it is") if count == 1 else ("aren't", "they are")
    return f"{counted(count, 'document')} of user_daily {are} of the collector's form; {they} left alone."


def _next_step(verified: Verified, lost_days: int) -> str:
    checked, differing = counted(verified.checked, "account"), len(verified.differing)
    if not differing:
        return f"{checked} verified: state and documents agree."
    fetch = f"run `collector run` to fetch {counted(lost_days, 'day')} again" if lost_days else ""
    if verified.repaired:
        return f"{checked} verified, {differing:,} repaired.{f' Now {fetch}.' if fetch else ''}"
    if verified.at_work and not any(found.damaged or found.lost_days for found in verified.differing):
        return (
            f"{checked} verified, {differing:,} to repair. But a run is at work, and what it stores isn't known at "
            "once: verify again when it has ended."
        )
    then = f", then {fetch}" if fetch else ""
    return f"{checked} verified, {differing:,} to repair. Repair with `collector verify --repair`{then}."


def _has(days: int) -> str:
    return f"{counted(days, 'missing day')} {'is' if days == 1 else 'are'}"


def _days_of(sets: Iterable[Days]) -> int:
    return len(Days.joined(window for days in sets for window in days.ranges))
