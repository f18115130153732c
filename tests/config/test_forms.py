"""Secrets, tokens and tickets that live elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from collector.config import Settings, load
from collector.errors import Fault
from collector.model.accounts import (
    Account,
    Component,
    FromCommand,
    FromComponent,
    FromCredential,
    FromFile,
    FromUrl,
    Origin,
    Rate,
    TokenKind,
    TokenOrigin,
)

AGENCY = "components: [{name: agency, appid: wx00000000000000c0, access_token: {url: 'http://t'}}]\n"


def entry(*more: str) -> str:
    return "accounts: [{" + ", ".join(["name: a, appid: wx0000000000000001", *more]) + "}]\n"


ADDRESS = (
    "Write the address of a server, such as https://tokens.internal/, with @ : / ? # % of a password percent-encoded."
)

ELSEWHERE = "or where it is: {file: PATH}, {credential: NAME} or {command: [PROGRAM, ARGUMENT]}"

COMMAND = "Write a list of a program and its arguments, such as [get-secret, acme]."

JSON = "Write the keys that lead to the value in the JSON, joined by dots, such as data.access_token."

EXPIRES = "Write the keys that lead to the lifetime in seconds in the JSON, joined by dots, such as data.expires_in."

HEADERS = (
    'Write names and values of HTTP headers, such as {Authorization: "Bearer ${KEY}"}; a value may also be '
    "{file: PATH}, {credential: NAME} or {command: [PROGRAM, ARGUMENT]}."
)

TOKEN = (
    "Write stable or classic, or where the token is: {component: NAME}, {url: ADDRESS} or "
    "{command: [PROGRAM, ARGUMENT]}."
)

SECRET_FORM = (
    f"Write the AppSecret from the account's console, best as a variable such as ${{ACME_SECRET}}, {ELSEWHERE}."
)

FILE = "Write the path of a file, absolute or relative to this file's folder."

CREDENTIAL = "Write the name of a credential, such as acme-secret, without a path."

IN_TOKEN = "Remove the braces; {appid} alone is filled in, with the account's appid."

NOT_HERE = "Remove the braces; {appid} is filled in within an account's `token`, and nowhere else."

BRACES = "holds a word in braces that isn't filled in"

PORT = "has a port that isn't a number from 1 to 65535"

WRONG = "isn't of the right form"

FORMS = [
    ("token", "{}", "`token` is empty", TOKEN),
    ("token", "[stable]", f"`token` {WRONG}", TOKEN),
    ("token", "http://t/", f"`token` {WRONG}", TOKEN),
    ("token", "{json: a}", f"`token` {WRONG}", TOKEN),
    ("token", "{urll: 'http://t'}", "`urll` isn't known here", "Write `url`."),
    ("token", "{file: x}", "`file` isn't known here", TOKEN),
    ("token", "{url: 'http://t', jsn: x}", "`jsn` isn't known here", "Write `json`."),
    (
        "token",
        "{url: 'http://t', command: [x]}",
        "`command` isn't known here",
        "Remove it; known here: url, headers, json, expires_json.",
    ),
    ("token", "{component: agency, json: x}", "`json` isn't known here", "Remove it; known here: component."),
    ("token", "{component: ''}", "`component` is empty", "Write the `name` of one of `components:`."),
    ("token", "{component: agncy}", "`component` names a platform that isn't configured", "Write `agency`."),
    (
        "token",
        "{component: other}",
        "`component` names a platform that isn't configured",
        "Add it under `components:`, or write the name of one.",
    ),
    ("token", "{url: ''}", "`url` is empty", ADDRESS),
    ("token", "{url: [x]}", f"`url` {WRONG}", ADDRESS),
    ("token", "{url: 'ftp://t'}", f"`url` {WRONG}", ADDRESS),
    ("token", "{url: 't/{appid}'}", f"`url` {WRONG}", ADDRESS),
    ("token", "{url: 'http://t:99999/'}", f"`url` {PORT}", ADDRESS),
    ("token", "{url: 'http://u:p/w@t/'}", f"`url` {PORT}", ADDRESS),
    ("token", "{url: 'http://t/#x'}", f"`url` {WRONG}", ADDRESS),
    ("token", "{url: 'http://t/a b'}", f"`url` {WRONG}", ADDRESS),
    ("token", "{url: 'http://t/{name}'}", f"`url` {BRACES}", IN_TOKEN),
    ("token", "{url: 'http://t', json: ''}", "`json` is empty", JSON),
    ("token", "{url: 'http://t', json: a..b}", f"`json` {WRONG}", JSON),
    ("token", "{url: 'http://t', json: a, expires_json: '$.b'}", f"`expires_json` {WRONG}", EXPIRES),
    (
        "token",
        "{url: 'http://t', expires_json: b}",
        "`expires_json` needs `json`",
        "Add `json`: the keys that lead to the token, such as data.access_token.",
    ),
    ("token", "{url: 'http://t', headers: [x]}", f"`headers` {WRONG}", HEADERS),
    ("token", "{url: 'http://t', headers: {'a b': x}}", f"`headers` {WRONG}", HEADERS),
    ("token", "{url: 'http://t', headers: {url: [x]}}", f"`headers` {WRONG}", HEADERS),
    ("token", "{url: 'http://t', headers: {a: ' '}}", f"`headers` {WRONG}", HEADERS),
    ("token", '{url: "http://t", headers: {a: "x\\ny"}}', f"`headers` {WRONG}", HEADERS),
    ("token", "{url: 'http://t', headers: {json: {fil: x}}}", "`fil` isn't known here", "Write `file`."),
    ("token", "{url: 'http://t', headers: {a: {credential: /x}}}", f"`credential` {WRONG}", CREDENTIAL),
    ("token", "{url: 'http://t', headers: {a: {command: [x, '{appid}']}}}", f"`command` {BRACES}", NOT_HERE),
    ("token", "{url: 'http://t', headers: {token: {command: [x, '{appid}']}}}", f"`command` {BRACES}", NOT_HERE),
    ("token", "{command: get-token}", f"`command` {WRONG}", COMMAND),
    ("token", "{command: []}", "`command` is empty", COMMAND),
    ("token", "{command: [x, '']}", "`command` is empty", COMMAND),
    ("token", "{command: [x, [y]]}", f"`command` {WRONG}", COMMAND),
    ("token", '{command: ["a\\0b"]}', f"`command` {WRONG}", COMMAND),
    ("token", "{command: [x, '{appid}', 'a{APPID}']}", f"`command` {BRACES}", IN_TOKEN),
    (
        "token",
        "{command: [x], headers: {}}",
        "`headers` isn't known here",
        "Remove it; known here: command, json, expires_json.",
    ),
    ("secret", "{}", "`secret` is empty", SECRET_FORM),
    ("secret", "{url: 'http://t'}", "`url` isn't known here", SECRET_FORM),
    ("secret", "{file: ''}", "`file` is empty", FILE),
    ("secret", "{file: [x]}", f"`file` {WRONG}", FILE),
    ("secret", '{file: "a\\0b"}', f"`file` {WRONG}", FILE),
    ("secret", "{credential: ''}", "`credential` is empty", CREDENTIAL),
    *(("secret", f"{{credential: {name}}}", f"`credential` {WRONG}", CREDENTIAL) for name in (".", "..", "a/b", "/a")),
    ("secret", "{command: [x], json: a}", "`json` isn't known here", "Remove it; known here: command."),
    ("secret", "{command: [x, '{appid}']}", f"`command` {BRACES}", NOT_HERE),
]


@pytest.mark.parametrize(("key", "value", "message", "remedy"), FORMS)
def test_bad_source(faults: Callable[..., tuple[Fault, ...]], key: str, value: str, message: str, remedy: str) -> None:
    """A source of another form is one fault."""
    secret = "" if key == "secret" else "    secret: s\n"
    content = f"{AGENCY}accounts:\n  - name: a\n    appid: wx0000000000000001\n{secret}    {key}: {value}\n"
    assert faults(content) == (Fault(f"accounts.yaml:{content.count(chr(10))}", message, remedy),)


def test_lines_within_a_source(faults: Callable[..., tuple[Fault, ...]]) -> None:
    """A fault within a source has its own line."""
    content = """
