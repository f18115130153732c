"""Files: YAML is read as texts, lists and mappings, and what the collector writes is private."""

from __future__ import annotations

import os
import re
import stat
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest

from collector import config
from collector.config import Settings
from collector.errors import ConfigError
from collector.store.local import local_mongod

ACCOUNT = "accounts: [{name: a, appid: wx0000000000000001, secret: 0123456789abcdef0123456789abcdef}]\n"


@contextmanager
def open_umask() -> Iterator[None]:
    """Let everybody read and write new files, unless their creator sets a mode."""
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)


TAGS = [
    "!!python/object/apply:os.system ['touch made']",
    "!!python/object/new:subprocess.Popen [['touch', made]]",
    "!!python/object/apply:eval [\"open('made', 'w')\"]",
    "!!python/name:os.system ''",
    "!!python/module:os ''",
    "!<tag:yaml.org,2002:python/object/apply:os.system> ['touch made']",
    "!include /etc/hostname",
    "!!binary bWFkZQ==",
]


def _made_of(loaded: Callable[..., Settings], text: str) -> Settings | str:
    try:
        return loaded(text)
    except ConfigError as error:
        return str(error)


def _laughs(levels: int) -> str:
    """A list of ten lists of ten lists …: ten to the power of `levels` texts in a few lines."""
    lines = [f"l{n}: &l{n} [" + ", ".join([f"*l{n - 1}"] * 10) + "]" for n in range(1, levels + 1)]
    return "\n".join(["l0: &l0 [" + ", ".join(["lol"] * 10) + "]", *lines])


def _mapping(text: str) -> str:
    """Return a list in YAML as a mapping with numbers as keys."""
    return "{" + ", ".join(f"{n}: {item}" for n, item in enumerate(text.strip("[]").split(", "))) + "}"


def _accounts_of(tags: str, count: int) -> str:
    """Return accounts that share the `tags` of the first two."""
    entry = "  - {{name: a{0}, appid: wx{0:016x}, secret: s, tags: {1}}}\n"
    return "accounts:\n" + "".join(entry.format(n, f"*t{n % 2}" if n > 1 else f"&t{n} {tags}") for n in range(count))


TOO_MANY = "the aliases (`*`) up to here stand for more than 5,000,000 letters"
LAUGHS = [
    (_laughs(9), TOO_MANY),
    (re.sub(r"\[.*?\]", lambda list_: _mapping(list_[0]), _laughs(9)), TOO_MANY),
    (_laughs(9) + "\nmerged: {<<: [{l: *l9}]}", TOO_MANY),
    (_accounts_of("[" + "x," * 20_000 + "]", 2_000), TOO_MANY),
    ("a: &a " + "x" * 100_000 + "\nb: [" + "*a," * 20_000 + "]", TOO_MANY),
    ("a: " + "[" * 200_000, "nesting"),
    ("a: " + "{a: " * 200_000, "nesting"),
]


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def _modes(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): _mode(path) for path in folder.rglob("*")}


@pytest.mark.parametrize("tagged", TAGS)
def test_yaml_tag_makes_nothing(
    tagged: str, loaded: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plain = tagged.partition(" ")[2]
    text = "accounts: [{{name: a, appid: wx0000000000000001, secret: s, tags: {0}}}]"
    if plain.startswith("["):
        with_tag, without = text.format(tagged), text.format(plain)
    else:
        with_tag, without = text.format(f"[{tagged}]"), text.format(f"[{plain}]")
    assert _made_of(loaded, with_tag) == _made_of(loaded, without)
    assert not Path("made").exists()


@pytest.mark.parametrize(
    ("text", "message"), LAUGHS, ids=["lists", "maps", "merged", "many", "long", "deep", "deep maps"]
)
def test_small_file_stays_small(text: str, message: str, loaded: Callable[..., Settings]) -> None:
    """Aliases and nesting can't make a large configuration of a small file."""
    tracemalloc.start()
    try:
        with pytest.raises(ConfigError) as failed:
            loaded(text)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert message in str(failed.value)
    assert peak < 50 * 2**20


def test_limit_of_all_aliases(loaded: Callable[..., Settings]) -> None:
    text = "a: &a [" + "x" * 999_900 + "]\nb: [" + "*a, " * 5
    assert TOO_MANY not in str(_made_of(loaded, text + "]"))
    assert TOO_MANY in str(_made_of(loaded, text + "*a]"))


def test_alias_shared_by_ten_thousand_accounts(loaded: Callable[..., Settings]) -> None:
    accounts = loaded(_accounts_of("[retail, food, services, north, flagship]", 10_000)).accounts
    assert {len(account.tags) for account in accounts} == {5}


def test_generated_configuration_is_private(tmp_path: Path) -> None:
    sheet = tmp_path / "clients.csv"
    sheet.write_text("name,appid,secret\na,wx0000000000000001,s\n")
    made = tmp_path / "made"
    made.mkdir()
    with open_umask():
        config.generate(made / "accounts.yaml")
        into = made / "agency" / "clients" / "accounts.d"
        config.sheet.write(config.sheet.compared(sheet, into, None, date(2026, 11, 24), update=False))
    assert _modes(made) == {
        "accounts.yaml": 0o600,
        "agency": 0o700,
        "agency/clients": 0o700,
        "agency/clients/accounts.d": 0o700,
        "agency/clients/accounts.d/wx0000000000000001.yaml": 0o600,
    }


async def test_local_database_is_private(tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.mkdir()
    with open_umask():
        async with local_mongod(made / "share" / "collector") as uri:
            socket = Path(uri.removeprefix("mongodb://").replace("%2F", "/"))
            modes = _modes(made) | {"socket": _mode(socket), "folder": _mode(socket.parent)}
    home = "share/collector/mongod"
    folders = {"share", "share/collector", home, f"{home}/db", f"{home}/db/journal", "folder"}
    assert {f"{home}/{name}" for name in ("users.lock", "turn.lock", "socket", "mongod.log")} <= modes.keys()
    assert modes == {name: 0o700 if name in folders else 0o600 for name in modes}


@pytest.mark.parametrize(("mode", "is_told"), [(0o602, True), (0o642, True), (0o620, False), (0o600, False)])
def test_world_writable_configuration(
    mode: int, is_told: bool, loaded: Callable[..., Settings], tmp_path: Path
) -> None:
    path = tmp_path / "accounts.yaml"
    advice = f"{path}: everybody can change this file, and with it what the collector runs; run chmod o-w {path}"
    assert loaded(ACCOUNT, mode=mode).warnings == ((advice,) if is_told else ())
