"""Validate a document, and turn pydantic's errors into faults with a remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from datetime import date
from typing import NamedTuple, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from collector.config.forms import FORMS, TEXT, UNKNOWN_FORM, Section
from collector.config.nodes import Location, shown_key
from collector.config.schema import SECTIONS, AccountEntry, AccountsFile
from collector.config.texts import PortError
from collector.config.yamlfile import Document, Located

SectionT = TypeVar("SectionT", bound=Section)

_NUMBERS = ("daily_calls", "lookback", "processes", "rate_limit", "timeout", "workers")
_TIMES = ("published_at", "since")
_SWITCHES = ("check_clock", "discover", "enabled", "ipv4_only")
_SHOWN = frozenset({"database", "language", *_NUMBERS, *_TIMES, *_SWITCHES})
"""Fields whose values a message repeats. Others may hold a misplaced secret, such as an AppSecret as `appid`."""


class _Place(NamedTuple):
    """The place of an error: its section, the last key on the path that is a field, and the form of that field."""

    section: type[Section]
    key: str
    form: str


def validate(
    kind: type[SectionT], value: object, document: Document, location: Location, today: date
) -> tuple[SectionT | None, list[Located]]:
    """Return the `value` at `location` of a document as a `kind`, or None and its faults.

    `today` is Beijing's: no `since` may be after it.
    """
    try:
        return kind.model_validate(value, context={"today": today, "folder": document.path.parent}), []
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False)
    root = AccountsFile if location else kind
    return None, [_fault(root, document, location, error) for error in errors if not _is_reported(error)]


def complaints(account: Mapping[str, object], today: date) -> list[tuple[str, str, str]]:
    """Return key, message and remedy of each fault of an account that comes from no YAML file.

    `today` is Beijing's: no `since` may be after it.
    """
    try:
        AccountEntry.model_validate(account, context={"today": today})
    except ValidationError as invalid:
        errors = [(str(error["loc"][0]), error) for error in invalid.errors(include_url=False)]
        return [(key, *_words(_place(AccountEntry, error["loc"]), error, account.get(key))) for key, error in errors]
    return []


def close_to(word: str, known: Iterable[str]) -> str | None:
    """Return the one of `known` that was probably meant, if any."""
    return next(iter(difflib.get_close_matches(word, known, n=1)), None)


def _is_reported(error: ErrorDetails) -> bool:
    # None replaces a text with an unset variable, and the document has that fault already. A list may be too short
    # since its items have faults, which are reported themselves.
    is_unset = error["input"] is None and error["type"] != "extra_forbidden"
    return is_unset or (error["type"] == "too_short" and bool(error["input"]))


def _fault(root: type[Section], document: Document, begin: Location, error: ErrorDetails) -> Located:
    path = (*begin, *error["loc"])
    location = tuple(step for step in path if step not in FORMS and step != TEXT)
    if error["type"] == "extra_forbidden":
        known = list(_place(root, path[:-1]).section.known())
        remedy = f"Remove it; known here: {', '.join(known)}."
        return document.located(location, *_unknown_key(str(path[-1]), known, remedy))
    place = _place(root, path)
    if error["type"] == UNKNOWN_FORM and (key := _stray_key(error)):
        words = _unknown_key(key, error["ctx"]["keys"].split(), f"Write {place.form}.")
        return document.located((*location, key), *words)
    return document.located(location, *_words(place, error, document.at(location).value))


def _place(kind: type[Section], path: Location) -> _Place:
    place = _Place(kind, "", "")
    steps = iter(path)
    for step in steps:
        if form := FORMS.get(str(step)):
            place = place._replace(section=form)
        elif field := place.section.known().get(str(step)):
            key = str(step)
            place = _Place(SECTIONS.get(key, place.section), key, field.description or "")
            if key == "headers":
                next(steps, None)  # skip its name, which may equal a key
    return place


def _words(place: _Place, error: ErrorDetails, written: object = None) -> tuple[str, str]:
    """Return message and remedy; the message may repeat a value that is `written` as a text."""
    if error["type"] == "missing":
        return f"`{place.key}` is missing", f"Add `{place.key}`: {place.form}."
    # A value is repeated only where no secret can be: never an input that a variable filled in.
    if error["input"] in ("", [], {}):
        complaint = "is empty"
    elif isinstance(trouble := error.get("ctx", {}).get("error"), PortError):
        complaint = str(trouble)
    elif place.key in _SHOWN and isinstance(written, str):
        complaint = f"can't be {written!r}"
    else:
        complaint = "isn't of the right form"
    return f"`{place.key}` {complaint}", f"Write {place.form}."


def _unknown_key(key: str, known: Iterable[str], remedy: str) -> tuple[str, str]:
    meant = close_to(key, known)
    return f"{shown_key(key)} isn't known here", f"Write `{meant}`." if meant else remedy


def _stray_key(error: ErrorDetails) -> str | None:
    """Return the first key of a mapping that none of the possible forms has."""
    known = error["ctx"]["known"].split()
    return next((key for key in error["input"] if key not in known), None) if isinstance(error["input"], dict) else None
