"""The changes that a sheet of accounts asks for, in text."""

from __future__ import annotations

from collections.abc import Sequence

from collector.model.changes import Change, Changes, KeyChange
from collector.text import counted, paragraphs, printable


def as_text(changes: Changes) -> str:
    """Return what would be written, account by account; an empty text where that is nothing."""
    undecided = len(changes.undecided)
    return paragraphs(
        _group("New", changes.new),
        _group("Changed", changes.changed),
        _group("Gone from the sheet, to be disabled", changes.gone),
        f"{counted(undecided, 'account')} not found in the sheet. None is disabled: a row without a\n"
        "readable appid may be for one of them."
        if undecided
        else "",
    )


def written(changes: Changes) -> str:
    """Return in a line what was written."""
    parts = [
        f"{len(found):,} {word}"
        for found, word in ((changes.new, "new"), (changes.changed, "changed"), (changes.gone, "disabled"))
        if found
    ]
    return ", ".join(parts) or "nothing to write"


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
