"""Whom a fault concerns: one entry of `accounts:`, one included file, or everybody."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from collector.config import Settings, load
from collector.errors import ConfigError, Fault
from collector.model.accounts import Account, BrokenEntry, Rate

Write = Callable[..., Path]
Load = Callable[..., Settings]

NOW = datetime(2026, 11, 24, tzinfo=UTC)
KEY = "0123456789abcdef" * 2
SOUND = f"  - {{name: sound, appid: wx0000000000000001, secret: {KEY}}}\n"
BROKEN_APPID = "wx0000000000000002"

UNSET = "Set UNSET in the environment."
RATE = "Write a number of calls from 1 up, a second or a minute, such as 5/s or 30/min."
TAKEN = "Give each account its own `{}`, or remove one of the two."


def _entry(*more: str, name: str = "broken", appid: str = BROKEN_APPID) -> str:
    return f"  - {{{', '.join([f'name: {name}', f'appid: {appid}', *more])}}}\n"


def _sound(settings: Settings) -> list[str]:
    return [account.name for account in settings.accounts]


@pytest.mark.parametrize(
    ("more", "message", "remedy"),
    [
        (["secret: '${UNSET}'"], "the variable UNSET isn't set", UNSET),
        (["secret: s", "rate_limit: fast"], "`rate_limit` can't be 'fast'", RATE),
        (["secret: s", "tag: [x]"], "`tag` isn't known here", "Write `tags`."),
        (["secret: s", "secret: t"], "`secret` appears twice, first in line 3", "Keep one of the two."),
        (["secret: s", "[x]: y"], "a key is not plain text", "Quote a value that begins with `{` or `[`."),
        (
            ["token: {component: nobody}"],
            "`component` names a platform that isn't configured",
            "Add it under `components:`, or write the name of one.",
        ),
    ],
)
def test_fault_of_one_account(loaded: Load, more: list[str], message: str, remedy: str) -> None:
    """It is that account's alone."""
    settings = loaded("accounts:\n" + SOUND + _entry(*more))
    assert settings.accounts == (Account("sound", "wx0000000000000001", SecretStr(KEY), Rate(5, 1)),)
    assert settings.broken == (BrokenEntry("broken", BROKEN_APPID, (Fault("accounts.yaml:3", message, remedy),)),)
    with pytest.raises(ConfigError) as caught:
        settings.check()
    assert caught.value.faults == settings.broken[0].faults


def test_faults_of_one_account(loaded: Load) -> None:
    """They are in the order of lines, and the first one stands for all."""
    (entry,) = loaded("accounts:\n" + SOUND + "  - name: broken\n    secret: ''\n    rate_limit: fast\n").broken
    assert [fault.where for fault in entry.faults] == ["accounts.yaml:3", "accounts.yaml:4", "accounts.yaml:5"]
    assert entry.message == "accounts.yaml:3: `appid` is missing"
    appid = "Add `appid`: the AppID from the account's console: wx and 16 digits of 0-9 and a-f."
    assert entry.remedy == f"{entry.message}. {appid} (2 more faults: see `collector config validate`)"


def test_two_merge_keys(loaded: Load) -> None:
    """One of them would be left out in silence."""
    base = f"  - &base {{name: base, appid: wx0000000000000003, secret: {KEY}}}\n"
    (entry,) = loaded("accounts:\n" + base + _entry("<<: *base", "<<: *base")).broken
    twice = Fault("accounts.yaml:3", "`<<` appears twice, first in line 3", "Keep one of the two.")
    assert (entry.name, entry.faults) == ("broken", (twice,))


def test_fault_behind_a_merge_key(loaded: Load) -> None:
    """It is one of each account that the mapping is merged into."""
    base = f"  - &base {{name: base, appid: wx0000000000000003, secret: {KEY}, [x]: y}}\n"
    settings = loaded("accounts:\n" + SOUND + base + _entry("<<: *base"))
    assert [(entry.name, [fault.where for fault in entry.faults]) for entry in settings.broken] == [
        ("base", ["accounts.yaml:3"]),
        ("broken", ["accounts.yaml:3"]),
    ]


