"""Text and JSON of `show`: the last days of one account as curves and a table, where it stands, what it lacks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile, zip_longest

from collector.console.paint import Paint, Severity, plain
from collector.console.sparkline import BLOCKS, sparkline
from collector.console.status import account_json, account_notices, error_text
from collector.console.summary import database_line, waits_text
from collector.console.table import Cells, in_one_line
from collector.console.verify import gaps_json, gaps_text
from collector.console.wrapping import wrapped
from collector.model.daily import Daily, Mark
from collector.model.days import beijing_time
from collector.model.findings import AccountGaps
from collector.model.shown import Shown, ShownDay
from collector.text import counted, paragraphs

_NOTES = {
    Mark.STORED: "",
    Mark.PROVEN: "quiet",
    Mark.PARTIAL: "",
    Mark.MISSING: "missing",
    Mark.VOID: "void",
    Mark.UNCOLLECTED: "not asked for",
    Mark.UNBORN: "not yet born",
}

_STORED = {Mark.STORED, Mark.PROVEN, Mark.PARTIAL}
_BEFORE = {Mark.UNCOLLECTED, Mark.UNBORN}

_SEVERITIES = {Mark.PROVEN: Severity.MINOR, Mark.PARTIAL: Severity.WARNING, Mark.MISSING: Severity.WARNING}


def as_json(shown: Shown) -> dict[str, object]:
    """Return the object that `--json` prints; later versions add fields and change none."""
    status = shown.status
    gaps = gaps_json([shown.gaps])[shown.gaps.account] if shown.gaps else {}
    return {
        **account_json(status),
        "enabled": shown.is_enabled,
        "newest_published": shown.newest_published,
        "database": shown.database,
        "days": [_day_json(day) for day in shown.days],
        "gaps": gaps,
    }


def as_text(shown: Shown, *, width: int | None = None, letters: str = BLOCKS, paint: Paint = plain) -> str:
    """Return the account for people; `width` is the terminal's in cells, `letters` draw the curves."""
    error = error_text(shown.status)
    return paragraphs(
        wrapped(_head(shown), width),
        _curves([day.figures for day in shown.days], letters, width),
        _table(shown, paint),
        wrapped(gaps_text([shown.gaps] if shown.gaps else []), width),
        paint(wrapped(f"Last error, {error}" if shown.status.errors else error, width), Severity.BAD) if error else "",
        wrapped(waits_text(account_notices(shown.status)), width),
        wrapped(database_line(shown.database), width),
    )


def _head(shown: Shown) -> str:
    """Return who it is, where it stands, and to which day it is complete."""
    status = shown.status
    who = in_one_line(f"{status.name} ({status.account})" if status.account else status.name)
    standing = status.standing.replace("_", " ") if shown.is_enabled else "disabled, not collected"
    about = [
        f"tags {', '.join(map(in_one_line, status.tags))}" if status.tags else "",
        f"born {status.born}" if status.born else "",
        f"last success {beijing_time(status.last_success)}" if status.last_success else "",
    ]
    missing = counted(status.lacking_days, "day")
    is_complete = f"complete to {shown.newest_published}"
    lacks = f"{missing} missing; the newest published day is {shown.newest_published}"
    lines = [f"{who}: {standing}", ", ".join(filter(None, about)), is_complete if status.is_complete else lacks]
    return "\n".join(filter(None, lines))


def _curves(days: Sequence[Daily], letters: str, width: int | None) -> str:
    """Return a curve of each figure, with its lowest and highest value where there is room; empty without figures."""
    curves = {
        "total": [day.cumulate_user for day in days],
        "new": [day.new_user for day in days],
        "lost": [day.cancel_user for day in days],
        "net": [day.net_user for day in days],
    }
    lines = []
    for name, values in curves.items():
        if there := [value for value in values if value is not None]:
            # New and lost followers are drawn from 0 up, so that a day without any looks like one.
            curve = sparkline(values, letters, lowest=0 if name in {"new", "lost"} else None)
            line, span = f"{name:<5}  {curve}", f"  {min(there):,} to {max(there):,}"
            lines.append(line + span if width is None or len(line + span) <= width else line)
    return "\n".join(lines)


def _table(shown: Shown, paint: Paint) -> str:
    """Return a line for each day, and their sums. Days before the first one wanted share a line.

    Where none of the days is stored, a sentence says so.
    """
    if not any(day.mark in _STORED for day in shown.days):
        return f"Nothing of the last {counted(len(shown.days), 'day')} is stored." if shown.days else ""
    before = [*takewhile(lambda day: day.mark in _BEFORE, shown.days)]
    days = shown.days[len(before) :]
    rows: list[Cells] = [("", "new", "lost", "net", "total", "")]
    if before:
        rows.append((f"to {before[-1].figures.ref_date}", "", "", "", "", _NOTES[before[-1].mark]))
    rows += [_cells(day, shown.gaps) for day in days]
    rows.append(_sum_cells([day.figures for day in days]))
    severities = [*[Severity.PLAIN] * (1 + bool(before)), *[_SEVERITIES.get(day.mark, Severity.PLAIN) for day in days]]
    label, *columns = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    lines = [
        "  ".join([name.ljust(label), *map(str.rjust, cells, columns), note]).rstrip() for name, *cells, note in rows
    ]
    return "\n".join(paint(*line) for line in zip_longest(lines, severities, fillvalue=Severity.PLAIN))


def _cells(day: ShownDay, gaps: AccountGaps | None) -> Cells:
    figures = day.figures
    return (
        f"{figures.ref_date:%Y-%m-%d %a}",
        _number(figures.new_user),
        _number(figures.cancel_user),
        _number(figures.net_user, "+"),
        _number(figures.cumulate_user),
        _note(day, gaps),
    )


def _note(day: ShownDay, gaps: AccountGaps | None) -> str:
    figures = day.figures
    if gaps and figures.ref_date in gaps.unresolved:
        return "perhaps quiet"
    if day.mark is Mark.PARTIAL:
        return "no summary" if figures.new_user is None else "no total"
    if gaps and any(each.day == figures.ref_date for each in gaps.breaks):
        return "break"
    return _NOTES[day.mark]


def _sum_cells(days: Sequence[Daily]) -> Cells:
    """Return the sums of the days that are stored, and how many that are of all."""
    stored = [day for day in days if day.net_user is not None]
    new_user, cancel_user = (sum(getattr(day, name) for day in stored) for name in ("new_user", "cancel_user"))
    of_all = "" if len(stored) == len(days) else f"{len(stored)} of "
    sums = (_number(new_user), _number(cancel_user), _number(new_user - cancel_user, "+")) if stored else ("-",) * 3
    return (f"{of_all}{counted(len(days), 'day')}", *sums, "", "")


def _number(value: int | None, sign: str = "") -> str:
    return "-" if value is None else f"{value:{sign},}" if value else "0"


def _day_json(day: ShownDay) -> dict[str, object]:
    figures = day.figures
    return {
        "ref_date": figures.ref_date,
        "new_user": figures.new_user,
        "cancel_user": figures.cancel_user,
        "net_user": figures.net_user,
        "cumulate_user": figures.cumulate_user,
        "state": day.mark,
    }
