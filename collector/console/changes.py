"""The changes that a sheet of accounts asks for, in text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from collector.console.wrapping import wrapped
from collector.model.changes import Change, Changes, KeyChange
from collector.text import counted, paragraphs, printable


def as_text(changes: Changes, *, width: int | None = None) -> str:
    """Return what would be written, account by account; an empty text where that is nothing.

    `width` is the terminal's in cells; without it nothing is wrapped.
    """
    text = paragraphs(
        _group("New", changes.new),
        _group("Changed", changes.changed),
        _group("Gone from the sheet, to be disabled", changes.gone),
        _undecided(len(changes.undecided)),
    )
    return wrapped(text, width)


def written(changes: Changes, into: Path) -> str:
    """Return in a line what was written into a folder, and for its first accounts how a configuration names it."""
    parts = [
        f"{len(found):,} {word}"
        for found, word in ((changes.new, "new"), (changes.changed, "changed"), (changes.gone, "disabled"))
        if found
    ]
    line = f"{into}: {', '.join(parts) or 'nothing to write'}"
    is_first = changes.new and not changes.total
    return f"{line}\nname the files with `include: {into}/*.yaml`" if is_first else line


def _undecided(count: int) -> str:
    who = f"{counted(count, 'account')} not found in the sheet"
    of_whom = "it" if count == 1 else "one of them"
    return f"{who}. None is disabled: a row without a readable appid may be for {of_whom}." if count else ""


def _group(title: str, changes: Sequence[Change]) -> str:
    if not changes:
        return ""
    lines = [f"{title}: {len(changes):,}"]
    for change in changes:
        lines.append(f"  {printable(change)}")
        lines += [f"    {_key(key)}" for key in change.keys]
    return "\n".join(lines)


def _key(change: KeyChange) -> str:
    key, old, new = change
    if old == new:  # masked, or in the same file
        return f"{key}: another value"
    return f"{key}: {_value(old)} → {_value(new)}"


def _value(text: str | None) -> str:
    return "not set" if text is None else printable(text)
