"""One bad file for each rule, with the whole fault."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from collector.config import Settings, load
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
TOKEN_WAYS = "{component: NAME}, {url: ADDRESS} or {command: [PROGRAM, ARGUMENT]}"
TOKEN = f"Write stable or classic, or where the token is: {TOKEN_WAYS}."
KNOWN_DEFAULTS = "Remove it; known here: rate_limit, token, since, daily_calls."
WRONG = "isn't of the right form"

SETTINGS = [
    ("mongodb: {uri: localhost}", f"`uri` {WRONG}", URI),
    ("mongodb: {uri: }", "`uri` is empty", URI),
    ("mongodb: {uri: 'mongodb://'}", f"`uri` {WRONG}", URI),
    ("mongodb: {uri: [x]}", f"`uri` {WRONG}", URI),
    ("mongodb: {database: a.b}", "`database` can't be 'a.b'", DATABASE),
    (f"mongodb: {{database: {'d' * 64}}}", f"`database` can't be '{'d' * 64}'", DATABASE),
    ("mongodb: {databse: x}", "`databse` isn't known here", "Write `database`."),
    ("mongodb: [x]", f"`mongodb` {WRONG}", "Write the keys `uri` and `database` below it."),
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
    ("api: {hosts: ['https://a.example:99999']}", f"`hosts` {WRONG}", HOSTS),
    ("api: {hosts: ['https://a.example:0']}", f"`hosts` {WRONG}", HOSTS),
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
    ("run: text", f"`run` {WRONG}", "Write the keys `workers`, `lookback` and `published_at` below it."),
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
        "Write the keys `rate_limit`, `token`, `since` and `daily_calls` below it.",
    ),
    ("include: [a.yaml]", f"`include` {WRONG}", INCLUDE),
    ("include: ''", "`include` is empty", INCLUDE),
    ('include: "a\\0b"', f"`include` {WRONG}", INCLUDE),
    (
        "bogus: 1",
        "`bogus` isn't known here",
        "Remove it; known here: accounts, mongodb, api, run, defaults, components, include.",
    ),
    ("run: {<<: {workers: 1}}", "the merge key `<<` isn't supported", "Put what accounts share under `defaults:`."),
    ("run: {[a]: 1}", "a key is not plain text", "Quote a value that begins with `{` or `[`."),
]


@pytest.mark.parametrize(("line", "message", "remedy"), SETTINGS, ids=[line for line, _, _ in SETTINGS])
def test_a_setting_of_another_form_is_a_fault(
    faults: Callable[..., tuple[Fault, ...]], line: str, message: str, remedy: str
) -> None:
    assert faults(GOOD + line) == (Fault("accounts.yaml:2", message, remedy),)


NAME = "Write a name of up to 100 characters, such as acme-shoes."
APPID = "Write the AppID from the account's console: wx and 16 digits of 0-9 and a-f."
SECRET_FORM = f"the AppSecret from the account's console, best as a variable such as ${{ACME_SECRET}}, {ELSEWHERE}"
SECRET = f"Write {SECRET_FORM}."
SECRET_MISSING = f"Add `secret`: {SECRET_FORM}. Or say with `token` where the account's token is: {TOKEN_WAYS}."
REFRESH_TOKEN = f"Write the account's authorizer_refresh_token, {ELSEWHERE}."
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
    ("tag", "[x]", "`tag` isn't known here", "Write `tags`."),
]


@pytest.mark.parametrize(("key", "value", "message", "remedy"), ACCOUNTS)
def test_a_field_of_an_account_of_another_form_is_a_fault(
    faults: Callable[..., tuple[Fault, ...]], key: str, value: str, message: str, remedy: str
) -> None:
    lines = {"name": "a", "appid": "wx0000000000000001", "secret": "s"}
    entry = "\n    ".join(f"{other}: {text}" for other, text in lines.items() if other != key)
    assert faults(f"accounts:\n  - {entry}\n    {key}: {value}\n") == (
        Fault(f"accounts.yaml:{5 - (key in lines)}", message, remedy),
    )


BROKEN_YAML = "Check indentation (no tabs), colons and quotes here."
BEGIN = "Begin with the sample: collector config generate accounts.yaml"

FILES = [
    ("", "1", "the file holds nothing, not keys such as `accounts:`", BEGIN),
    ("# only a comment\n", "1", "the file holds nothing, not keys such as `accounts:`", BEGIN),
    ("- a\n", "1", "the file holds a list, not keys such as `accounts:`", BEGIN),
    ("\nhello\n", "2", "the file holds a text, not keys such as `accounts:`", BEGIN),
    (b"a: 1\nb: \xff\n", "2", "the file isn't UTF-8 text", "Save it with the encoding UTF-8."),
    ("a: 1\nb: \x07\n", "2", "the file holds a control character", "Remove it."),
    ("a: 1\n---\nb: 2\n", "2", "a second document begins", "Put it into a file of its own."),
    ("run:\n\tworkers: 1\n", "2", "this isn't YAML: found character that cannot start any token", BROKEN_YAML),
    ("run:\n  lookback: 1\n  workers 1\napi:\n", "3", "this isn't YAML: could not find expected ':'", BROKEN_YAML),
    ("a: 1\nb: 'x\n\n", "2", "this isn't YAML: found unexpected end of stream", BROKEN_YAML),
    ("a: 1\n  b: 2", "2", "this isn't YAML: mapping values are not allowed in this context", BROKEN_YAML),
    ("accounts:\n - a\n b: 1", "3", "this isn't YAML: did not find expected '-' indicator", BROKEN_YAML),
    ("a: " + "[" * 5000, "1", "this isn't YAML: exceeded maximum nesting depth", BROKEN_YAML),
    (
        "\na: " + "[" * 20 + "]" * 20,
        "2",
        "the nesting is too deep",
        "See the sample for the form: collector config generate",
    ),
    (
        "a: 1\nb: *c",
        "2",
        "an alias (`*`) has no anchor (`&`) before it",
        "Quote the text if its `*` is meant as such.",
    ),
    *(
        (
            f"a: &a {collection}\nb: *a",
            "2",
            "an alias (`*`) stands for more than a list of texts",
            "Write it out, or put what accounts share under `defaults:`.",
        )
        for collection in ("{x: y}", "[[x]]", "[{x: y}]")
    ),
    (
        "a: &a [*a]",
        "1",
        "an alias (`*`) has no anchor (`&`) before it",
        "Quote the text if its `*` is meant as such.",
    ),
]


@pytest.mark.parametrize(("content", "line", "message", "remedy"), FILES)
def test_a_file_of_another_form_is_one_fault(
    faults: Callable[..., tuple[Fault, ...]], content: str | bytes, line: str, message: str, remedy: str
) -> None:
    assert faults(content) == (Fault(f"accounts.yaml:{line}", message, remedy),)


def test_files_that_cannot_be_read_are_faults_without_a_line(write: Callable[..., Path]) -> None:
    write(GOOD)
    Path("folder").mkdir()
    paths = [Path("missing.yaml"), Path("folder"), Path("accounts.yaml/below")]
    with pytest.raises(ConfigError) as caught:
        load(paths, {}, datetime.now(UTC))
    assert caught.value.faults == (
        Fault(
            "accounts.yaml/below",
            "could not read the file: Not a directory",
            "Make it readable for the collector's user.",
        ),
        Fault("folder", "this is a directory", "Name the files in it, or `include: DIRECTORY/*.yaml`."),
        Fault("missing.yaml", "there is no such file", f"Correct the path. {BEGIN}"),
    )


def test_where_no_account_is_left_a_pattern_without_a_match_is_told_too(
    faults: Callable[..., tuple[Fault, ...]],
) -> None:
    nobody, unmatched = faults("\ninclude: nothing/*.yaml")
    assert nobody.message == "no account is configured"
    assert unmatched == Fault(
        "accounts.yaml:2",
        "no file matches the pattern of `include`, nothing/*.yaml",
        "Correct it, or write the files.",
    )


@pytest.mark.parametrize("accounts", ["", "accounts:", "accounts: []"])
def test_no_account_at_all_is_a_fault(faults: Callable[..., tuple[Fault, ...]], accounts: str) -> None:
    remedy = "Add one under `accounts:`, or name more files with `include:`."
    assert faults(f"run: {{workers: 2}}\n{accounts}") == (Fault("accounts.yaml", "no account is configured", remedy),)


def test_accounts_that_are_no_mappings_are_faults(faults: Callable[..., tuple[Fault, ...]]) -> None:
    remedy = "Write a list of accounts, each with `name` and `appid`, and `secret` or `token`."
    assert faults("accounts:\n  - secret:abc\n") == (Fault("accounts.yaml:2", f"`accounts` {WRONG}", remedy),)
    assert faults("accounts: acme") == (Fault("accounts.yaml:1", f"`accounts` {WRONG}", remedy),)


def test_a_missing_field_is_a_fault_at_the_line_where_its_account_begins(
    faults: Callable[..., tuple[Fault, ...]],
) -> None:
    assert faults("accounts:\n  -\n    tags: [x]\n    name: a\n    secret: s") == (
        Fault("accounts.yaml:3", "`appid` is missing", APPID.replace("Write", "Add `appid`:")),
    )


def test_unset_variables_are_faults_and_hide_no_others(faults: Callable[..., tuple[Fault, ...]]) -> None:
    content = "mongodb:\n  uri: mongodb://${U}:${P}@h\naccounts:\n  - name: ${N}\n    appid: ${\n    bogus: ${N}\n"
    known = (
        "Remove it; known here: rate_limit, token, since, daily_calls, name, appid, secret, "
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


def test_a_yaml_key_that_stands_twice_is_a_fault(faults: Callable[..., tuple[Fault, ...]]) -> None:
    assert faults(GOOD + "run:\n  workers: 1\n  workers: 1\nrun:\n") == (
        Fault("accounts.yaml:4", "`workers` appears twice, first in line 3", "Keep one of the two."),
        Fault("accounts.yaml:5", "`run` appears twice, first in line 2", "Keep one of the two."),
    )


def test_names_and_appids_are_unique_over_all_files(write: Callable[..., Path]) -> None:
    write(GOOD, "more/x.yaml")
    write(GOOD.replace("name: a", "name: b"), "more/y.yaml")
    with pytest.raises(ConfigError) as caught:
        load([write("include: more/*.yaml\n" + GOOD)], {}, datetime.now(UTC))
    name = "Give each account its own `name`, or remove one of the two."
    appid = "Give each account its own `appid`, or remove one of the two."
    assert caught.value.faults == (
        Fault("more/x.yaml:1", "`appid` is taken by the account at accounts.yaml:2", appid),
        Fault("more/x.yaml:1", "`name` is taken by the account at accounts.yaml:2", name),
        Fault("more/y.yaml:1", "`appid` is taken by the account at accounts.yaml:2", appid),
    )


def test_empty_names_and_appids_are_no_duplicates(faults: Callable[..., tuple[Fault, ...]]) -> None:
    entry = "  - {name: '', appid: '', secret: s}\n"
    assert [fault.message for fault in faults("accounts:\n" + entry * 2)] == ["`appid` is empty", "`name` is empty"] * 2


def test_faults_of_all_files_come_at_once_in_the_order_of_files_and_lines(write: Callable[..., Path]) -> None:
    """Line 10 stands after line 9, and a file with a fault is still asked for what it includes."""
    write("accounts: [x]\nmongodb: {}\n", "more/z.yaml")
    write("\n" * 8 + "run: {workers: 0}\nbogus:\ninclude: more/*.yaml\n", "b.yaml")
    with pytest.raises(ConfigError) as caught:
        load([Path("b.yaml"), write("[", "a.yaml")], {}, datetime.now(UTC))
    assert [fault.where for fault in caught.value.faults] == [
        "a.yaml:1",
        "b.yaml:9",
        "b.yaml:10",
        "more/z.yaml:1",
        "more/z.yaml:2",
    ]
    assert caught.value.faults[-1] == Fault(
        "more/z.yaml:2", "`mongodb` isn't known here", "Remove it; known here: accounts."
    )


def test_since_is_measured_by_beijings_calendar(
    loaded: Callable[..., Settings], faults: Callable[..., tuple[Fault, ...]]
) -> None:
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
def test_a_fault_tells_no_secret_and_no_value_of_a_variable(
    faults: Callable[..., tuple[Fault, ...]], content: str
) -> None:
    told = str(ConfigError(faults(content, {"LEAK": "l3akedvalue"})))
    assert "l3akedvalue" not in told
