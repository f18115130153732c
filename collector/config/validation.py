"""Validate a document, and say in plain words what is wrong with it."""

from __future__ import annotations

import difflib
from datetime import date

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from collector.config.schema import (
    AccountEntry,
    AccountsFile,
    ApiSettings,
    ConfigFile,
    Defaults,
    MongoSettings,
    RunSettings,
    Section,
)
from collector.config.yamlfile import Document, shown_key
from collector.errors import Fault

_SECTIONS: dict[str, type[Section]] = {
    "mongodb": MongoSettings,
    "api": ApiSettings,
    "run": RunSettings,
    "defaults": Defaults,
    "accounts": AccountEntry,
}
_MODELS: tuple[type[Section], ...] = (ConfigFile, *_SECTIONS.values())
_FIELDS = {key: field for model in _MODELS for key, field in model.model_fields.items()}
"""Every field by its name alone: no two sections share a name, but where they mean the same."""

_SHOWN = frozenset(
    {
        "database",
        "timeout",
        "workers",
        "lookback",
        "published_at",
        "rate_limit",
        "token",
        "since",
        "enabled",
        "daily_calls",
    }
)
"""Fields whose values a message repeats. Into the others a secret may stray: an AppSecret written as `appid`."""


def validate(kind: type[AccountsFile], document: Document, today: date) -> AccountsFile | tuple[Fault, ...]:
    """The document as a `kind`, or all its faults. `today` is Beijing's: no `since` may be after it."""
    try:
        return kind.model_validate(document.values, context={"today": today})
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False, include_context=False)
    return tuple(_fault(kind, document, error) for error in errors if not _known(error))


def _known(error: ErrorDetails) -> bool:
    """None stands where a variable couldn't be filled in, and the document has that fault already."""
    return error["input"] is None and error["type"] != "extra_forbidden"


def _fault(kind: type[AccountsFile], document: Document, error: ErrorDetails) -> Fault:
    location = error["loc"]
    where = document.where(location)
    if error["type"] == "extra_forbidden":
        return Fault(where, *_unknown_key(kind, [step for step in location if isinstance(step, str)]))
    key = next(step for step in reversed(location) if isinstance(step, str))
    form = _FIELDS[key].description
    if error["type"] == "missing":
        return Fault(where, f"`{key}` is missing", f"Add `{key}`: {form}.")
    return Fault(where, f"`{key}` {_complaint(key, document, error)}", f"Write {form}.")


def _unknown_key(kind: type[AccountsFile], keys: list[str]) -> tuple[str, str]:
    """Message and remedy for the last of `keys`, which its section doesn't know."""
    *sections, key = keys
    section = _SECTIONS[sections[-1]] if sections else kind
    known = list(section.model_fields)
    close = difflib.get_close_matches(key, known, n=1)
    remedy = f"Write `{close[0]}`." if close else f"Take it out; known here: {', '.join(known)}."
    return f"{shown_key(key)} isn't known here", remedy


def _complaint(key: str, document: Document, error: ErrorDetails) -> str:
    written = document.at(error["loc"]).value
    if error["input"] in ("", []):
        return "is empty"
    if key in _SHOWN and isinstance(written, str):
        return f"can't be {written!r}"
    return "isn't of the right form"
