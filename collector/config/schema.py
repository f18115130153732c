"""What a configuration file may hold: the fields, their forms and their defaults.

Values are texts as they come from YAML; pydantic converts them, each from one written form only.
A field's description completes the sentence "Write …": it is the remedy of every fault of that field.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, time
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    ValidationInfo,
)

from collector.model import Rate, Secret, TokenKind

_UNFIT = r"\s\x00-\x1f\x7f\ud800-\udfff"
_NAME_AND_HOSTS = rf"(?:[^{_UNFIT}@/?]*@)?[^{_UNFIT}@/?]+"
_MONGODB_URI = rf"mongodb(?:\+srv)?://{_NAME_AND_HOSTS}(?:[/?][^{_UNFIT}@]*)?"
"""An @ or / in a password that isn't percent-encoded would make PyMongo take a part of it for the host."""
"""What no secret or address holds. Bytes of the environment that aren't UTF-8 come as lone surrogates."""


def _written(pattern: str) -> BeforeValidator:
    """Refuse texts of other forms, which pydantic alone would take: `1_000`, `yes`, a Unix time for a day."""
    matches = re.compile(pattern).fullmatch

    def check(value: object) -> object:
        if isinstance(value, str) and not matches(value):
            raise ValueError(pattern)
        return value

    return BeforeValidator(check)


def parse_rate(value: object) -> Rate:
    """Read `5/s` or `30/min`; a `Rate` stays what it is.

    Raises:
        ValueError: the text is of another form, or the number is 0.
    """
    if isinstance(value, Rate):
        return value
    match = re.fullmatch(r"([1-9][0-9]{0,8})/(s|min)", value) if isinstance(value, str) else None
    if not match:
        raise ValueError("not n/s or n/min")
    return Rate(int(match[1]), 1 if match[2] == "s" else 60)


def _up_to_today(day: date, info: ValidationInfo) -> date:
    if info.context and day > info.context["today"]:
        raise ValueError("in the future")
    return day


def _origin(value: object) -> object:
    """`http(s)://HOST[:PORT]` without a slash at its end; what else would come is refused."""
    if not isinstance(value, str):
        return value
    if not re.fullmatch(rf"https?://[^{_UNFIT}/?#\\]+/?", value):
        raise ValueError("no address of a host")
    parts = urlsplit(value)
    if not parts.hostname or parts.port == 0:  # asking for the port checks it
        raise ValueError("no host, or a port that can't be")
    parts.hostname.encode("idna")  # a name that DNS can't take is a ValueError too
    return value.removesuffix("/")


def _blank_as(empty: Callable[[], object]) -> BeforeValidator:
    """A section whose lines are all commented out counts as left out."""
    return BeforeValidator(lambda value: empty() if value == "" else value)


