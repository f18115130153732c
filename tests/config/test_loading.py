"""Which files are read, and how they are joined."""

from __future__ import annotations

import tempfile
import tracemalloc
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from collector.config import Settings, find, load
from collector.config.schema import ApiSettings, MongoSettings, RunSettings
from collector.errors import ConfigError, Fault
from collector.model.accounts import Account, FromUrl, Rate, TokenKind
from collector.model.language import Language


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_given_files_come_first(tmp_path: Path) -> None:
    put(tmp_path / "accounts.yaml")
    given = [Path("b.yaml"), Path("a.yaml")]
    assert find(given, {"COLLECTOR_CONFIG": "c.yaml"}, tmp_path) == (Path("b.yaml"), Path("a.yaml"))


def test_file_of_the_environment(tmp_path: Path) -> None:
    """A file that was named is used even where it is missing."""
    put(tmp_path / "accounts.yaml")
    assert find([], {"COLLECTOR_CONFIG": "missing.yaml"}, tmp_path) == (Path("missing.yaml"),)


def test_empty_collector_config(tmp_path: Path) -> None:
    """An empty variable counts as unset."""
    here = put(tmp_path / "accounts.yaml")
    assert find([], {"COLLECTOR_CONFIG": "", "XDG_CONFIG_HOME": "", "HOME": ""}, tmp_path) == (here,)


def test_order_of_the_usual_places(tmp_path: Path) -> None:
    """The working directory comes before the user's configuration."""
    users = put(tmp_path / "xdg/collector/accounts.yaml")
    homes = put(tmp_path / "home/.config/collector/accounts.yaml")
    xdg, home = {"XDG_CONFIG_HOME": str(tmp_path / "xdg")}, {"HOME": str(tmp_path / "home")}
    assert find([], home, tmp_path) == (homes,)
    assert find([], xdg | home, tmp_path) == (users,)
    here = put(tmp_path / "accounts.yaml")
    assert find([], xdg | home, tmp_path) == (here,)


def test_no_file_found(tmp_path: Path) -> None:
    """The fault names the places, and how to begin."""
    with pytest.raises(ConfigError) as caught:
        find([], {"HOME": "/nowhere"}, tmp_path)
    looked = f"{tmp_path}/accounts.yaml, /nowhere/.config/collector/accounts.yaml, /etc/collector/accounts.yaml"
    assert caught.value.faults == (
        Fault(
            "accounts.yaml",
            f"no configuration was found; looked for {looked}",
            "Write one with collector config generate accounts.yaml, or name a file with --config.",
        ),
    )


def test_no_home(tmp_path: Path) -> None:
    """Without a home the user's configuration is left out."""
    with pytest.raises(ConfigError, match=r"looked for \S*/accounts.yaml, /etc/collector/accounts.yaml\n"):
        find([], {}, tmp_path)


NOW = datetime(2026, 11, 24, tzinfo=UTC)

KEY = "0123456789abcdef" * 2

SECRET = SecretStr(KEY)

ONE = f"accounts: [{{name: a, appid: wx0000000000000001, secret: {KEY}}}]\n"

A = Account("a", "wx0000000000000001", SECRET, Rate(5, 1))


def entry(name: str, number: int, *more: str) -> str:
    return "  - {" + ", ".join([f"name: {name}, appid: wx{number:016x}, secret: {KEY}", *more]) + "}\n"


def defaults(rate_limit: Rate, since: date) -> dict[str, Any]:
    unset = {"daily_calls": None, "egress": None}
    return {"rate_limit": rate_limit, "token": TokenKind.STABLE, "since": since, **unset}


def test_variables_are_filled_in(loaded: Callable[..., Settings]) -> None:
    content = "accounts: [{name: '${N:-a}', appid: 'wx${D}1', secret: '$${x}'}]"
    account = loaded(content, {"N": "", "D": "0" * 15}).accounts[0]
    assert account == Account("a", "wx0000000000000001", SecretStr("${x}"), Rate(5, 1))


