"""One bad source for each rule: what is told of secrets, tokens and third-party platforms of another form."""

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

NOW = datetime(2026, 11, 24, tzinfo=UTC)
ACCOUNT = Account("a", "wx0000000000000001", None, Rate(5, 1))
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
    ("token", "{component: agncy}", "`component` names an unknown component", "Write `agency`."),
    (
        "token",
        "{component: other}",
        "`component` names an unknown component",
        "Add it under `components:`, or write the name of one.",
    ),
    ("token", "{url: ''}", "`url` is empty", ADDRESS),
    ("token", "{url: [x]}", f"`url` {WRONG}", ADDRESS),
    ("token", "{url: 'ftp://t'}", f"`url` {WRONG}", ADDRESS),
    ("token", "{url: 't/{appid}'}", f"`url` {WRONG}", ADDRESS),
    ("token", "{url: 'http://t:99999/'}", f"`url` {WRONG}", ADDRESS),
    ("token", "{url: 'http://u:p/w@t/'}", f"`url` {WRONG}", ADDRESS),
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
def test_a_source_of_another_form_is_one_fault(
    faults: Callable[..., tuple[Fault, ...]], key: str, value: str, message: str, remedy: str
) -> None:
    secret = "" if key == "secret" else "    secret: s\n"
    content = f"{AGENCY}accounts:\n  - name: a\n    appid: wx0000000000000001\n{secret}    {key}: {value}\n"
    assert faults(content) == (Fault(f"accounts.yaml:{content.count(chr(10))}", message, remedy),)


def test_a_fault_within_a_source_is_told_with_its_own_line(faults: Callable[..., tuple[Fault, ...]]) -> None:
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


NAME = "Write a name of up to 100 characters, such as agency."
APPID = "Write the AppID from the platform's console: wx and 16 digits of 0-9 and a-f."
ACCESS = "where the platform's token is: {url: ADDRESS} or {command: [PROGRAM, ARGUMENT]}"
COMPONENT_SECRET = (
    f"the AppSecret from the platform's console, best as a variable such as ${{AGENCY_SECRET}}, {ELSEWHERE}."
)
TICKET = (
    "where the newest component_verify_ticket is: {url: ADDRESS}, {file: PATH}, {credential: NAME} or "
    "{command: [PROGRAM, ARGUMENT]}."
)
KEEP = "Keep `access_token` alone, or `secret` and `verify_ticket`."
DISCOVER = "Write true, so that every account that authorised the platform is collected, or false."
URL = "access_token: {url: 'http://t'}"

COMPONENTS = [
    (["name: ''", URL], "`name` is empty", NAME),
    ([URL], "`name` is missing", NAME.replace("Write", "Add `name`:")),
    (["name: agency", "appid: wx1", URL], f"`appid` {WRONG}", APPID),
    (["name: agency", "access_token: x"], f"`access_token` {WRONG}", f"Write {ACCESS}."),
    (["name: agency", "access_token: {file: x}"], "`file` isn't known here", f"Write {ACCESS}."),
    (["name: agency", "access_token: {url: 'http://t/{appid}'}"], f"`url` {BRACES}", NOT_HERE),
    (["name: agency", "access_token: {command: [x, '{appid}']}"], f"`command` {BRACES}", NOT_HERE),
    (
        ["name: agency", "access_token: {command: [x], expires_json: a}"],
        "`expires_json` needs `json`",
        "Add `json`: the keys that lead to the token, such as data.access_token.",
    ),
    (
        ["name: agency"],
        "`access_token` is missing",
        f"Add `access_token`: {ACCESS}; or add `secret` and `verify_ticket`.",
    ),
    (["name: agency", "secret: s"], "`verify_ticket` is missing", f"Add `verify_ticket`: {TICKET}"),
    (["name: agency", "verify_ticket: t"], "`secret` is missing", f"Add `secret`: {COMPONENT_SECRET}"),
    (["name: agency", URL, "secret: s"], "`secret` contradicts `access_token`", KEEP),
    (["name: agency", URL, "verify_ticket: s"], "`verify_ticket` contradicts `access_token`", KEEP),
    (["name: agency", "secret: a b", "verify_ticket: s"], f"`secret` {WRONG}", f"Write {COMPONENT_SECRET}"),
    (["name: agency", "secret: s", "verify_ticket: [s]"], f"`verify_ticket` {WRONG}", f"Write {TICKET}"),
    (
        ["name: agency", "secret: s", "verify_ticket: {url: 'http://t', expires_json: x}"],
        "`expires_json` isn't known here",
        "Remove it; known here: url, headers, json.",
    ),
    (["name: agency", URL, "discover: maybe"], "`discover` can't be 'maybe'", DISCOVER),
    (
        ["name: agency", URL, "exclude: [wx1]"],
        f"`exclude` {WRONG}",
        "Write a list of AppIDs, each wx and 16 digits of 0-9 and a-f.",
    ),
    (
        ["name: agency", URL, "tags: [x]"],
        "`tags` isn't known here",
        "Remove it; known here: name, appid, access_token, secret, verify_ticket, discover, exclude.",
    ),
]


