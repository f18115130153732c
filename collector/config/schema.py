"""The fields of a configuration file, their forms and their defaults.

Values are texts as they come from YAML; pydantic converts them, each from one written form only.
A field's description completes the sentence "Write …": it is the remedy of every fault of that field.
"""

from __future__ import annotations

from datetime import date, time
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, StringConstraints

from collector.config.forms import COMPONENT_TOKEN, TICKET, TOKEN, BlankAs, FilePath, Name, Section, secret_forms
from collector.config.texts import RATE, host_address, mongodb_address, parse_rate, up_to_today, written
from collector.model.accounts import FromCommand, FromUrl, Origin, Rate, TokenKind, TokenOrigin
from collector.model.language import Language

_ELSEWHERE = "{file: PATH}, {credential: NAME} or {command: [PROGRAM, ARGUMENT]}"
_FROM_ACCOUNT = "the AppSecret from the account's console, best as a variable such as ${ACME_SECRET}"
_FROM_PLATFORM = "the AppSecret from the platform's console, best as a variable such as ${AGENCY_SECRET}"
SECRET_FORM = f"{_FROM_ACCOUNT}, or where it is: {_ELSEWHERE}"
TOKEN_FORMS = "{component: NAME}, {url: ADDRESS} or {command: [PROGRAM, ARGUMENT]}"  # noqa: S105 (words for people)

_Appid = Annotated[str, StringConstraints(pattern="^wx[0-9a-f]{16}$")]
_Hosts = Annotated[
    tuple[Annotated[str, StringConstraints(pattern="^[^@]*$"), BeforeValidator(host_address)], ...], Field(min_length=1)
]
_Egress = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
_Secret = Annotated[Origin, secret_forms()]
_Proxy = Annotated[Origin, secret_forms(BeforeValidator(host_address))]
# YAML's core schema; pydantic alone would accept yes, on, 1 and more.
_Bool = Annotated[bool, written("true|True|TRUE|false|False|FALSE")]

_HOSTS = "a list of addresses without a path, such as [https://api.weixin.qq.com]"
_PROXY = f"the address of a proxy, such as http://HOST:3128, or where it is: {_ELSEWHERE}, or leave the key out"
_EGRESS = "a label of up to 63 letters, digits, `-`, `_` and `.` that begins with a letter or a digit, such as hk"
_NAME = "a name of up to 100 characters, such as acme-shoes"


class MongoSettings(Section):
    """The database of the figures. Without `uri`, a local mongod is started."""

    uri: Annotated[Origin, secret_forms(BeforeValidator(mongodb_address))] | None = Field(
        default=None,
        description=(
            "the address of a MongoDB, such as mongodb://USER:PASSWORD@HOST/ with @ : / % of the password "
            f"percent-encoded, or where it is: {_ELSEWHERE}, or leave the key out"
        ),
    )
    # MongoDB's own rules depend on the server's platform; this is valid on all of them.
    database: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,63}$")] = Field(
        default="wechat", description="a name of up to 63 letters, digits, `_` and `-`, such as wechat"
    )
    data_dir: FilePath | None = Field(
        default=None,
        description="the path of a folder, absolute or relative to this file's folder",
    )


class ApiSettings(Section):
    """The connection to WeChat: hosts in the order in which they are tried, `timeout` in seconds for one call."""

    hosts: _Hosts = Field(default=("https://api.weixin.qq.com", "https://api2.weixin.qq.com"), description=_HOSTS)
    # Without a bound a typing error could make one call last for days.
    timeout: Annotated[float, Field(gt=0, le=600), written(r"[0-9]+(\.[0-9]+)?")] = Field(
        default=10.0, description="a number of seconds above 0 and up to 600, such as 10"
    )
    proxy: _Proxy | None = Field(default=None, description=_PROXY)
    ipv4_only: _Bool = Field(default=False, description="true, so that WeChat is reached by IPv4 alone, or false")
    check_clock: _Bool = Field(
        default=True, description="false where a proxy rewrites the `Date` of WeChat's answers, else true"
    )


class RunSettings(Section):
    """The settings of a run: number of workers and of processes, days of lookback, Beijing hour of publication."""

    workers: Annotated[int, Field(ge=1, le=1000), written("[0-9]+")] = Field(
        default=64, description="a whole number from 1 to 1000, such as 64"
    )
    processes: Annotated[Annotated[int, Field(ge=1, le=256)] | Literal["auto"], written("auto|[0-9]+")] = Field(
        default=1, description="a whole number of processes from 1 to 256, or auto for one per core"
    )
    lookback: Annotated[int, Field(ge=1, le=3650), written("[0-9]+")] = Field(
        default=7, description="a whole number of days from 1 to 3650, such as 7"
    )
    # Two digits each: pydantic would accept a number of seconds too.
    published_at: Annotated[time, written("[0-9]{2}:[0-9]{2}")] = Field(
        default=time(8), description='a time of day from "00:00" to "23:59", such as "08:00"'
    )


