"""What a good configuration becomes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from collector.config import ApiSettings, MongoSettings, RunSettings, Settings, load
from collector.errors import ConfigError
from collector.model.accounts import Account, Rate, TokenKind

NOW = datetime(2026, 11, 24, tzinfo=UTC)
SECRET = SecretStr("s")
ONE = "accounts: [{name: a, appid: wx0000000000000001, secret: s}]\n"
VARIABLE = ONE.replace("secret: s", "secret: '${S}'")
A = Account("a", "wx0000000000000001", SECRET, Rate(5, 1))


def entry(name: str, number: int, *more: str) -> str:
    return "  - {" + ", ".join([f"name: {name}, appid: wx{number:016x}, secret: s", *more]) + "}\n"


def defaults(rate_limit: Rate, since: date) -> dict[str, Any]:
    return {"rate_limit": rate_limit, "token": TokenKind.STABLE, "since": since, "daily_calls": None}


def test_what_is_left_out_has_its_default(loaded: Callable[..., Settings]) -> None:
    assert loaded(ONE) == Settings(
        mongodb=MongoSettings(uri=None, database="wechat"),
        api=ApiSettings(hosts=("https://api.weixin.qq.com", "https://api2.weixin.qq.com"), timeout=10.0, proxy=None),
        run=RunSettings(workers=64, lookback=7, published_at=time(8, 0)),
        accounts=(A,),
        warnings=(),
    )


def test_all_that_can_be_set_is_taken(loaded: Callable[..., Settings]) -> None:
    content = """
mongodb:
  uri: mongodb+srv://db.example/?tls=true
  database: figures
