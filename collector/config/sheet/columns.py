"""The columns of a sheet: their names, and their cells as the configuration writes them."""

from __future__ import annotations

import re

from collector.config.validation import close_to
from collector.errors import ConfigError, Fault

REQUIRED = ("name", "appid")
KEYS = (*REQUIRED, "secret", "tags", "since", "rate_limit", "daily_calls", "proxy", "egress", "enabled")
"""The keys of an account that a sheet can set, in the order of a file."""

Value = str | list[str]
"""A cell, as YAML has it: a list for tags, else a text."""


def _folded(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).casefold()  # `App ID`, `rate limit`


_KEYS_BY_NAME = {_folded(key): key for key in KEYS} | {"名称": "name", "appsecret": "secret", "标签": "tags"}

# Chinese punctuation too, as input methods write it.
_BETWEEN_TAGS = re.compile(r"[;,、；，\s]+")
# A spreadsheet rewrites 2025-01-31 in the form of its country.
_DAY = re.compile(r"([0-9]{4})[-/.年]([0-9]{1,2})[-/.月]([0-9]{1,2})日?")
_SWITCHES = {"是": "true", "yes": "true", "true": "true", "否": "false", "no": "false", "false": "false"}
_MAYBE_SECRET = re.compile("[0-9A-Za-z_-]{16,}")


def key_of(name: str) -> str | None:
    """Return the key that a column of this name sets."""
    return _KEYS_BY_NAME.get(_folded(name))


def value_of(key: str, text: str) -> Value | None:
    """Return what a cell sets, None where it is empty. A text of the wrong form is returned as it is."""
    match key:
        case "tags":
            return [tag for tag in _BETWEEN_TAGS.split(text) if tag] or None
        case "since" if day := _DAY.fullmatch(text):
            return f"{day[1]}-{day[2]:0>2}-{day[3]:0>2}"
        case "enabled":
            return _SWITCHES.get(text.casefold(), text) or None
        case _:
            return text or None


def keys_of(where: str, names: list[str]) -> list[str]:
    """Return the key of each column, an empty text where it has no name.

    Raises:
        ConfigError: a column is unknown or appears twice, or a required one is missing.
    """
    keys = [key_of(name) or "" for name in names]
    faults = []
    for place, (name, key) in enumerate(zip(names, keys, strict=True)):
        if name and not key:
            close = close_to(name.lower(), KEYS)
            remedy = f"Write {close}." if close else f"Remove it; known here: {', '.join(KEYS)}."
            # A sheet without a line of names has data there.
            shown = f", {name}," if any(keys) and not _MAYBE_SECRET.search(name) else ""
            faults.append(Fault(where, f"column {place + 1}{shown} isn't known here", remedy))
        elif key and key in keys[:place]:
            faults.append(Fault(where, f"column {place + 1} repeats the column {key}", "Keep one of the two."))
    remedy = f"Begin with a line of names: {', '.join(KEYS)}. All but {' and '.join(REQUIRED)} may be left out."
    faults += [Fault(where, f"no column is called {key}", remedy) for key in REQUIRED if key not in keys]
    if faults:
        raise ConfigError(tuple(faults))
    return keys
