"""One bad setting for each rule, with message and remedy."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from collector.config import Settings
from collector.errors import ConfigError, Fault

GOOD = "accounts: [{name: a, appid: wx0000000000000001, secret: s}]\n"

ELSEWHERE = "or where it is: {file: PATH}, {credential: NAME} or {command: [PROGRAM, ARGUMENT]}"

URI = (
    "Write the address of a MongoDB, such as mongodb://USER:PASSWORD@HOST/ with @ : / % of the password "
    f"percent-encoded, {ELSEWHERE}, or leave the key out."
)

DATABASE = "Write a name of up to 63 letters, digits, `_` and `-`, such as wechat."

HOSTS = "Write a list of addresses without a path, such as [https://api.weixin.qq.com]."

TIMEOUT = "Write a number of seconds above 0 and up to 600, such as 10."

PROXY = f"Write the address of a proxy, such as http://HOST:3128, {ELSEWHERE}, or leave the key out."

WORKERS = "Write a whole number from 1 to 1000, such as 64."

LOOKBACK = "Write a whole number of days from 1 to 3650, such as 7."

PUBLISHED_AT = 'Write a time of day from "00:00" to "23:59", such as "08:00".'

RATE = "Write a number of calls from 1 up, a second or a minute, such as 5/s or 30/min."

SINCE = "Write a day as YYYY-MM-DD that isn't in the future, such as 2025-01-01."

INCLUDE = "Write one pattern of file names, such as accounts.d/*.yaml, or leave the key out."

LANGUAGE = "Write zh or en, the language of reports, or leave the key out."

TOKEN_WAYS = "{component: NAME}, {url: ADDRESS} or {command: [PROGRAM, ARGUMENT]}"

TOKEN = f"Write stable or classic, or where the token is: {TOKEN_WAYS}."

KNOWN_DEFAULTS = "Remove it; known here: rate_limit, token, since, daily_calls, egress."

WRONG = "isn't of the right form"

FOLDER = "Write the path of a folder, absolute or relative to this file's folder."
PORT = "has a port that isn't a number from 1 to 65535"

SETTINGS = [
    ("mongodb: {uri: localhost}", f"`uri` {WRONG}", URI),
    ("mongodb: {uri: }", "`uri` is empty", URI),
    ("mongodb: {uri: 'mongodb://'}", f"`uri` {WRONG}", URI),
    ("mongodb: {uri: [x]}", f"`uri` {WRONG}", URI),
    ("mongodb: {uri: 'mongodb://[::1]:27017,h:99999/x'}", f"`uri` {PORT}", URI),
    ("mongodb: {uri: 'mongodb://user:password'}", f"`uri` {PORT}", URI),
    ("mongodb: {database: a.b}", "`database` can't be 'a.b'", DATABASE),
    (f"mongodb: {{database: {'d' * 64}}}", f"`database` can't be '{'d' * 64}'", DATABASE),
    (
        "mongodb: {data_dir: }",
        "`data_dir` is empty",
        FOLDER,
    ),
    (
        "mongodb: {data_dir: [x]}",
        f"`data_dir` {WRONG}",
        FOLDER,
    ),
    ("mongodb: {databse: x}", "`databse` isn't known here", "Write `database`."),
    ("mongodb: [x]", f"`mongodb` {WRONG}", "Write the keys `uri`, `database` and `data_dir` below it."),
    ("api: 5", f"`api` {WRONG}", "Write the keys `hosts`, `timeout`, `proxy`, `ipv4_only` and `check_clock` below it."),
    (
        "api: {ipv4_only: maybe}",
        "`ipv4_only` can't be 'maybe'",
        "Write true, so that WeChat is reached by IPv4 alone, or false.",
    ),
    ("api: {hosts: []}", "`hosts` is empty", HOSTS),
    ("api: {hosts: https://a.example}", f"`hosts` {WRONG}", HOSTS),
    ("api: {hosts: [ftp://a.example]}", f"`hosts` {WRONG}", HOSTS),
    ("api: {hosts: [https://a.example/cgi-bin]}", f"`hosts` {WRONG}", HOSTS),
    ("api: {hosts: ['https://a.example?x']}", f"`hosts` {WRONG}", HOSTS),
    ("api: {hosts: ['https://a.example:99999']}", f"`hosts` {PORT}", HOSTS),
    ("api: {hosts: ['https://a.example:0']}", f"`hosts` {PORT}", HOSTS),
    ("api: {hosts: ['https://a.example:']}", f"`hosts` {PORT}", HOSTS),
    ("api: {hosts: ['https://:443']}", f"`hosts` {WRONG}", HOSTS),
    ("api: {hosts: ['https://u:p@a.example']}", f"`hosts` {WRONG}", HOSTS),
    ("api: {timeout: 0}", "`timeout` can't be '0'", TIMEOUT),
    ("api: {timeout: 601}", "`timeout` can't be '601'", TIMEOUT),
    ("api: {timeout: inf}", "`timeout` can't be 'inf'", TIMEOUT),
    ("api: {timeout: 10s}", "`timeout` can't be '10s'", TIMEOUT),
    ("api: {proxy: 'socks5://u:p@proxy.example'}", f"`proxy` {WRONG}", PROXY),
    ("api: {proxy: [x]}", f"`proxy` {WRONG}", PROXY),
    ("run: {workers: 0}", "`workers` can't be '0'", WORKERS),
    ("run: {workers: 1001}", "`workers` can't be '1001'", WORKERS),
    ("run: {workers: 1_0}", "`workers` can't be '1_0'", WORKERS),
    ("run: {lookback: -1}", "`lookback` can't be '-1'", LOOKBACK),
    ("run: {lookback: 3651}", "`lookback` can't be '3651'", LOOKBACK),
    ("run: {published_at: 28800}", "`published_at` can't be '28800'", PUBLISHED_AT),
    ("run: {published_at: '24:00'}", "`published_at` can't be '24:00'", PUBLISHED_AT),
    ("run: text", f"`run` {WRONG}", "Write the keys `workers`, `processes`, `lookback` and `published_at` below it."),
    ("defaults: {rate_limit: fast}", "`rate_limit` can't be 'fast'", RATE),
    ("defaults: {rate_limit: [5]}", f"`rate_limit` {WRONG}", RATE),
    ("defaults: {token: secret}", f"`token` {WRONG}", TOKEN),
    ("defaults: {proxy: 'http://h'}", "`proxy` isn't known here", KNOWN_DEFAULTS),
    ("defaults: {since: 20250101}", "`since` can't be '20250101'", SINCE),
    ("defaults: {since: 2025-02-30}", "`since` can't be '2025-02-30'", SINCE),
    ("defaults: {since: 2026-11-25}", "`since` can't be '2026-11-25'", SINCE),
    (
        "defaults: [x]",
        f"`defaults` {WRONG}",
        "Write the keys `rate_limit`, `token`, `since`, `daily_calls` and `egress` below it.",
    ),
    ("include: [a.yaml]", f"`include` {WRONG}", INCLUDE),
    ("include: ''", "`include` is empty", INCLUDE),
    ('include: "a\\0b"', f"`include` {WRONG}", INCLUDE),
    (
        "bogus: 1",
        "`bogus` isn't known here",
        "Remove it; known here: accounts, mongodb, api, run, defaults, components, language, include.",
    ),
    ("language: de", "`language` can't be 'de'", LANGUAGE),
    ("language: ''", "`language` is empty", LANGUAGE),
    ("run: {<<: text}", "`<<` merges something else than mappings", "Write `<<: *NAME`, or `<<: [*NAME, *OTHER]`."),
    ("run: {<<: {}, <<: {}}", "`<<` appears twice, first in line 2", "Keep one of the two."),
    ("run: {[a]: 1}", "a key is not plain text", "Quote a value that begins with `{` or `[`."),
]


@pytest.mark.parametrize(("line", "message", "remedy"), SETTINGS, ids=[line for line, _, _ in SETTINGS])
def test_bad_setting(faults: Callable[..., tuple[Fault, ...]], line: str, message: str, remedy: str) -> None:
    assert faults(GOOD + line) == (Fault("accounts.yaml:2", message, remedy),)


NAME = "Write a name of up to 100 characters, such as acme-shoes."

APPID = "Write the AppID from the account's console: wx and 16 digits of 0-9 and a-f."

SECRET_FORM = f"the AppSecret from the account's console, best as a variable such as ${{ACME_SECRET}}, {ELSEWHERE}"

SECRET = f"Write {SECRET_FORM}."

SECRET_MISSING = f"Add `secret`: {SECRET_FORM}. Or say with `token` where the account's token is: {TOKEN_WAYS}."

REFRESH_TOKEN = f"Write the account's authorizer_refresh_token, {ELSEWHERE}."

EGRESS = "Write a label of up to 63 letters, digits, `-`, `_` and `.` that begins with a letter or a digit, such as hk."

TAGS = "Write a list of texts, such as [retail]."

ACCOUNTS = [
    ("name", "", "`name` is empty", NAME),
    ("name", "'  '", f"`name` {WRONG}", NAME),
    ("name", "n" * 101, f"`name` {WRONG}", NAME),
    ("name", '"a\\tb"', f"`name` {WRONG}", NAME),
    ("appid", "wx123", f"`appid` {WRONG}", APPID),
    ("appid", "wx0123456789ABCDEF", f"`appid` {WRONG}", APPID),
    ("secret", "", "`secret` is empty", SECRET),
    ("secret", "two words", f"`secret` {WRONG}", SECRET),
    ("secret", "[x]", f"`secret` {WRONG}", SECRET),
    ("tags", "retail", f"`tags` {WRONG}", TAGS),
    ("tags", "['']", "`tags` is empty", TAGS),
    ("tags", "[[a]]", f"`tags` {WRONG}", TAGS),
    ("enabled", "yes", "`enabled` can't be 'yes'", "Write true or false."),
    ("token", "url", f"`token` {WRONG}", TOKEN),
    ("proxy", "proxy.example", f"`proxy` {WRONG}", PROXY),
    ("hosts", "[https://u@a.example]", f"`hosts` {WRONG}", HOSTS),
    ("hosts", "[]", "`hosts` is empty", HOSTS),
    ("authorizer_refresh_token", "[x]", f"`authorizer_refresh_token` {WRONG}", REFRESH_TOKEN),
    ("rate_limit", "0/s", "`rate_limit` can't be '0/s'", RATE),
    ("since", "2026-11-25", "`since` can't be '2026-11-25'", SINCE),
    ("egress", "", "`egress` is empty", EGRESS),
    ("egress", "'-'", f"`egress` {WRONG}", EGRESS),
    ("egress", "http://u:p@proxy.example", f"`egress` {WRONG}", EGRESS),
    ("egress", "e" * 64, f"`egress` {WRONG}", EGRESS),
    ("egress", "香港", f"`egress` {WRONG}", EGRESS),
    ("tag", "[x]", "`tag` isn't known here", "Write `tags`."),
]


@pytest.mark.parametrize(("key", "value", "message", "remedy"), ACCOUNTS)
def test_bad_field_of_an_account(
    faults: Callable[..., tuple[Fault, ...]], key: str, value: str, message: str, remedy: str
) -> None:
    lines = {"name": "a", "appid": "wx0000000000000001", "secret": "s"}
    entry = "\n    ".join(f"{other}: {text}" for other, text in lines.items() if other != key)
    assert faults(f"accounts:\n  - {entry}\n    {key}: {value}\n") == (
        Fault(f"accounts.yaml:{5 - (key in lines)}", message, remedy),
    )


def test_accounts_that_are_no_mappings(faults: Callable[..., tuple[Fault, ...]]) -> None:
    remedy = "Write a list of accounts, each with `name` and `appid`, and `secret` or `token`."
    assert faults("accounts:\n  - secret:abc\n") == (Fault("accounts.yaml:2", f"`accounts` {WRONG}", remedy),)
    assert faults("accounts: acme") == (Fault("accounts.yaml:1", f"`accounts` {WRONG}", remedy),)


def test_missing_field(
    faults: Callable[..., tuple[Fault, ...]],
) -> None:
    """Its fault has the line where the account begins."""
    assert faults("accounts:\n  -\n    tags: [x]\n    name: a\n    secret: s") == (
        Fault("accounts.yaml:3", "`appid` is missing", APPID.replace("Write", "Add `appid`:")),
    )


def test_unset_variables(faults: Callable[..., tuple[Fault, ...]]) -> None:
    """They are faults, and hide no others."""
    content = "mongodb:\n  uri: mongodb://${U}:${P}@h\naccounts:\n  - name: ${N}\n    appid: ${\n    bogus: ${N}\n"
    known = (
        "Remove it; known here: rate_limit, token, since, daily_calls, egress, name, appid, secret, "
        "authorizer_refresh_token, proxy, hosts, tags, enabled."
    )
    assert faults(content) == (
        Fault("accounts.yaml:2", "the variable P isn't set", "Set P in the environment."),
        Fault("accounts.yaml:2", "the variable U isn't set", "Set U in the environment."),
        Fault("accounts.yaml:4", "`secret` is missing", SECRET_MISSING),
        Fault("accounts.yaml:4", "the variable N isn't set", "Set N in the environment."),
        Fault(
            "accounts.yaml:5", "a `${` names no variable", "Write ${NAME} or ${NAME:-default}, or $${ for a plain ${."
        ),
        Fault("accounts.yaml:6", "`bogus` isn't known here", known),
        Fault("accounts.yaml:6", "the variable N isn't set", "Set N in the environment."),
    )


def test_since_by_beijings_calendar(loaded: Callable[..., Settings], faults: Callable[..., tuple[Fault, ...]]) -> None:
    """At 15:59 UTC it is still the same day in Beijing, a minute later the next."""
    content = GOOD + "defaults: {since: 2026-11-24}"
    assert loaded(content, now=datetime(2026, 11, 23, 16, 0, tzinfo=UTC)).accounts
    early = faults(content, now=datetime(2026, 11, 23, 15, 59, tzinfo=UTC))
    assert early == (Fault("accounts.yaml:2", "`since` can't be '2026-11-24'", SINCE),)


SLIPS = [
    "mongodb: {uri: '${LEAK}'}",
    "mongodb: {uri: {'${LEAK}': x}}",
    "mongodb: {uri: l3akedvalue}",
    "api: {proxy: 'ftp://u:l3akedvalue@h', hosts: ['https://u:l3akedvalue@h']}",
    "run: {workers: '${LEAK}', published_at: '${OTHER:-}${LEAK}'}",
    "defaults: {token: '${LEAK}', l3akedvalue: x, l3akedvalue: y}",
    "defaults: {token: l3akedvalue}",
    "defaults: {token: {component: l3akedvalue, '${LEAK}': l3akedvalue}}",
    "defaults: {token: {l3akedvalue: l3akedvalue, url: 'http://h/{l3akedvalue}'}}",
    "defaults: {token: {url: 'ftp://l3akedvalue', json: l3akedvalue., headers: {l3akedvalue: [x], 'l3akedvalue ': y}}}",
    "defaults: {token: {command: [a, l3akedvalue, '{l3akedvalue}', ''], expires_json: l3akedvalue/}}",
    "defaults: {token: {l3akedvalue: x}}",
    "mongodb: {uri: {file: ['${LEAK}'], command: l3akedvalue}}",
    "components: [{name: '${LEAK}', appid: l3akedvalue, secret: [l3akedvalue], verify_ticket: {l3akedvalue: x}}]",
    "components: [l3akedvalue, {name: l3akedvalue, secret: x}, {name: l3akedvalue, access_token: l3akedvalue}]",
    "accounts: [{name: a, token: {component: a}, proxy: 'ftp://l3akedvalue', authorizer_refresh_token: [l3akedvalue]}]",
    "accounts: [{name: a, hosts: ['http://u:l3akedvalue@h'], secret: {credential: l3akedvalue/..}}]",
    "accounts: [{name: a, secret:l3akedvalue}]",
    "accounts: [{name: a, appid: l3akedvalue, secret: [l3akedvalue]}]",
    "accounts: [{name: a, appid: '${LEAK}', secret: 'l3akedvalue x', tags: l3akedvalue}]",
    "accounts: [l3akedvalue, '${LEAK}']",
    "accounts: [{name: '${LEAK}', secret: a}, {name: '${LEAK}', secret: a}]",
    "secret: 'l3akedvalue",
    "secret: *l3akedvalue",
    "include: [l3akedvalue]",
    "l3akedvalue",
]


@pytest.mark.parametrize("content", SLIPS)
def test_faults_hold_no_secret(faults: Callable[..., tuple[Fault, ...]], content: str) -> None:
    """No fault repeats a secret or the value of a variable."""
    told = str(ConfigError(faults(content, {"LEAK": "l3akedvalue"})))
    assert "l3akedvalue" not in told