def test_what_can_be_read(loaded: Load) -> None:
    """Fields without a fault keep their values, and those left out have the defaults."""
    content = "defaults: {egress: hk, since: 2025-01-01}\naccounts:\n" + SOUND
    own = ["secret: '${UNSET}'", "tags: [x, y]", "egress: sh", "since: 2026-01-01", "enabled: false"]
    (entry,) = loaded(content + _entry(*own)).broken
    whole = BrokenEntry("broken", BROKEN_APPID, entry.faults, ("x", "y"), "sh", date(2026, 1, 1), enabled=False)
    assert entry == whole
    (entry,) = loaded(content + _entry("secret: s", "tags: [[x]]", "egress: -", "since: soon", "enabled: yes")).broken
    assert entry == BrokenEntry("broken", BROKEN_APPID, entry.faults, (), "hk", date(2025, 1, 1))
    assert len(entry.faults) == 4


def test_egress_of_a_broken_entry(loaded: Load) -> None:
    """It is that of the platform, as with a sound one."""
    platform = "components: [{name: c, appid: wx00000000000000c0, access_token: {url: 'https://t'}, egress: hk}]\n"
    settings = loaded(platform + "accounts:\n" + SOUND + _entry("token: {component: c}", "rate_limit: x"))
    assert settings.broken[0].egress == "hk"
    assert settings.egress_labels == {"hk"}


@pytest.mark.parametrize(
    ("entry", "name", "appid"),
    [
        (_entry("secret: ''", name="''"), BROKEN_APPID, BROKEN_APPID),
        (_entry("secret: s", appid="wx123"), "broken", None),
        (_entry("secret: s", appid="'${UNSET}'"), "broken", None),
        (_entry("secret: s", "appid: wx0000000000000003"), "broken", None),  # nobody knows which of the two is meant
        (_entry("secret: s", name="''", appid="wx123"), "accounts.yaml:3", None),
        ("  - secret:abc\n", "accounts.yaml:3", None),
        ("  - '${UNSET}'\n", "accounts.yaml:3", None),
    ],
)
def test_name_and_appid(loaded: Load, entry: str, name: str, appid: str | None) -> None:
    settings = loaded("accounts:\n" + SOUND + entry)
    assert [(each.name, each.appid) for each in settings.broken] == [(name, appid)]
    assert settings.appids == {"wx0000000000000001"} | ({appid} if appid else set())
    assert settings.are_appids_known is (appid is not None)


@pytest.mark.parametrize("key", ["name", "appid"])
def test_duplicates(loaded: Load, key: str) -> None:
    """Both are broken, whatever else is unique about them, and keep what was written."""
    twice = [_entry("secret: s"), _entry("secret: t", **{"name": "other", "appid": "wx0000000000000003", key: "{}"})]
    value = "broken" if key == "name" else BROKEN_APPID
    settings = loaded("accounts:\n" + twice[0] + SOUND + twice[1].replace("{}", value))
    assert _sound(settings) == ["sound"]
    remedy = TAKEN.format(key)
    assert [entry.faults for entry in settings.broken] == [
        (Fault("accounts.yaml:2", f"`{key}` is taken by the account at accounts.yaml:4", remedy),),
        (Fault("accounts.yaml:4", f"`{key}` is taken by the account at accounts.yaml:2", remedy),),
    ]
    assert settings.broken[0].appid == BROKEN_APPID
    assert settings.are_appids_known


def test_three_duplicates(loaded: Load) -> None:
    entries = [_entry("secret: s", appid=f"wx{n:016x}") for n in (2, 3, 4)]
    assert len(loaded("accounts:\n" + SOUND + "".join(entries)).broken) == 3


def _include(write: Write, content: str | bytes, environ: Mapping[str, str] | None = None) -> Settings:
    write(content, "d/x.yaml")
    return load([write("include: d/*.yaml\naccounts:\n" + SOUND)], environ or {}, NOW)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("accounts: [\n", "this isn't YAML"),
        (b"\xff", "the file isn't UTF-8 text"),
        ("", "the file holds nothing"),
        ("- a\n", "the file holds a list"),
        ("acounts: []\n", "`acounts` isn't known here"),
        ("accounts: acme\n", "`accounts` isn't of the right form"),
        ("accounts: '${UNSET}'\n", "the variable UNSET isn't set"),
        (f"accounts:\n{_entry('secret: s')}accounts: []\n", "`accounts` appears twice"),
    ],
)
def test_included_file(write: Write, content: str | bytes, message: str) -> None:
    """One that can't be used is one failure, and may be for any account."""
    settings = _include(write, content)
    assert _sound(settings) == ["sound"]
    assert [(entry.name, entry.appid) for entry in settings.broken] == [("d/x.yaml", None)]
    assert settings.broken[0].faults[0].message.startswith(message)
    assert not settings.are_appids_known