def test_several_files(write: Callable[..., Path]) -> None:
    """Later files win key by key, and accounts add up."""
    first = write(
        "mongodb: {database: one}\nrun: {workers: 2, lookback: 3}\ndefaults: {rate_limit: 1/s, since: 2025-01-01}\n"
        "language: zh\naccounts:\n" + entry("b", 2) + entry("a", 1),
        "first.yaml",
    )
    second = write(
        "run: {workers: 5}\ndefaults: {rate_limit: 2/min}\nlanguage: en\naccounts:\n"
        + entry("c", 3, "rate_limit: 9/s"),
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
        language=Language.EN,
    )


def test_include(write: Callable[..., Path]) -> None:
    """The pattern is relative to the file that holds it, not to the working directory."""
    write("accounts:\n" + entry("z", 26), "etc/d/z.yaml")
    write("accounts:\n" + entry("y", 25), "etc/d/y.yaml")
    write("broken: [", "etc/d/.hidden.yaml")
    write("include: ${DIR:-d}/*.yaml\n" + ONE, "etc/main.yaml")
    write("accounts:\n" + entry("b", 2), "other.yaml")
    settings = load([Path("etc/main.yaml"), Path("other.yaml")], {}, NOW)
    assert [account.name for account in settings.accounts] == ["a", "y", "z", "b"]


def test_file_named_twice(write: Callable[..., Path]) -> None:
    """A file is read once, however often it is named."""
    path = write("include: '*.yaml'\n" + ONE)
    assert load([path, path.absolute()], {}, NOW).accounts == (A,)


def test_include_without_a_match(loaded: Callable[..., Settings]) -> None:
    """It is a warning."""
    assert loaded(ONE + "include: d/*.yaml").warnings == (
        "accounts.yaml:2: no file matches the pattern of `include`, d/*.yaml: correct it",
    )


EGRESS = """
defaults: {egress: sh, token: {component: plain}}
components:
  - {name: plain, appid: wx00000000000000c0, access_token: {url: "http://t"}}
  - {name: abroad, appid: wx00000000000000c1, access_token: {url: "http://t"}, egress: hk}
accounts:
  - {name: own, appid: wx0000000000000001, egress: eu-1.a_b, token: {component: abroad}}
  - {name: platform's, appid: wx0000000000000002, token: {component: abroad}}
  - {name: default, appid: wx0000000000000003}
  - {name: secret, appid: wx0000000000000004, secret: s, token: stable}
"""


def test_egress_of_an_account(loaded: Callable[..., Settings]) -> None:
    """It is the account's own, else that of the platform that gives its token, else that of the defaults."""
    settings = loaded(EGRESS)
    assert [account.egress for account in settings.accounts] == ["eu-1.a_b", "hk", "sh", "sh"]
    discovered = [settings.account_of("wx0000000000000009", "found", name) for name in ("plain", "abroad")]
    assert [account.egress for account in discovered] == ["sh", "hk"]
    assert [settings.egress_of(component) for component in settings.components] == ["sh", "hk"]
    assert settings.egress_labels == {"eu-1.a_b", "hk", "sh"}


def test_egress_is_left_out(loaded: Callable[..., Settings]) -> None:
    settings = loaded(ONE)
    assert (settings.accounts[0].egress, settings.egress_labels) == (None, frozenset())


def test_settings_print_no_secret(loaded: Callable[..., Settings]) -> None:
    content = (
        "mongodb: {uri: 'mongodb://u:l3ak@h'}\napi: {proxy: 'http://u:l3ak@h'}\n"
        "accounts: [{name: a, appid: wx0000000000000001, secret: l3ak}]"
    )
    settings = loaded(content)
    for shown in (repr(settings), str(settings), settings.mongodb.model_dump_json(), settings.api.model_dump_json()):
        assert "l3ak" not in shown


@pytest.mark.parametrize("environ", [{"SECRET": "s"}, {}], ids=["good", "bad"])
def test_ten_thousand_accounts(write: Callable[..., Path], environ: dict[str, str]) -> None:
    """They are read, and all their faults are reported."""
    lines = (f"  - {{name: client-{n}, appid: wx{n:016x}, secret: '${{SECRET}}'}}\n" for n in range(10_000))
    path = write("accounts:\n" + "".join(lines))
    try:
        count = len(load([path], environ, NOW).accounts)
    except ConfigError as error:
        count = len(error.faults)
    assert count == 10_000