class Section(BaseModel):
    """A mapping of the file; keys that it doesn't know are faults."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class MongoSettings(Section):
    """Where the figures are stored. Without `uri`, a local mongod is started."""

    uri: Annotated[Secret, _written(_MONGODB_URI)] | None = Field(
        default=None,
        description=(
            "the address of a MongoDB, such as mongodb://USER:PASSWORD@HOST/ with @ : / % of the password "
            "percent-encoded, or leave the key out"
        ),
    )
    database: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,63}$")] = Field(
        default="wechat", description="a name of up to 63 letters, digits, `_` and `-`, such as wechat"
    )


class ApiSettings(Section):
    """How WeChat is reached: hosts in the order in which they are tried, `timeout` in seconds for one call."""

    hosts: Annotated[
        tuple[Annotated[str, StringConstraints(pattern="^[^@]*$"), AfterValidator(_origin)], ...], Field(min_length=1)
    ] = Field(
        default=("https://api.weixin.qq.com", "https://api2.weixin.qq.com"),
        description="a list of addresses without a path, such as [https://api.weixin.qq.com]",
    )
    timeout: Annotated[float, _written(r"[0-9]+(\.[0-9]+)?"), Field(gt=0, le=600)] = Field(
        default=10.0, description="a number of seconds above 0 and up to 600, such as 10"
    )
    proxy: Annotated[Secret, BeforeValidator(_origin)] | None = Field(
        default=None, description="the address of a proxy, such as http://HOST:3128, or leave the key out"
    )


class RunSettings(Section):
    """How a run works: accounts at work at once, days fetched again, the hour in Beijing when a day is there."""

    workers: Annotated[int, _written("[0-9]+"), Field(ge=1, le=1000)] = Field(
        default=64, description="a whole number from 1 to 1000, such as 64"
    )
    lookback: Annotated[int, _written("[0-9]+"), Field(ge=1, le=3650)] = Field(
        default=7, description="a whole number of days from 1 to 3650, such as 7"
    )
    published_at: Annotated[time, _written("[0-9]{2}:[0-9]{2}")] = Field(
        default=time(8), description='a time of day from "00:00" to "23:59", such as "08:00"'
    )


class Defaults(Section):
    """What any account may set, for all that don't."""

    rate_limit: Annotated[Rate, PlainValidator(parse_rate)] = Field(
        default=Rate(5, 1), description="a number of calls from 1 up, a second or a minute, such as 5/s or 30/min"
    )
    token: TokenKind = Field(default=TokenKind.STABLE, description="stable or classic")
    since: Annotated[date, _written("[0-9]{4}-[0-9]{2}-[0-9]{2}"), AfterValidator(_up_to_today)] | None = Field(
        default=None, description="a day as YYYY-MM-DD that isn't in the future, such as 2025-01-01"
    )
    daily_calls: Annotated[int, _written("[0-9]+"), Field(ge=1, le=1_000_000)] | None = Field(
        default=None, description="a whole number of calls of each dataset a day from 1 up, such as 200"
    )


class AccountEntry(Defaults):
    """One account as it is written: only the fields that were set count, `defaults` gives the others."""

    name: Annotated[str, StringConstraints(max_length=100, pattern=r"^\P{Cc}*[^\s\p{Cc}]\P{Cc}*$")] = Field(
        description="a name of up to 100 characters, such as acme-shoes"
    )
    appid: Annotated[str, StringConstraints(pattern="^wx[0-9a-f]{16}$")] = Field(
        description="the AppID from the account's console: wx and 16 digits of 0-9 and a-f"
    )
    secret: Annotated[Secret, _written(f"[^{_UNFIT}]+")] = Field(
        description="the AppSecret from the account's console, best as a variable such as ${ACME_SECRET}"
    )
    tags: Annotated[tuple[Annotated[str, StringConstraints(pattern=r"\S")], ...], _blank_as(tuple)] = Field(
        default=(), description="a list of texts, such as [retail]"
    )
    enabled: Annotated[bool, _written("true|True|TRUE|false|False|FALSE")] = Field(
        default=True, description="true or false"
    )


class AccountsFile(Section):
    """A file that another one includes."""

    accounts: Annotated[tuple[AccountEntry, ...], _blank_as(tuple)] = Field(
        default=(), description="a list of accounts, each with `name`, `appid` and `secret`"
    )


class ConfigFile(AccountsFile):
    """A file that is named on the command line, or found."""

    mongodb: Annotated[MongoSettings, _blank_as(dict)] = Field(
        default=MongoSettings(), description="the keys `uri` and `database` below it"
    )
    api: Annotated[ApiSettings, _blank_as(dict)] = Field(
        default=ApiSettings(), description="the keys `hosts`, `timeout` and `proxy` below it"
    )
    run: Annotated[RunSettings, _blank_as(dict)] = Field(
        default=RunSettings(), description="the keys `workers`, `lookback` and `published_at` below it"
    )
    defaults: Annotated[Defaults, _blank_as(dict)] = Field(
        default=Defaults(), description="the keys `rate_limit`, `token`, `since` and `daily_calls` below it"
    )
    include: Annotated[str, StringConstraints(pattern=r"^\P{Cc}+$")] | None = Field(
        default=None, description="one pattern of file names, such as accounts.d/*.yaml, or leave the key out"
    )
