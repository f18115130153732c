"""Forms of single texts, where pydantic alone would accept too much."""

from __future__ import annotations

import re
from datetime import date
from urllib.parse import urlsplit

from pydantic import BeforeValidator, ValidationInfo

from collector.model.accounts import Rate

UNFIT = r"\s\x00-\x1f\x7f\ud800-\udfff"
"""Characters that no secret or address holds. Bytes of the environment that aren't UTF-8 become lone surrogates."""

RATE = "([1-9][0-9]{0,8})/(s|min)"

_HOST = re.compile(rf"https?://[^{UNFIT}/?#\\]+/?")
_ADDRESS = re.compile(rf"https?://[^{UNFIT}/?#\\]+(?:[/?][^{UNFIT}#]*)?")


def written(pattern: str) -> BeforeValidator:
    """Refuse texts of other forms, which pydantic would accept: `1_000`, `yes`, a Unix time for a day."""
    matches = re.compile(pattern).fullmatch

    def check(value: object) -> object:
        if isinstance(value, str) and not matches(value):
            raise ValueError(pattern)
        return value

    return BeforeValidator(check)


def parse_rate(value: object) -> Rate:
    """Parse `5/s` or `30/min`; a `Rate` is returned as it is.

    Raises:
        ValueError: the text is of another form, or the number is 0.
    """
    if isinstance(value, Rate):
        return value
    match = re.fullmatch(RATE, value) if isinstance(value, str) else None
    if not match:
        raise ValueError("not n/s or n/min")
    return Rate(int(match[1]), 1 if match[2] == "s" else 60)


def up_to_today(day: date, info: ValidationInfo) -> date:
    """Refuse a day after the `today` of the context.

    Raises:
        ValueError: the day is in the future.
    """
    if info.context and "today" in info.context and day > info.context["today"]:
        raise ValueError("in the future")
    return day


def host_address(value: object) -> object:
    """Check `http(s)://[USER:PASSWORD@]HOST[:PORT]`, and remove a slash at its end.

    Raises:
        ValueError: the text is of another form.
    """
    return _checked(value, _HOST).removesuffix("/") if isinstance(value, str) else value


def server_address(value: object) -> object:
    """Check the address of a server, which may hold `{appid}` anywhere.

    Raises:
        ValueError: the text is of another form.
    """
    return _checked(value, _ADDRESS) if isinstance(value, str) else value


def _checked(address: str, form: re.Pattern[str]) -> str:
    parts = urlsplit(address) if form.fullmatch(address) else None
    if not parts or not parts.hostname or parts.port == 0:  # reading `port` checks its range
        raise ValueError("another form, no host, or an impossible port")
    parts.hostname.encode("idna")  # raises a ValueError where DNS can't hold the name
    return address