def test_memory(write: Callable[..., Path]) -> None:
    """It is that of each process of a spread run."""
    count = 2_000
    accounts = [f"  - {{name: client-{n:05d}, appid: wx{n:016x}, secret: {n:032x}}}\n" for n in range(count)]
    file, now = write("accounts:\n" + "".join(accounts)), datetime.now(UTC)
    load([file], {}, now)  # what is made once
    tracemalloc.start()
    try:
        settings = load([file], {}, now)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak / len(settings.accounts) < 2_500


YAML = st.text(st.sampled_from("accounts:\n -[]{}&*a<'\"|>#!%@\t$,?\x00é0"), max_size=60)


@given(st.binary(max_size=60) | YAML.map(str.encode) | YAML.map(lambda text: f"accounts:\n{text}".encode()))
def test_any_file(content: bytes) -> None:
    """Any file is settings or faults."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "accounts.yaml")
        path.write_bytes(content)
        try:
            load([path], {}, datetime.now(UTC))
        except ConfigError as error:
            assert all(  # noqa: PT017 (some files are good)
                fault.message and fault.remedy for fault in error.faults
            )


@given(st.text(st.characters(), min_size=1, max_size=20) | st.just("\udcff"))
def test_any_secret_in_a_variable(value: str) -> None:
    """Bytes in the environment that aren't UTF-8 come as lone surrogates; no request could send them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "accounts.yaml")
        path.write_text("accounts: [{name: a, appid: wx0000000000000001, secret: '${S}'}]")
        try:
            accounts = load([path], {"S": value}, datetime.now(UTC)).accounts
        except ConfigError as error:
            assert [fault.message for fault in error.faults] == ["`secret` isn't of the right form"]  # noqa: PT017 (most are good)
        else:
            assert value.encode()
            assert accounts == (Account("a", "wx0000000000000001", SecretStr(value), Rate(5, 1)),)


@given(
    st.sampled_from(["{file: V}", "{credential: V}", "{command: [V]}", "V"]),
    st.text(st.characters(), max_size=20) | st.just("\udcff") | st.text(st.sampled_from("/.{}appid\0:@"), max_size=9),
)
def test_any_source_in_a_variable(form: str, value: str) -> None:
    """Any value of a variable makes a valid source or a fault."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "accounts.yaml")
        secret, url = (
            form.replace("V", "'${S}'"),
            "{url: 'http://h${S}', headers: {X: " + form.replace("V", "'${S}'") + "}}",
        )
        account = f"name: a, appid: wx0000000000000001, secret: {secret}, token: {url}, proxy: {secret}"
        path.write_text(f"accounts: [{{{account}}}]")
        try:
            (loaded,) = load([path], {"S": value}, datetime.now(UTC)).accounts
        except ConfigError as error:
            assert all("accounts.yaml:1" in fault.where for fault in error.faults)  # noqa: PT017 (some are good)
        else:
            assert isinstance(loaded.token, FromUrl)
            assert loaded.token.url.get_secret_value().encode() == f"http://h{value}".encode()


def test_no_account_for_want_of_a_match(
    faults: Callable[..., tuple[Fault, ...]],
) -> None:
    """A pattern without a match is the likely reason, so it is a fault too."""
    nobody, unmatched = faults("\ninclude: nothing/*.yaml")
    assert nobody.message == "no account is configured"
    assert unmatched == Fault(
        "accounts.yaml:2",
        "no file matches the pattern of `include`, nothing/*.yaml",
        "Correct it, or write the files.",
    )


@pytest.mark.parametrize("accounts", ["", "accounts:", "accounts: []"])
def test_no_account(faults: Callable[..., tuple[Fault, ...]], accounts: str) -> None:
    remedy = "Add one under `accounts:`, or name more files with `include:`."
    assert faults(f"run: {{workers: 2}}\n{accounts}") == (Fault("accounts.yaml", "no account is configured", remedy),)


def test_order_of_faults(write: Callable[..., Path]) -> None:
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