defaults:
  token:
    urll: http://t
accounts:
  - name: a
    appid: wx0000000000000001
    token:
      url: http://t/{name}
      headers:
        X-Key:
          fil: x
      expires_json: a
      jsn: a
    secret:
      command:
        - x
        - ""
"""
    assert [(fault.where, fault.message) for fault in faults(content)] == [
        ("accounts.yaml:4", "`urll` isn't known here"),
        ("accounts.yaml:9", f"`url` {BRACES}"),
        ("accounts.yaml:12", "`fil` isn't known here"),
        ("accounts.yaml:13", "`expires_json` needs `json`"),
        ("accounts.yaml:14", "`jsn` isn't known here"),
        ("accounts.yaml:18", "`command` is empty"),
    ]


def test_unset_variable_in_a_source(faults: Callable[..., tuple[Fault, ...]]) -> None:
    content = AGENCY.replace("'http://t'", "'${X}'") + entry(
        "secret: {command: [a, '${X}']}", "token: {url: '${X}', headers: {X: '${X}'}, json: '${X}'}"
    )
    found = faults(content)
    assert {(fault.where, fault.message) for fault in found} == {
        ("accounts.yaml:1", "the variable X isn't set"),
        ("accounts.yaml:2", "the variable X isn't set"),
    }


NOW = datetime(2026, 11, 24, tzinfo=UTC)

SECRET = SecretStr("s")

ACCOUNT = Account("a", "wx0000000000000001", None, Rate(5, 1))

COMPONENT = Component("agency", "wx00000000000000c0", access_token=FromUrl(SecretStr("http://t")))

SECRETS: list[tuple[str, Origin]] = [
    ("'${S}'", SECRET),
    ("{file: /run/secrets/a}", FromFile(Path("/run/secrets/a"))),
    ("{credential: a-secret}", FromCredential("a-secret")),
    ("{command: [vault, read, '${S}', '{}']}", FromCommand(("vault", "read", "s", "{}"))),
    ("{command: [sh, -c, 'echo $${HOME}']}", FromCommand(("sh", "-c", "echo ${HOME}"))),
]


@pytest.mark.parametrize(("written", "origin"), SECRETS)
def test_secrets_elsewhere(loaded: Callable[..., Settings], written: str, origin: Origin) -> None:
    content = (
        "components: [{name: agency, appid: wx00000000000000c0, "
        f"secret: {written}, verify_ticket: {written}}}]\n"
        "defaults: {token: {url: 'http://t', headers: {X-Key: "
        + written
        + "}}}\n"
        + entry(f"secret: {written}, authorizer_refresh_token: {written}")
    )
    settings = loaded(content, {"S": "s"})
    token = FromUrl(SecretStr("http://t"), (("X-Key", origin),))
    assert settings.accounts == (replace(ACCOUNT, secret=origin, token=token, authorizer_refresh_token=origin),)
    assert settings.components == (Component("agency", "wx00000000000000c0", secret=origin, verify_ticket=origin),)


@pytest.mark.parametrize(("written", "origin"), SECRETS[1:])
def test_addresses_elsewhere(loaded: Callable[..., Settings], written: str, origin: Origin) -> None:
    content = f"mongodb: {{uri: {written}}}\napi: {{proxy: {written}}}\n" + entry(f"secret: s, proxy: {written}")
    settings = loaded(content, {"S": "s"})
    assert settings.mongodb.uri == settings.api.proxy == settings.accounts[0].proxy == origin


def test_relative_path(write: Callable[..., Path], tmp_path: Path) -> None:
    """It begins at the folder of the file that names it."""
    write("accounts: [{name: b, appid: wx0000000000000002, secret: {file: b}}]", "etc/d/b.yaml")
    write("include: d/*.yaml\n" + entry("secret: {file: secrets/a}"), "etc/main.yaml")
    settings = load([Path("etc/main.yaml")], {}, NOW)
    assert [account.secret for account in settings.accounts] == [
        FromFile(tmp_path / "etc/secrets/a"),
        FromFile(tmp_path / "etc/d/b"),
    ]


TOKENS: list[tuple[str, TokenOrigin]] = [
    ("stable", TokenKind.STABLE),
    ("'${K}'", TokenKind.CLASSIC),
    ("{component: agency}", FromComponent("agency")),
    ("{url: 'https://u:p@t:8080/{appid}?key=${K}'}", FromUrl(SecretStr("https://u:p@t:8080/{appid}?key=classic"))),
    ("{url: 'http://t', headers: {url: 'a{b}'}}", FromUrl(SecretStr("http://t"), (("url", SecretStr("a{b}")),))),
    ("{url: 'http://{appid}.t?x', headers: }", FromUrl(SecretStr("http://{appid}.t?x"))),
    (
        "{url: 'http://t', headers: {Authorization: 'Bearer ${K}', X: {file: /x}}, json: data.token, expires_json: t}",
        FromUrl(
            SecretStr("http://t"),
            (("Authorization", SecretStr("Bearer classic")), ("X", FromFile(Path("/x")))),
            "data.token",
            "t",
        ),
    ),
    ("{command: [get-token, '{appid}', '{\"a\": 1}']}", FromCommand(("get-token", "{appid}", '{"a": 1}'))),
    ("{command: [g], json: a_b.c-d, expires_json: e.0}", FromCommand(("g",), "a_b.c-d", "e.0")),
]


@pytest.mark.parametrize(("written", "token"), TOKENS)
def test_token_of_account_and_defaults(loaded: Callable[..., Settings], written: str, token: TokenOrigin) -> None:
    own = loaded(AGENCY + entry("secret: s", f"token: {written}"), {"K": "classic"})
    defaults = loaded(AGENCY + f"defaults: {{token: {written}}}\n" + entry("secret: s"), {"K": "classic"})
    assert own.accounts == defaults.accounts == (replace(ACCOUNT, secret=SECRET, token=token),)
    assert own.defaults["token"] is TokenKind.STABLE
    assert defaults.defaults["token"] == token


def test_route_of_an_account(loaded: Callable[..., Settings]) -> None:
    settings = loaded(entry("secret: s, proxy: 'http://u:p@h:3128/', hosts: [https://sh.api.weixin.qq.com/]"))
    proxy, hosts = SecretStr("http://u:p@h:3128"), ("https://sh.api.weixin.qq.com",)
    assert settings.accounts == (replace(ACCOUNT, secret=SECRET, proxy=proxy, hosts=hosts),)


def test_ipv4_only(loaded: Callable[..., Settings]) -> None:
    assert loaded("api: {ipv4_only: true}\n" + entry("secret: s")).api.ipv4_only
    assert not loaded(entry("secret: s")).api.ipv4_only


def test_components(loaded: Callable[..., Settings]) -> None:
    """A component's token comes from elsewhere, or is requested from WeChat."""
    content = """
components:
  - name: agency
    appid: wx00000000000000c0
    access_token: {command: [get], json: data.token, expires_json: data.expires_in}
    discover: true
    exclude: [wx0000000000000bad]
  - name: two
    appid: wx00000000000000c2
    secret: s
    verify_ticket: {url: "http://t/ticket", headers: {X: y}, json: ticket}
    exclude:
  - {name: three, appid: wx00000000000000c3, secret: s, verify_ticket: {command: [get], json: ticket}}
"""
    assert loaded(content).components == (
        Component(
            "agency",
            "wx00000000000000c0",
            access_token=FromCommand(("get",), "data.token", "data.expires_in"),
            discover=True,
            exclude=frozenset({"wx0000000000000bad"}),
        ),
        Component(
            "two",
            "wx00000000000000c2",
            secret=SECRET,
            verify_ticket=FromUrl(SecretStr("http://t/ticket"), (("X", SecretStr("y")),), "ticket"),
        ),
        Component("three", "wx00000000000000c3", secret=SECRET, verify_ticket=FromCommand(("get",), "ticket")),
    )