class ComponentEntry(Section):
    """One third-party platform as it is written."""

    name: Name = Field(description="a name of up to 100 characters, such as agency")
    appid: _Appid = Field(description="the AppID from the platform's console: wx and 16 digits of 0-9 and a-f")
    access_token: Annotated[FromUrl | FromCommand, COMPONENT_TOKEN] | None = Field(
        default=None, description="where the platform's token is: {url: ADDRESS} or {command: [PROGRAM, ARGUMENT]}"
    )
    secret: _Secret | None = Field(default=None, description=f"{_FROM_PLATFORM}, or where it is: {_ELSEWHERE}")
    verify_ticket: Annotated[Origin | FromUrl, TICKET] | None = Field(
        default=None, description=f"where the newest component_verify_ticket is: {{url: ADDRESS}}, {_ELSEWHERE}"
    )
    discover: _Bool = Field(
        default=False, description="true, so that every account that authorised the platform is collected, or false"
    )
    exclude: Annotated[frozenset[_Appid], BlankAs(frozenset)] = Field(
        default=frozenset(), description="a list of AppIDs, each wx and 16 digits of 0-9 and a-f"
    )
    egress: _Egress | None = Field(default=None, description=_EGRESS)


class Defaults(Section):
    """Defaults for all accounts, each of which may set its own."""

    rate_limit: Annotated[Rate, PlainValidator(parse_rate, Annotated[str, Field(pattern=f"^{RATE}$")])] = Field(
        default=Rate(5, 1), description="a number of calls from 1 up, a second or a minute, such as 5/s or 30/min"
    )
    token: Annotated[TokenOrigin, TOKEN] = Field(
        default=TokenKind.STABLE, description=f"stable or classic, or where the token is: {TOKEN_FORMS}"
    )
    since: Annotated[date, written("[0-9]{4}-[0-9]{2}-[0-9]{2}"), AfterValidator(up_to_today)] | None = Field(
        default=None, description="a day as YYYY-MM-DD that isn't in the future, such as 2025-01-01"
    )
    daily_calls: Annotated[int, Field(ge=1, le=1_000_000), written("[0-9]+")] | None = Field(
        default=None, description="a whole number of calls of each dataset a day from 1 up, such as 200"
    )
    egress: _Egress | None = Field(default=None, description=_EGRESS)


class AccountEntry(Defaults):
    """One account as it is written: only the fields that were set count, `defaults` has the others."""

    name: Name = Field(description=_NAME)
    appid: _Appid = Field(description="the AppID from the account's console: wx and 16 digits of 0-9 and a-f")
    secret: _Secret | None = Field(default=None, description=SECRET_FORM)
    authorizer_refresh_token: _Secret | None = Field(
        default=None, description=f"the account's authorizer_refresh_token, or where it is: {_ELSEWHERE}"
    )
    proxy: _Proxy | None = Field(default=None, description=_PROXY)
    hosts: _Hosts = Field(default=(), description=_HOSTS)
    tags: Annotated[tuple[Annotated[str, StringConstraints(pattern=r"\S")], ...], BlankAs(tuple)] = Field(
        default=(), description="a list of texts, such as [retail]"
    )
    enabled: _Bool = Field(default=True, description="true or false")


class AccountsFile(Section):
    """A file that another one includes."""

    accounts: Annotated[tuple[AccountEntry, ...], BlankAs(tuple)] = Field(
        default=(), description="a list of accounts, each with `name` and `appid`, and `secret` or `token`"
    )


def _section(default: Section) -> Any:
    *keys, last = (f"`{key}`" for key in default.known())
    return Field(default=default, description=f"the keys {', '.join(keys)} and {last} below it")


class ConfigFile(AccountsFile):
    """A file that was named on the command line, or found at a usual place."""

    mongodb: Annotated[MongoSettings, BlankAs(dict)] = _section(MongoSettings())
    api: Annotated[ApiSettings, BlankAs(dict)] = _section(ApiSettings())
    run: Annotated[RunSettings, BlankAs(dict)] = _section(RunSettings())
    defaults: Annotated[Defaults, BlankAs(dict)] = _section(Defaults())
    components: Annotated[tuple[ComponentEntry, ...], BlankAs(tuple)] = Field(
        default=(), description="a list of third-party platforms, each with `name`, `appid` and `access_token`"
    )
    language: Annotated[Language, written("zh|en")] | None = Field(
        default=None, description="zh or en, the language of reports, or leave the key out"
    )
    include: Annotated[str, StringConstraints(pattern=r"^\P{Cc}+$")] | None = Field(
        default=None, description="one pattern of file names, such as accounts.d/*.yaml, or leave the key out"
    )


SECTIONS: dict[str, type[Section]] = {
    "mongodb": MongoSettings,
    "api": ApiSettings,
    "run": RunSettings,
    "defaults": Defaults,
    "components": ComponentEntry,
    "accounts": AccountEntry,
}
"""Sections by the key that they, or the list of them, have in a file."""