api:
  hosts: [http://127.0.0.1:8080/, https://a.example]
  timeout: 2.5
  proxy: https://u:p@proxy.example:3128/
run:
  workers: 8
  lookback: 14
  published_at: 10:00
defaults:
  rate_limit: 30/min
  token: stable
  since: 2025-01-01
accounts:
  - name: "no"
    appid: wx0123456789abcdef
    secret: 01234567890123456789012345678901
    tags: [yes, 1]
    rate_limit: 2/s
    since: 2024-02-29
    enabled: false
  - {name: 服务号　甲, appid: wx0000000000000002, secret: s}
"""
    assert loaded(content) == Settings(
        mongodb=MongoSettings(uri=SecretStr("mongodb+srv://db.example/?tls=true"), database="figures"),
        api=ApiSettings(
            hosts=("http://127.0.0.1:8080", "https://a.example"),
            timeout=2.5,
            proxy=SecretStr("https://u:p@proxy.example:3128"),
        ),
        run=RunSettings(workers=8, lookback=14, published_at=time(10)),
        accounts=(
            Account(
                "no",
                "wx0123456789abcdef",
                SecretStr("01234567890123456789012345678901"),
                Rate(2, 1),
                since=date(2024, 2, 29),
                tags=("yes", "1"),
                enabled=False,
            ),
            Account("服务号　甲", "wx0000000000000002", SECRET, Rate(30, 60), since=date(2025, 1, 1)),
        ),
        defaults=defaults(Rate(30, 60), date(2025, 1, 1)),
    )


@pytest.mark.parametrize(("text", "enabled"), [("true", True), ("True", True), ("false", False), ("FALSE", False)])
def test_enabled_is_true_or_false_as_yaml_writes_them(
    loaded: Callable[..., Settings], text: str, enabled: bool
) -> None:
    accounts = loaded("accounts:\n" + entry("a", 1, f"enabled: {text}")).accounts
    assert [account.enabled for account in accounts] == [enabled]


def test_a_section_whose_lines_are_commented_out_counts_as_left_out(loaded: Callable[..., Settings]) -> None:
    content = "mongodb:\napi:\nrun:\ndefaults:\n" + ONE.replace("secret: s", "secret: s, tags: ")
    assert loaded(content) == loaded(ONE)


def test_a_byte_order_mark_is_passed_over(loaded: Callable[..., Settings]) -> None:
    assert loaded(b"\xef\xbb\xbf" + ONE.encode()).accounts == (A,)


def test_an_alias_stands_for_what_its_anchor_names(loaded: Callable[..., Settings]) -> None:
    content = (
        "accounts:\n"
        + entry("a", 1, "tags: &t [x, y]", "since: &s 2025-01-01")
        + entry("b", 2, "tags: *t", "since: *s")
    )
    accounts = loaded(content).accounts
    assert [(account.tags, account.since) for account in accounts] == [(("x", "y"), date(2025, 1, 1))] * 2


def test_variables_are_filled_in(loaded: Callable[..., Settings]) -> None:
    content = "accounts: [{name: '${N:-a}', appid: 'wx${D}1', secret: '$${x}'}]"
    account = loaded(content, {"N": "", "D": "0" * 15}).accounts[0]
    assert account == Account("a", "wx0000000000000001", SecretStr("${x}"), Rate(5, 1))


def test_of_several_files_the_later_wins_key_by_key_and_accounts_add_up(write: Callable[..., Path]) -> None:
    first = write(
        "mongodb: {database: one}\nrun: {workers: 2, lookback: 3}\ndefaults: {rate_limit: 1/s, since: 2025-01-01}\n"
        "accounts:\n" + entry("b", 2) + entry("a", 1),
        "first.yaml",
    )
    second = write(
        "run: {workers: 5}\ndefaults: {rate_limit: 2/min}\naccounts:\n" + entry("c", 3, "rate_limit: 9/s"),
        "second.yaml",
    )
    assert load([first, second], {}, NOW) == Settings(
        mongodb=MongoSettings(database="one"),
        api=ApiSettings(),
        run=RunSettings(workers=5, lookback=3),
        accounts=(
            Account("b", "wx0000000000000002", SECRET, Rate(2, 60), since=date(2025, 1, 1)),
            Account("a", "wx0000000000000001", SECRET, Rate(2, 60), since=date(2025, 1, 1)),
            Account("c", "wx0000000000000003", SECRET, Rate(9, 1), since=date(2025, 1, 1)),
        ),
        defaults=defaults(Rate(2, 60), date(2025, 1, 1)),
    )


def test_included_files_follow_their_file_sorted_by_name(write: Callable[..., Path]) -> None:
    """The pattern is relative to the file that holds it, not to the working directory."""
    write("accounts:\n" + entry("z", 26), "etc/d/z.yaml")
    write("accounts:\n" + entry("y", 25), "etc/d/y.yaml")
    write("broken: [", "etc/d/.hidden.yaml")
    write("include: ${DIR:-d}/*.yaml\n" + ONE, "etc/main.yaml")
    write("accounts:\n" + entry("b", 2), "other.yaml")
    settings = load([Path("etc/main.yaml"), Path("other.yaml")], {}, NOW)
    assert [account.name for account in settings.accounts] == ["a", "y", "z", "b"]


def test_a_file_is_read_once_however_often_it_is_named(write: Callable[..., Path]) -> None:
    path = write("include: '*.yaml'\n" + ONE)
    assert load([path, path.absolute()], {}, NOW).accounts == (A,)


def test_an_include_without_a_match_is_a_warning(loaded: Callable[..., Settings]) -> None:
    assert loaded(ONE + "include: d/*.yaml").warnings == (
        "accounts.yaml:2: no file matches the pattern of `include`, d/*.yaml: correct it",
    )


def test_a_variable_without_its_braces_is_a_warning_that_doesnt_show_it(loaded: Callable[..., Settings]) -> None:
    assert loaded(ONE.replace("secret: s", "secret: $ACME_SECRET")).warnings == (
        "accounts.yaml:1: `secret` is a $ and a word, taken literally; a variable is written ${ACME_SECRET}",
    )
    for secret in ("5$x", "$x"):
        assert loaded(VARIABLE, {"S": secret}).warnings == ()
    assert loaded(ONE.replace("name: a", "name: $a")).warnings == ()


def test_so_it_is_of_a_platforms_secrets(loaded: Callable[..., Settings]) -> None:
    platform = "components: [{name: c, appid: wx00000000000000c0, secret: '${S}', verify_ticket: $TICKET}]"
    (warning,) = loaded(VARIABLE + platform, {"S": "s"}).warnings
    assert warning.startswith("accounts.yaml:2: `verify_ticket` is a $ and a word")


@pytest.mark.parametrize(
    ("line", "content"),
    [
        (1, ONE),
        (2, ONE.replace("secret: s", "secret: '${S}'") + "mongodb: {uri: 'mongodb://${S}:pw@h'}"),
        (2, ONE.replace("secret: s", "secret: '${S}'") + "api: {proxy: 'https://u:pw@h'}"),
        (1, ONE.replace("secret: s", "secret: '${S:-s}'")),
        (2, VARIABLE + "components: [{name: c, appid: wx00000000000000c0, secret: s, verify_ticket: {file: x}}]"),
        (2, VARIABLE + "components: [{name: c, appid: wx00000000000000c0, secret: {file: x}, verify_ticket: t}]"),
        (2, VARIABLE + "defaults: {token: {url: 'https://u:pw@h'}}"),
        (2, VARIABLE + "defaults: {token: {url: 'https://h', headers: {Accept: a, X-Key: k}}}"),
        (1, VARIABLE.replace("}]", ", proxy: 'https://u:pw@h'}]")),
        (1, VARIABLE.replace("}]", ", authorizer_refresh_token: t}]")),
    ],
)
def test_a_file_with_a_secret_that_others_can_read_is_a_warning(
    loaded: Callable[..., Settings], line: int, content: str
) -> None:
    warning = f"accounts.yaml:{line}: others can read this file and its secrets; run chmod o-r accounts.yaml"
    assert loaded(content, {"S": "s"}, mode=0o640).warnings == ()  # a group of its own is how deploy/ installs it
    assert loaded(content, {"S": "s"}, mode=0o604).warnings == (warning,)
    assert loaded(content, {"S": "s"}, mode=0o600).warnings == ()


def test_a_file_whose_secrets_are_variables_may_be_read_by_others(loaded: Callable[..., Settings]) -> None:
    content = (
        ONE.replace("secret: s", "secret: '${S}${S}', proxy: {file: p}, authorizer_refresh_token: {credential: c}")
        + "mongodb: {uri: 'mongodb://u:${S}@h'}\napi: {proxy: http://h}\ndefaults: {token: {url: 'https://u:${S}@h', "
        "headers: {Authorization: 'Bearer ${S}', accept: text/plain, X: {command: [get, secret]}}}}"
    )
    assert loaded(content, {"S": "s"}, mode=0o644).warnings == ()


def test_a_since_before_wechats_first_day_is_moved_there_with_a_warning(loaded: Callable[..., Settings]) -> None:
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


def test_one_warning_counts_the_enabled_accounts_with_classic_tokens(loaded: Callable[..., Settings]) -> None:
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


def test_settings_print_no_secret(loaded: Callable[..., Settings]) -> None:
    content = (
        "mongodb: {uri: 'mongodb://u:l3ak@h'}\napi: {proxy: 'http://u:l3ak@h'}\n"
        "accounts: [{name: a, appid: wx0000000000000001, secret: l3ak}]"
    )
    settings = loaded(content)
    for shown in (repr(settings), str(settings), settings.mongodb.model_dump_json(), settings.api.model_dump_json()):
        assert "l3ak" not in shown


@pytest.mark.parametrize("environ", [{"SECRET": "s"}, {}], ids=["good", "bad"])
def test_ten_thousand_accounts_are_read_and_their_faults_all_told(
    write: Callable[..., Path], environ: dict[str, str]
) -> None:
    lines = (f"  - {{name: client-{n}, appid: wx{n:016x}, secret: '${{SECRET}}'}}\n" for n in range(10_000))
    path = write("accounts:\n" + "".join(lines))
    try:
        count = len(load([path], environ, NOW).accounts)
    except ConfigError as error:
        count = len(error.faults)
    assert count == 10_000
