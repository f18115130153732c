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

MAX_PORT = 65_535

# With an unencoded @ or / in a password, PyMongo would take a part of it for the host.
_MONGODB = re.compile(rf"mongodb(?:\+srv)?://(?:[^{UNFIT}@/?]*@)?(?P<hosts>[^{UNFIT}@/?]+)(?:[/?][^{UNFIT}@]*)?")
_HOST = re.compile(rf"https?://[^{UNFIT}/?#\\]+/?")
_ADDRESS = re.compile(rf"https?://[^{UNFIT}/?#\\]+(?:[/?][^{UNFIT}#]*)?")


class PortError(ValueError):
    """A port that no host has. It isn't repeated: it may be a password whose host is missing."""

    def __init__(self) -> None:
        super().__init__(f"has a port that isn't a number from 1 to {MAX_PORT}")


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


def mongodb_address(value: object) -> object:
    """Check `mongodb://[USER:PASSWORD@]HOST[:PORT],…[/DATABASE][?OPTIONS]`, or `mongodb+srv://…`.

    Raises:
        ValueError: the text is of another form.
    """
    if isinstance(value, str):
        parts = _MONGODB.fullmatch(value)
        if not parts:
            raise ValueError("another form")
        for host in parts["hosts"].split(","):
            name, colon, port = host.rpartition(":")
            if name and colon and not host.endswith("]") and not _is_port(port):
                raise PortError
    return value


def _checked(address: str, form: re.Pattern[str]) -> str:
    parts = urlsplit(address) if form.fullmatch(address) else None
    if not parts or not parts.hostname:
        raise ValueError("another form, or no host")
    _, colon, port = parts.netloc.rpartition("@")[2].rpartition("]")[2].rpartition(":")
    if colon and not _is_port(port):
        raise PortError
    parts.hostname.encode("idna")  # raises a ValueError where DNS can't hold the name
    return address


def _is_port(text: str) -> bool:
    return re.fullmatch("[0-9]{1,5}", text) is not None and 0 < int(text) <= MAX_PORT
