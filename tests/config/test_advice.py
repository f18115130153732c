"""Warnings about valid settings."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from collector.config import Settings
from collector.model.accounts import TokenKind

KEY = "0123456789abcdef" * 2

ONE = f"accounts: [{{name: a, appid: wx0000000000000001, secret: {KEY}}}]\n"

VARIABLE = ONE.replace(f"secret: {KEY}", "secret: '${S}'")


def entry(name: str, number: int, *more: str) -> str:
    return "  - {" + ", ".join([f"name: {name}, appid: wx{number:016x}, secret: {KEY}", *more]) + "}\n"


def test_variable_without_braces(loaded: Callable[..., Settings]) -> None:
    """The warning doesn't repeat it."""
    assert loaded(ONE.replace(f"secret: {KEY}", "secret: $ACME_SECRET")).warnings == (
        "accounts.yaml:1: `secret` is a $ and a word, taken literally; a variable is written ${ACME_SECRET}",
    )
    for secret in ("5$x", "$x"):
        (warning,) = loaded(VARIABLE, {"S": secret}).warnings
        assert "is a $ and a word" not in warning
    assert loaded(ONE.replace("name: a", "name: $a")).warnings == ()


@pytest.mark.parametrize(
    ("secret", "has"),
    [("…", "it has 1"), (KEY[1:], "it has 31"), ("x" * 31 + "*", "it holds other characters"), ("${S}", "it has 2")],
)
def test_malformed_secret(loaded: Callable[..., Settings], secret: str, has: str) -> None:
    """The warning gives its length, and no part of it."""
    assert loaded(ONE.replace(KEY, f"'{secret}'"), {"S": "ab"}).warnings == (
        f"accounts.yaml:1: `secret` isn't an AppSecret of WeChat's, 32 digits and letters ({has}): copy the real one",
    )


def test_many_malformed_secrets(loaded: Callable[..., Settings]) -> None:
    """They are one warning; a platform's secret is one of them."""
    content = "accounts:\n" + "".join(entry(f"a{n}", n) for n in range(1, 9)).replace(KEY, "…")
    (warning,) = loaded(content).warnings
    assert warning.startswith("accounts.yaml:2: `secret` isn't")
    lines = ", ".join(f"accounts.yaml:{line}" for line in range(3, 8))
    assert warning.endswith(f"copy the real one; likewise {lines} and 2 more")
    platform = "components: [{name: c, appid: wx00000000000000c0, secret: s, verify_ticket: t}]"
    (warning,) = loaded(ONE + platform).warnings
    assert warning.startswith("accounts.yaml:2: `secret` isn't")


def test_options_of_a_mongodb_address(loaded: Callable[..., Settings]) -> None:
    """Those that have no effect are named, unless they may be a part of a password."""
    uri = "mongodb://u:p@h/?foo=1&replicaSet=rs0&p4ss=1"
    rest = "isn't an option of MongoDB's, and has no effect; correct it, or take it out"
    assert loaded(f"{ONE}mongodb: {{uri: '{uri}'}}").warnings == (
        f"accounts.yaml:2: in `uri` `foo` {rest}",
        f"accounts.yaml:2: in `uri` one word after the `?` {rest}",
    )


def test_variable_without_braces_of_a_platform(loaded: Callable[..., Settings]) -> None:
    platform = "components: [{name: c, appid: wx00000000000000c0, secret: '${S}', verify_ticket: $TICKET}]"
    (warning,) = loaded(VARIABLE + platform, {"S": KEY}).warnings
    assert warning.startswith("accounts.yaml:2: `verify_ticket` is a $ and a word")