def test_components_of_several_files(write: Callable[..., Path]) -> None:
    first = write(entry("token: {component: two}"), "first.yaml")
    second = write(AGENCY, "second.yaml")
    third = write(AGENCY.replace("agency", "two").replace("c0", "c2"), "third.yaml")
    assert load([first, second, third], {}, NOW).components == (
        COMPONENT,
        replace(COMPONENT, name="two", appid="wx00000000000000c2"),
    )


@pytest.mark.parametrize("discover", ["true", "True", "TRUE"])
def test_discovery_needs_no_account(loaded: Callable[..., Settings], discover: str) -> None:
    settings = loaded(AGENCY.replace("}}]", f"}}, discover: {discover}}}]"))
    assert settings.accounts == ()
    assert settings.components == (replace(COMPONENT, discover=True),)


@pytest.mark.parametrize("more", ["", ", discover: false", ", discover: FALSE"])
def test_component_without_account(faults: Callable[..., tuple[Fault, ...]], more: str) -> None:
    remedy = "Add one under `accounts:`, or name more files with `include:`."
    assert faults(AGENCY.replace("}}]", f"}}{more}}}]")) == (
        Fault("accounts.yaml", "no account is configured", remedy),
    )


def test_discovered_account(loaded: Callable[..., Settings]) -> None:
    """It has the defaults."""
    content = AGENCY + "defaults: {rate_limit: 1/s, since: 2014-01-01, daily_calls: 9, token: classic}\n"
    settings = loaded(content + entry("secret: s"))
    assert settings.account_of("wx0000000000000009", "found", "agency") == Account(
        "found",
        "wx0000000000000009",
        None,
        Rate(1, 1),
        token=FromComponent("agency"),
        since=date(2014, 12, 1),
        daily_calls=9,
    )


def test_settings_print_no_source(loaded: Callable[..., Settings]) -> None:
    content = (
        "components: [{name: c, appid: wx00000000000000c0, secret: l3ak, verify_ticket: l3ak}]\n"
        "defaults: {token: {url: 'http://u:l3ak@t', headers: {X: l3ak}}}\n"
        + entry("secret: {command: [x, l3ak]}", "authorizer_refresh_token: l3ak", "proxy: 'http://u:l3ak@h'")
    )
    settings = loaded(content)
    assert "l3ak" not in repr(settings) + str(settings)
