"""Text and JSON of `verify`, and the gaps that `status --gaps` adds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from collector.console.summary import database_line
from collector.console.wrapping import wrapped
from collector.model.days import Days, Window
from collector.model.findings import AccountFindings, AccountGaps, Break, Verified
from collector.text import counted, paragraphs, printable

MAX_LINES = 20
"""The ranges of a kind, or the breaks, shown of one account; JSON has all."""

MAX_ACCOUNTS = 50
"""The accounts shown in a section; JSON has all."""

_NEWER = "Not verified: a newer version of the collector wrote the state. Upgrade the collector on this host:"


def as_json(verified: Verified) -> dict[str, object]:
    """Return the object that `verify --json` prints; later versions add fields and change none.

    `at_work` is there only if a run was at work: its newest documents may not have been in the state yet.
    """
    differing = verified.differing
    return {
        "exit": verified.exit,
        "repaired": verified.repaired,
        "database": verified.database,
        "accounts": [_findings_json(found) for found in verified.findings],
        "totals": {
            "accounts": verified.checked,
            "differing": len(differing),
            "damaged": sum(found.damaged for found in differing),
            "newer": len(verified.newer),
            "lost_days": sum(found.lost_days for found in differing),
            "unknown_days": sum(found.unknown_days for found in differing),
            "breaks": sum(len(found.breaks) for found in verified.findings),
            "foreign": verified.foreign,
        },
        **({"at_work": True} if verified.at_work else {}),
    }


def as_text(verified: Verified, *, width: int | None = None) -> str:
    """Return the findings for people; the last lines are the next step. `width` is the terminal's in cells."""
    differing = verified.differing
    text = paragraphs(
        _section("State and documents differ:", [_difference_lines(found) for found in differing]),
        _section(_NEWER, [[f"  {_title(found)}"] for found in verified.newer]),
        _breaks_section(verified.findings),
        _foreign(verified.foreign),
        database_line(verified.database),
        _next_step(verified, sum(found.lost_days for found in differing)),
    )
    return wrapped(text, width)


def gaps_json(gaps: Iterable[AccountGaps]) -> dict[str, dict[str, object]]:
    """Return the `gaps` that `status --gaps --json` adds, by appid."""
    return {
        found.account: {
            "missing": {name: _ranges_json(days) for name, days in found.missing.items()},
            "void": {name: _ranges_json(days) for name, days in found.void.items()},
            "breaks": [_break_json(each) for each in found.breaks],
            "lost_days": found.lost_days,
            "unresolved": _ranges_json(found.unresolved),
        }
        for found in gaps
    }


def gaps_text(gaps: Sequence[AccountGaps]) -> str:
    """Return the gaps for people; empty without any."""
    lost = sum(found.lost_days for found in gaps)
    taken = "is taken" if lost == 1 else "are taken"
    mistakes = f"{counted(lost, 'missing day')} {taken} for stored by mistake: repair with `collector verify --repair`."
    return paragraphs(
        _section("Missing:", _blocks(gaps, "lacking")),
        _section("Perhaps quiet, without a row of summary yet:", _blocks(gaps, "perhaps_quiet")),
        _section("Void between stored days, WeChat has nothing for them:", _blocks(gaps, "void")),
        _breaks_section(gaps),
        mistakes if lost else "",
    )


def _findings_json(found: AccountFindings) -> dict[str, object]:
    return {
        "account": found.account,
        "name": found.name,
        "damaged": found.damaged,
        "newer": found.newer,
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
        lines.append("  its state is damaged")
    for what in ("lost", "unknown"):
        days = {name: getattr(difference, what) for name, difference in found.differences.items()}
        lines += _range_lines(days, f"{what:<7}")
    return lines


def _blocks(gaps: Iterable[AccountGaps], what: str) -> list[list[str]]:
    """Return the lines of each account that has days of the kind `what`."""
    lines = ((found, _range_lines(getattr(found, what))) for found in gaps)
    return [[_title(found), *ranges] for found, ranges in lines if ranges]


def _breaks_section(accounts: Iterable[AccountFindings | AccountGaps]) -> str:
    blocks = [[_title(found), *_bounded(list(map(_break_line, found.breaks)))] for found in accounts if found.breaks]
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
    lines = [line for block in blocks[:MAX_ACCOUNTS] for line in block]
    if len(blocks) > MAX_ACCOUNTS:
        lines.append(f"and {counted(len(blocks) - MAX_ACCOUNTS, 'account')} more; --json has all")
    return "\n".join([title, *lines]) if blocks else ""


def _bounded(lines: Sequence[str]) -> list[str]:
    more = len(lines) - MAX_LINES
    return [*lines[:MAX_LINES], f"  and {more:,} more"] if more > 0 else [*lines]


def _title(found: AccountFindings | AccountGaps) -> str:
    return printable(f"{found.name} ({found.account})")


def _foreign(count: int) -> str:
    are, they = ("isn't", "it is") if count == 1 else ("aren't", "they are")
    text = f"{counted(count, 'document')} of user_daily {are} of the collector's form; {they} left alone."
    return text if count else ""


def _next_step(verified: Verified, lost_days: int) -> str:
    checked, differing = counted(verified.checked - len(verified.newer), "account"), len(verified.differing)
    if not differing:
        return f"{checked} verified: state and documents agree."
    fetch = f"run `collector run` to fetch {counted(lost_days, 'day')} again" if lost_days else ""
    if verified.repaired:
        return f"{checked} verified, {differing:,} repaired.{f' Now {fetch}.' if fetch else ''}"
    # Unknown days are what a run has stored and not yet counted as covered. Lost days and damage have another cause.
    if verified.at_work and not any(found.damaged or found.lost_days for found in verified.differing):
        return (
            f"{checked} verified, {differing:,} to repair. But a run is at work and its newest days aren't in the "
            "state yet: verify again when it has ended."
        )
    if all(found.heals for found in verified.differing):
        return (
            f"{checked} verified, {differing:,} with days that aren't in the state yet, as after a run that was "
            "killed. The next `collector run` heals that; `collector verify --repair` does so at once."
        )
    if not any(found.damaged or found.lost_days for found in verified.differing):
        return (
            f"{checked} verified, {differing:,} to repair. Repair with `collector verify --repair`. After a run that "
            "was killed, the same command again heals it as well."
        )
    then = f", then {fetch}" if fetch else ""
    return f"{checked} verified, {differing:,} to repair. Repair with `collector verify --repair`{then}."