@pytest.mark.parametrize(
    ("line", "content"),
    [
        (1, ONE),
        (2, ONE.replace(f"secret: {KEY}", "secret: '${S}'") + "mongodb: {uri: 'mongodb://${S}:pw@h'}"),
        (2, ONE.replace(f"secret: {KEY}", "secret: '${S}'") + "api: {proxy: 'https://u:pw@h'}"),
        (1, ONE.replace(f"secret: {KEY}", f"secret: '${{S:-{KEY}}}'")),
        (
            2,
            VARIABLE
            + f"components: [{{name: c, appid: wx00000000000000c0, secret: {KEY}, verify_ticket: {{file: x}}}}]",
        ),
        (2, VARIABLE + "components: [{name: c, appid: wx00000000000000c0, secret: {file: x}, verify_ticket: t}]"),
        (2, VARIABLE + "defaults: {token: {url: 'https://u:pw@h'}}"),
        (2, VARIABLE + "defaults: {token: {url: 'https://h', headers: {Accept: a, X-Key: k}}}"),
        (1, VARIABLE.replace("}]", ", proxy: 'https://u:pw@h'}]")),
        (1, VARIABLE.replace("}]", ", authorizer_refresh_token: t}]")),
    ],
)
def test_readable_secret(loaded: Callable[..., Settings], line: int, content: str) -> None:
    """A file with a secret that others can read is a warning."""
    warning = f"accounts.yaml:{line}: others can read this file and its secrets; run chmod o-r accounts.yaml"
    assert loaded(content, {"S": KEY}, mode=0o640).warnings == ()  # a group of its own is how deploy/ installs it
    assert loaded(content, {"S": KEY}, mode=0o604).warnings == (warning,)
    assert loaded(content, {"S": KEY}, mode=0o600).warnings == ()


def test_same_advice_about_many_places(loaded: Callable[..., Settings]) -> None:
    """It is one warning, which names the places."""
    for name in "bcd":
        file = Path(f"{name}.yaml")
        file.write_text(f"accounts:\n{entry(name, ord(name), 'since: 2001-01-01')}")
        file.chmod(0o606)
    readable, writable, early = loaded("include: '?.yaml'\naccounts: []").warnings
    places = "b.yaml:2: {}; likewise c.yaml:2, d.yaml:2"
    assert readable == places.format("others can read this file and its secrets; run chmod o-r on each")
    assert writable.endswith("what the collector runs; run chmod o-w on each; likewise c.yaml, d.yaml")
    rest = "but WeChat keeps nothing before 2014-12-01; taken as that day"
    assert early == places.format(f"`since` is 2001-01-01, {rest}")


def test_readable_without_secrets(loaded: Callable[..., Settings]) -> None:
    """A file whose secrets are variables may be read by others."""
    content = (
        ONE.replace(f"secret: {KEY}", "secret: '${S}', proxy: {file: p}, authorizer_refresh_token: {credential: c}")
        + "mongodb: {uri: 'mongodb://u:${S}@h'}\napi: {proxy: http://h}\ndefaults: {token: {url: 'https://u:${S}@h', "
        "headers: {Authorization: 'Bearer ${S}', accept: text/plain, X: {command: [get, secret]}}}}"
    )
    assert loaded(content, {"S": KEY}, mode=0o644).warnings == ()


def test_early_since(loaded: Callable[..., Settings]) -> None:
    """A day before WeChat's first is moved there, with a warning."""
    content = "defaults: {since: 2014-11-30}\naccounts:\n" + entry("a", 1) + entry("b", 2, "since: 2000-01-01")
    settings = loaded(content + entry("c", 3, "since: 2014-12-01"))
    assert [account.since for account in settings.accounts] == [date(2014, 12, 1)] * 3
    rest = "but WeChat keeps nothing before 2014-12-01; taken as that day"
    assert settings.warnings == (
        f"accounts.yaml:1: `since` is 2014-11-30, {rest}",
        f"accounts.yaml:4: `since` is 2000-01-01, {rest}",
    )


CLASSIC = (
    "token by the classic call, which invalidates the token of any other "
    "system of the account; write `token: stable` unless that is wanted"
)


def test_classic_tokens(loaded: Callable[..., Settings]) -> None:
    """One warning counts the enabled accounts."""
    content = (
        "defaults: {token: classic}\naccounts:\n"
        + entry("a", 1, "token: stable")
        + entry("b", 2, "enabled: false")
        + entry("c", 3)
    )
    settings = loaded(content)
    assert [account.token for account in settings.accounts] == [
        TokenKind.STABLE,
        TokenKind.CLASSIC,
        TokenKind.CLASSIC,
    ]
    assert settings.warnings == (f"accounts.yaml:5: 1 account fetches its {CLASSIC}",)
    assert loaded(content + entry("d", 4)).warnings == (f"accounts.yaml:5: 2 accounts fetch their {CLASSIC}",)