@pytest.mark.parametrize(("fields", "message", "remedy"), COMPONENTS)
def test_a_component_of_another_form_is_a_fault(
    faults: Callable[..., tuple[Fault, ...]], fields: list[str], message: str, remedy: str
) -> None:
    appid = [] if any(field.startswith("appid") for field in fields) else ["appid: wx00000000000000c0"]
    found = faults(f"components: [{{{', '.join([*appid, *fields])}}}]\n" + entry("secret: s"))
    assert [fault for fault in found if fault.where == "accounts.yaml:1"] == [Fault("accounts.yaml:1", message, remedy)]
    assert len(found) == 1


def test_components_that_are_no_list_of_mappings_are_faults(faults: Callable[..., tuple[Fault, ...]]) -> None:
    remedy = "Write a list of third-party platforms, each with `name`, `appid` and `access_token`."
    fault = Fault("accounts.yaml:2", f"`components` {WRONG}", remedy)
    assert faults(entry("secret: s") + "components: agency") == (fault,)
    assert faults(entry("secret: s") + "components: [agency]") == (fault,)


def test_names_and_appids_of_components_are_unique_among_components(write: Callable[..., Path]) -> None:
    """An account may be called as a component is."""
    first = write(AGENCY + entry("secret: s").replace("name: a", "name: agency"), "a.yaml")
    with pytest.raises(ConfigError) as caught:
        load([first, write(AGENCY, "b.yaml")], {}, NOW)
    assert caught.value.faults == tuple(
        Fault(
            "b.yaml:1",
            f"`{key}` is taken by the component at a.yaml:1",
            f"Give each component its own `{key}`, or remove one of the two.",
        )
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
def test_a_secret_is_needed_where_wechat_is_asked_for_the_token(
    write: Callable[..., Path], defaults: str, own: str, needed: bool
) -> None:
    path = write(AGENCY + f"defaults: {{{defaults}}}\n" + entry(*[own] if own else []))
    try:
        found = load([path], {"K": "classic"}, NOW).accounts[0].secret
    except ConfigError as error:
        found = error.faults  # type: ignore[assignment] # whatever it is, it is compared
    assert found == ((Fault("accounts.yaml:3", "`secret` is missing", MISSING),) if needed else None)


def test_of_several_defaults_the_later_says_whether_a_secret_is_needed(write: Callable[..., Path]) -> None:
    server = write("defaults: {token: {url: 'http://t'}}\n" + entry(), "server.yaml")
    stable = write("defaults: {token: stable}", "stable.yaml")
    assert load([stable, server], {}, NOW).accounts == (replace(ACCOUNT, token=FromUrl(SecretStr("http://t"))),)
    with pytest.raises(ConfigError) as caught:
        load([server, stable], {}, NOW)
    assert caught.value.faults == (Fault("server.yaml:2", "`secret` is missing", MISSING),)


def test_a_file_that_is_not_read_may_hold_what_the_others_lack(write: Callable[..., Path]) -> None:
    """It may have the defaults and the components; an included file never does."""
    path = write("include: d/*.yaml\n" + entry("token: {component: x}") + AGENCY)
    with pytest.raises(ConfigError) as caught:
        load([path, write("[", "b.yaml")], {}, NOW)
    assert [fault.where for fault in caught.value.faults] == ["b.yaml:1"]
    write("[", "d/a.yaml")
    with pytest.raises(ConfigError) as caught:
        load([path], {}, NOW)
    assert [fault.where for fault in caught.value.faults] == ["accounts.yaml:2", "d/a.yaml:1"]


def test_an_unset_variable_within_a_source_is_one_fault(faults: Callable[..., tuple[Fault, ...]]) -> None:
    content = AGENCY.replace("'http://t'", "'${X}'") + entry(
        "secret: {command: [a, '${X}']}", "token: {url: '${X}', headers: {X: '${X}'}, json: '${X}'}"
    )
    found = faults(content)
    assert {(fault.where, fault.message) for fault in found} == {
        ("accounts.yaml:1", "the variable X isn't set"),
        ("accounts.yaml:2", "the variable X isn't set"),
    }
