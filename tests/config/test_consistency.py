"""Rules over all files: unique names, and references that exist."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from collector.config import load
from collector.errors import ConfigError, Fault
from collector.model.accounts import Account, FromUrl, Rate

GOOD = "accounts: [{name: a, appid: wx0000000000000001, secret: s}]\n"


def test_duplicate_accounts(write: Callable[..., Path]) -> None:
    """Names and appids are unique over all files."""
    write(GOOD, "more/x.yaml")
    write(GOOD.replace("name: a", "name: b"), "more/y.yaml")
    with pytest.raises(ConfigError) as caught:
        load([write("include: more/*.yaml\n" + GOOD)], {}, datetime.now(UTC))
    name = "Give each account its own `name`, or remove one of the two."
    appid = "Give each account its own `appid`, or remove one of the two."
    assert caught.value.faults == (
        Fault("accounts.yaml:2", "`appid` is taken by the account at more/x.yaml:1", appid),
        Fault("accounts.yaml:2", "`name` is taken by the account at more/x.yaml:1", name),
        Fault("more/x.yaml:1", "`appid` is taken by the account at accounts.yaml:2", appid),
        Fault("more/x.yaml:1", "`name` is taken by the account at accounts.yaml:2", name),
        Fault("more/y.yaml:1", "`appid` is taken by the account at accounts.yaml:2", appid),
    )


def test_empty_names_are_no_duplicates(faults: Callable[..., tuple[Fault, ...]]) -> None:
    entry = "  - {name: '', appid: '', secret: s}\n"
    assert [fault.message for fault in faults("accounts:\n" + entry * 2)] == ["`appid` is empty", "`name` is empty"] * 2


NOW = datetime(2026, 11, 24, tzinfo=UTC)

ACCOUNT = Account("a", "wx0000000000000001", None, Rate(5, 1))

AGENCY = "components: [{name: agency, appid: wx00000000000000c0, access_token: {url: 'http://t'}}]\n"


def entry(*more: str) -> str:
    return "accounts: [{" + ", ".join(["name: a, appid: wx0000000000000001", *more]) + "}]\n"


ELSEWHERE = "or where it is: {file: PATH}, {credential: NAME} or {command: [PROGRAM, ARGUMENT]}"

SECRET_FORM = (
    f"Write the AppSecret from the account's console, best as a variable such as ${{ACME_SECRET}}, {ELSEWHERE}."
)


def test_duplicate_components(write: Callable[..., Path]) -> None:
    """An account may be called as a component is."""
    first = write(AGENCY + entry("secret: s").replace("name: a", "name: agency"), "a.yaml")
    with pytest.raises(ConfigError) as caught:
        load([first, write(AGENCY, "b.yaml")], {}, NOW)
    assert caught.value.faults == tuple(
        Fault(
            where,
            f"`{key}` is taken by the component at {other}",
            f"Give each component its own `{key}`, or remove one of the two.",
        )
        for where, other in (("a.yaml:1", "b.yaml:1"), ("b.yaml:1", "a.yaml:1"))
        for key in ("appid", "name")
    )


MISSING = (
    f"Add `secret`: {SECRET_FORM.removeprefix('Write ')} Or say with `token` where the account's token is: "
    "{component: NAME}, {url: ADDRESS} or {command: [PROGRAM, ARGUMENT]}."
)


@pytest.mark.parametrize(
    ("defaults", "own", "needed"),
    [
        ("", "", True),
        ("", "token: stable", True),
        ("", "token: '${K}'", True),
        ("token: classic", "", True),
        ("token: {url: 'http://t'}", "token: stable", True),
        ("token: {url: 'http://t'}", "", False),
        ("", "token: {component: agency}", False),
        ("token: classic", "token: {command: [x]}", False),
    ],
)
def test_missing_secret(write: Callable[..., Path], defaults: str, own: str, needed: bool) -> None:
    """A secret is needed where WeChat is asked for the token."""
    path = write(AGENCY + f"defaults: {{{defaults}}}\n" + entry(*[own] if own else []))
    try:
        found = load([path], {"K": "classic"}, NOW).accounts[0].secret
    except ConfigError as error:
        found = error.faults  # type: ignore[assignment] # whatever it is, it is compared
    assert found == ((Fault("accounts.yaml:3", "`secret` is missing", MISSING),) if needed else None)


def test_missing_secret_by_later_defaults(write: Callable[..., Path]) -> None:
    """The later one of several defaults counts."""
    server = write("defaults: {token: {url: 'http://t'}}\n" + entry(), "server.yaml")
    stable = write("defaults: {token: stable}", "stable.yaml")
    assert load([stable, server], {}, NOW).accounts == (replace(ACCOUNT, token=FromUrl(SecretStr("http://t"))),)
    with pytest.raises(ConfigError) as caught:
        load([server, stable], {}, NOW)
    assert caught.value.faults == (Fault("server.yaml:2", "`secret` is missing", MISSING),)


def test_unread_file(write: Callable[..., Path]) -> None:
    """It may have the defaults and the components; an included file never does."""
    path = write("include: d/*.yaml\n" + entry("token: {component: x}") + AGENCY)
    with pytest.raises(ConfigError) as caught:
        load([path, write("[", "b.yaml")], {}, NOW)
    assert [fault.where for fault in caught.value.faults] == ["b.yaml:1"]
    write("[", "d/a.yaml")
    with pytest.raises(ConfigError) as caught:
        load([path], {}, NOW)
    assert [fault.where for fault in caught.value.faults] == ["accounts.yaml:2", "d/a.yaml:1"]