def test_all_faults_of_an_included_file(write: Write) -> None:
    """Those of its accounts are told with the one for which the file can't be used."""
    (entry,) = _include(write, "accounts:\n" + _entry("secret: ''") + "accounts: []\n").broken
    assert [fault.where for fault in entry.faults] == ["d/x.yaml:2", "d/x.yaml:3"]


def test_key_of_an_included_file(write: Write) -> None:
    """A fault outside of its accounts is one of each of them: it may be about their rate."""
    accounts = _entry("secret: s") + _entry("secret: ''", name="other", appid="wx0000000000000003")
    settings = _include(write, f"accounts:\n{accounts}defaults: {{rate_limit: 1/min}}\n")
    fault = Fault("d/x.yaml:4", "`defaults` isn't known here", "Remove it; known here: accounts.")
    assert [(entry.name, len(entry.faults), entry.faults[-1]) for entry in settings.broken] == [
        ("broken", 1, fault),
        ("other", 2, fault),
    ]
    with pytest.raises(ConfigError) as caught:
        settings.check()
    assert [fault.where for fault in caught.value.faults] == ["d/x.yaml:3", "d/x.yaml:4"]


def test_vanished_file(write: Write) -> None:
    """A link that leads nowhere is a file that can't be read."""
    Path("d").mkdir()
    Path("d/x.yaml").symlink_to("nowhere")
    settings = load([write("include: d/*.yaml\naccounts:\n" + SOUND)], {}, NOW)
    assert [(entry.name, entry.faults[0].message) for entry in settings.broken] == [
        ("d/x.yaml", "there is no such file")
    ]


GENERAL = [
    "defaults: {rate_limit: fast}\n",
    "mongodb: {uri: '${UNSET}'}\n",
    "components: [{name: c}]\n",
    "bogus: 1\n",
    "run: {}\nrun: {}\n",
]


@pytest.mark.parametrize("line", GENERAL)
def test_faults_of_everybody(write: Write, line: str) -> None:
    """They come together with those of single accounts and files."""
    write("[", "d/x.yaml")
    path = write("include: d/*.yaml\naccounts:\n" + SOUND + _entry("secret: ''") + line)
    with pytest.raises(ConfigError) as caught:
        load([path], {}, NOW)
    places = {fault.where for fault in caught.value.faults}
    assert {"accounts.yaml:4", "d/x.yaml:1"} < places


def test_faults_of_a_main_file_named_second(write: Write) -> None:
    """Settings of all accounts may stand in any file that was named."""
    with pytest.raises(ConfigError):
        load([write("accounts:\n" + SOUND), write("[", "b.yaml")], {}, NOW)
    with pytest.raises(ConfigError):
        load([write("accounts:\n" + SOUND), write("accounts: x", "b.yaml")], {}, NOW)


def test_no_sound_account(write: Write) -> None:
    """It concerns everybody."""
    write("[", "d/x.yaml")
    path = write("include: d/*.yaml\naccounts:\n" + _entry("secret: ''"))
    with pytest.raises(ConfigError) as caught:
        load([path], {}, NOW)
    assert [fault.where for fault in caught.value.faults] == ["accounts.yaml:3", "d/x.yaml:1"]


def test_no_sound_account_with_discovery(loaded: Load) -> None:
    """A platform's accounts are still there."""
    platform = (
        f"components: [{{name: c, appid: wx00000000000000c0, secret: {KEY}, verify_ticket: t, discover: true}}]\n"
    )
    settings = loaded(platform + "accounts:\n" + _entry("secret: ''"))
    assert (settings.accounts, [entry.name for entry in settings.broken]) == ((), ["broken"])


def test_warnings_are_of_sound_accounts(loaded: Load) -> None:
    """A broken entry has its faults, and needs no advice; that of others is found where it stands."""
    content = "accounts:\n" + _entry("secret: s", "since: soon") + SOUND.replace("}", ", token: classic}")
    (warning,) = loaded(content).warnings
    assert warning.startswith("accounts.yaml:3: 1 account fetches its token by the classic call")


def test_broken_entry_prints_no_secret(loaded: Load) -> None:
    settings = loaded("accounts:\n" + SOUND + _entry("secret: l3ak ed", "l3aked: x", "proxy: ftp://l3aked"))
    assert "l3ak" not in repr(settings.broken)
