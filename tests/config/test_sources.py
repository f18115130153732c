"""The forms in which secrets, tokens and third-party platforms are written, and what they become."""

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

NOW = datetime(2026, 11, 24, tzinfo=UTC)
SECRET = SecretStr("s")
ACCOUNT = Account("a", "wx0000000000000001", None, Rate(5, 1))
AGENCY = "components: [{name: agency, appid: wx00000000000000c0, access_token: {url: 'http://t'}}]\n"
COMPONENT = Component("agency", "wx00000000000000c0", access_token=FromUrl(SecretStr("http://t")))


def entry(*more: str) -> str:
    return "accounts: [{" + ", ".join(["name: a, appid: wx0000000000000001", *more]) + "}]\n"


SECRETS: list[tuple[str, Origin]] = [
    ("'${S}'", SECRET),
    ("{file: /run/secrets/a}", FromFile(Path("/run/secrets/a"))),
    ("{credential: a-secret}", FromCredential("a-secret")),
    ("{command: [vault, read, '${S}', '{}']}", FromCommand(("vault", "read", "s", "{}"))),
    ("{command: [sh, -c, 'echo $${HOME}']}", FromCommand(("sh", "-c", "echo ${HOME}"))),
]


@pytest.mark.parametrize(("written", "origin"), SECRETS)
def test_every_secret_may_live_elsewhere(loaded: Callable[..., Settings], written: str, origin: Origin) -> None:
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
def test_the_addresses_of_database_and_proxies_may_live_elsewhere(
    loaded: Callable[..., Settings], written: str, origin: Origin
) -> None:
    content = f"mongodb: {{uri: {written}}}\napi: {{proxy: {written}}}\n" + entry(f"secret: s, proxy: {written}")
    settings = loaded(content, {"S": "s"})
    assert settings.mongodb.uri == settings.api.proxy == settings.accounts[0].proxy == origin


def test_a_path_begins_at_the_folder_of_the_file_that_names_it(write: Callable[..., Path], tmp_path: Path) -> None:
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
def test_a_token_comes_from_where_the_account_or_the_defaults_say(
    loaded: Callable[..., Settings], written: str, token: TokenOrigin
) -> None:
    own = loaded(AGENCY + entry("secret: s", f"token: {written}"), {"K": "classic"})
    defaults = loaded(AGENCY + f"defaults: {{token: {written}}}\n" + entry("secret: s"), {"K": "classic"})
    assert own.accounts == defaults.accounts == (replace(ACCOUNT, secret=SECRET, token=token),)
    assert own.defaults["token"] is TokenKind.STABLE
    assert defaults.defaults["token"] == token


def test_an_account_may_have_its_own_way_to_wechat(loaded: Callable[..., Settings]) -> None:
    settings = loaded(entry("secret: s, proxy: 'http://u:p@h:3128/', hosts: [https://sh.api.weixin.qq.com/]"))
    proxy, hosts = SecretStr("http://u:p@h:3128"), ("https://sh.api.weixin.qq.com",)
    assert settings.accounts == (replace(ACCOUNT, secret=SECRET, proxy=proxy, hosts=hosts),)


def test_wechat_may_be_reached_by_ipv4_alone(loaded: Callable[..., Settings]) -> None:
    assert loaded("api: {ipv4_only: true}\n" + entry("secret: s")).api.ipv4_only
    assert not loaded(entry("secret: s")).api.ipv4_only


def test_a_component_has_its_token_from_elsewhere_or_asks_for_it(loaded: Callable[..., Settings]) -> None:
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


def test_components_of_several_files_add_up(write: Callable[..., Path]) -> None:
    first = write(entry("token: {component: two}"), "first.yaml")
    second = write(AGENCY, "second.yaml")
    third = write(AGENCY.replace("agency", "two").replace("c0", "c2"), "third.yaml")
    assert load([first, second, third], {}, NOW).components == (
        COMPONENT,
        replace(COMPONENT, name="two", appid="wx00000000000000c2"),
    )


@pytest.mark.parametrize("discover", ["true", "True", "TRUE"])
def test_a_component_that_discovers_accounts_needs_none_in_the_file(
    loaded: Callable[..., Settings], discover: str
) -> None:
    settings = loaded(AGENCY.replace("}}]", f"}}, discover: {discover}}}]"))
    assert settings.accounts == ()
    assert settings.components == (replace(COMPONENT, discover=True),)


@pytest.mark.parametrize("more", ["", ", discover: false", ", discover: FALSE"])
def test_a_component_alone_is_no_account(faults: Callable[..., tuple[Fault, ...]], more: str) -> None:
    remedy = "Add one under `accounts:`, or name more files with `include:`."
    assert faults(AGENCY.replace("}}]", f"}}{more}}}]")) == (
        Fault("accounts.yaml", "no account is configured", remedy),
    )


def test_a_discovered_account_has_the_defaults(loaded: Callable[..., Settings]) -> None:
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


def test_settings_print_nothing_of_what_a_source_holds(loaded: Callable[..., Settings]) -> None:
    content = (
        "components: [{name: c, appid: wx00000000000000c0, secret: l3ak, verify_ticket: l3ak}]\n"
        "defaults: {token: {url: 'http://u:l3ak@t', headers: {X: l3ak}}}\n"
        + entry("secret: {command: [x, l3ak]}", "authorizer_refresh_token: l3ak", "proxy: 'http://u:l3ak@h'")
    )
    settings = loaded(content)
    assert "l3ak" not in repr(settings) + str(settings)
