"""One bad component for each rule, with message and remedy."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from collector.errors import Fault


def entry(*more: str) -> str:
    return "accounts: [{" + ", ".join(["name: a, appid: wx0000000000000001", *more]) + "}]\n"


ELSEWHERE = "or where it is: {file: PATH}, {credential: NAME} or {command: [PROGRAM, ARGUMENT]}"

NOT_HERE = "Remove the braces; {appid} is filled in within an account's `token`, and nowhere else."

BRACES = "holds a word in braces that isn't filled in"

WRONG = "isn't of the right form"

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
        "Remove it; known here: name, appid, access_token, secret, verify_ticket, discover, exclude, egress.",
    ),
]


@pytest.mark.parametrize(("fields", "message", "remedy"), COMPONENTS)
def test_bad_component(faults: Callable[..., tuple[Fault, ...]], fields: list[str], message: str, remedy: str) -> None:
    appid = [] if any(field.startswith("appid") for field in fields) else ["appid: wx00000000000000c0"]
    found = faults(f"components: [{{{', '.join([*appid, *fields])}}}]\n" + entry("secret: s"))
    assert [fault for fault in found if fault.where == "accounts.yaml:1"] == [Fault("accounts.yaml:1", message, remedy)]
    assert len(found) == 1


def test_components_that_are_no_mappings(faults: Callable[..., tuple[Fault, ...]]) -> None:
    remedy = "Write a list of third-party platforms, each with `name`, `appid` and `access_token`."
    fault = Fault("accounts.yaml:2", f"`components` {WRONG}", remedy)
    assert faults(entry("secret: s") + "components: agency") == (fault,)
    assert faults(entry("secret: s") + "components: [agency]") == (fault,)
