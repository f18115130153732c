"""Validate a document, and say in plain words what is wrong with it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from datetime import date
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from collector.config.forms import FORMS, TEXT, UNKNOWN_FORM, Section
from collector.config.schema import SECTIONS, AccountEntry, AccountsFile
from collector.config.yamlfile import Document, Location, shown_key
from collector.errors import Fault

_SHOWN = frozenset(
    {
        "database",
        "timeout",
        "ipv4_only",
        "check_clock",
        "workers",
        "lookback",
        "published_at",
        "rate_limit",
        "since",
        "enabled",
        "daily_calls",
        "discover",
    }
)
"""Fields whose values a message repeats. Into the others a secret may stray: an AppSecret written as `appid`."""


class _Place(NamedTuple):
    """Where an error's location leads: a section, the last key on the way that is a field, and what to write there."""

    section: type[Section]
    key: str
    form: str


def validate(kind: type[AccountsFile], document: Document, today: date) -> AccountsFile | tuple[Fault, ...]:
    """The document as a `kind`, or all its faults. `today` is Beijing's: no `since` may be after it."""
    context = {"today": today, "folder": document.path.parent}
    try:
        return kind.model_validate(document.values, context=context)
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False)
    return tuple(_fault(kind, document, error) for error in errors if not _known(error))


def complaints(account: dict[str, Any]) -> list[tuple[str, str]]:
    """Message and remedy of everything that is wrong with an account that stands in no YAML file."""
    try:
        AccountEntry.model_validate(account)
    except ValidationError as invalid:
        return [_words(_place(AccountEntry, error["loc"]), error) for error in invalid.errors(include_url=False)]
    return []


def close_to(word: str, known: Iterable[str]) -> str | None:
    """The one of `known` that was probably meant."""
    return next(iter(difflib.get_close_matches(word, known, n=1)), None)


def _known(error: ErrorDetails) -> bool:
    """None stands where a variable couldn't be filled in, and the document has that fault already."""
    return error["input"] is None and error["type"] != "extra_forbidden"


def _fault(kind: type[AccountsFile], document: Document, error: ErrorDetails) -> Fault:
    way, location = error["loc"], tuple(step for step in error["loc"] if step not in FORMS and step != TEXT)
    if error["type"] == "extra_forbidden":
        section = _place(kind, way[:-1]).section
        return Fault(document.where(location), *_unknown_key(str(way[-1]), list(section.known())))
    place = _place(kind, way)
    if error["type"] == UNKNOWN_FORM and (key := _stray_key(error)):
        words = f"{shown_key(key)} isn't known here", _meant(key, error["ctx"]["keys"].split()) or place.form
        return Fault(document.where((*location, key)), words[0], f"Write {words[1]}.")
    return Fault(document.where(location), *_words(place, error, document.at(location).value))


def _place(kind: type[Section], way: Location) -> _Place:
    place = _Place(kind, "", "")
    steps = iter(way)
    for step in steps:
        if form := FORMS.get(str(step)):
            place = place._replace(section=form)
        elif field := place.section.known().get(str(step)):
            key = str(step)
            place = _Place(SECTIONS.get(key, place.section), key, field.description or "")
            if key == "headers":
                next(steps, None)  # their names are the user's own
    return place


def _words(place: _Place, error: ErrorDetails, written: object = None) -> tuple[str, str]:
    """Message and remedy; a value that is `written` as a text may be repeated."""
    if error["type"] == "missing":
        return f"`{place.key}` is missing", f"Add `{place.key}`: {place.form}."
    if error["input"] in ("", [], {}):
        complaint = "is empty"
    elif place.key in _SHOWN and isinstance(written, str):
        complaint = f"can't be {written!r}"
    else:
        complaint = "isn't of the right form"
    return f"`{place.key}` {complaint}", f"Write {place.form}."


def _unknown_key(key: str, known: list[str]) -> tuple[str, str]:
    meant = _meant(key, known)
    remedy = f"Write {meant}." if meant else f"Take it out; known here: {', '.join(known)}."
    return f"{shown_key(key)} isn't known here", remedy


def _meant(key: str, known: Iterable[str]) -> str | None:
    meant = close_to(key, known)
    return f"`{meant}`" if meant else None


def _stray_key(error: ErrorDetails) -> str | None:
    """The first key of a mapping that none of the forms has which are possible there."""
    known = error["ctx"]["known"].split()
    return next((key for key in error["input"] if key not in known), None) if isinstance(error["input"], dict) else None
