"""The docs are true: configurations run as written, messages are those of the program, links and commands exist."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer.main
from support import FakeClock

from collector import config
from collector.cli.app import app
from collector.commands.check import check
from collector.config import Selection
from collector.console.check import as_text
from collector.errors import CollectorError
from collector.model.checks import AccountCheck, Checks, Verdict
from collector.model.daily import Daily, Source
from collector.model.exported import Per
from collector.model.results import Outcome
from collector.report.export.parquet_file import parquet_writer
from collector.report.export.rows import TABLES, Subject
from collector.sandbox import Faults, Sandbox, TokenServerFault, World
from collector.secrets import commands
from collector.store.database import Database
from collector.store.schema import USER_DAILY, VALIDATOR

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
TRIED = [*sorted(DOCS.glob("sources/*.md")), DOCS / "secrets.md", DOCS / "routes.md", DOCS / "configuration.md"]
"""The pages that show a configuration for the sandbox, and what is to be done before `collector check`."""

CLI: Any = typer.main.get_command(app)
DEFAULTS = {option.name: option.default for option in CLI.commands["sandbox"].params}
WORLD = World(seed=DEFAULTS["seed"], size=DEFAULTS["accounts"])
ACME = WORLD.accounts[0].appid
PLATFORM = WORLD.component.appid
READERS_DATABASE = "local, /home/ops/.local/share/collector"
ADDRESS = f"127.0.0.1:{DEFAULTS['port']}"


class Block(NamedTuple):
    language: str
    text: str


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def _blocks(page: Path) -> list[Block]:
    found = re.findall(r"^ *```(\w+)\n(.*?)^ *```$", page.read_text(), re.MULTILINE | re.DOTALL)
    return [Block(language, textwrap.dedent(text)) for language, text in found]


def _is_configuration(block: Block) -> bool:
    return block.language == "yaml" and ADDRESS in block.text


def _without_asking(script: str) -> str:
    """The script but for the commands that ask the sandbox, or are it."""
    return "".join(line for line in script.splitlines(True) if not re.match(r"collector (?!config )", line))


@dataclass
class Reader:
    """Somebody who does what a page says, in a folder of their own, against a sandbox."""

    folder: Path
    sandbox: Sandbox
    monkeypatch: pytest.MonkeyPatch
    mongo: Path

    async def runs(self, script: str) -> None:
        """Run a script as a shell would; what it exports stays."""
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        process = await asyncio.create_subprocess_exec(
            *("bash", "-euc", f"exec 3>&1 >&2\n{self._here(script)}\nenv -0 >&3"),
            cwd=self.folder,
            env={**os.environ, "PATH": path},
            stdout=asyncio.subprocess.PIPE,
        )
        environ, _ = await process.communicate()
        assert process.returncode == 0, script
        self._exports(environ.decode().split("\0"))

    async def reads(self, page: Path, nth: int) -> None:
        """Do all that the page says, up to the end of its `nth` configuration."""
        seen = -1
        for block in _blocks(page):
            seen += _is_configuration(block)
            if seen > nth:
                return
            if _is_configuration(block):
                (self.folder / "accounts.yaml").write_text(self._here(block.text))
            elif block.language == "sh":
                await self.runs(_without_asking(block.text))

    async def checks(self, clock: FakeClock) -> Checks:
        """Return the result of `collector check`."""
        settings = config.load([Path("accounts.yaml"), self.mongo], os.environ, clock.now())
        return await check(settings, Selection((), ()), clock=clock)

    def _exports(self, pairs: list[str]) -> None:
        after = dict(pair.split("=", 1) for pair in pairs if pair)
        for name in os.environ.keys() - after.keys():
            self.monkeypatch.delenv(name)
        for name, value in after.items():
            self.monkeypatch.setenv(name, value)

    def _here(self, text: str) -> str:
        return text.replace(ADDRESS, f"127.0.0.1:{self.sandbox.port}")


@pytest.fixture
def reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mongod: str, database: Database, clock: FakeClock
) -> Callable[..., Reader]:
    mongo = tmp_path / "mongo.yaml"
    mongo.touch(mode=0o600)
    mongo.write_text(f'mongodb: {{uri: "{mongod}", database: {database.name}}}')

    def start(sandbox: Sandbox, name: str = "reader") -> Reader:
        folder = tmp_path / name
        folder.mkdir()
        monkeypatch.chdir(folder)
        return Reader(folder, sandbox, monkeypatch, mongo)

    return start


CONFIGURATIONS = [
    pytest.param(page, nth, id=f"{_name(page)} {nth}")
    for page in TRIED
    for nth in range(sum(map(_is_configuration, _blocks(page))))
]


@pytest.mark.parametrize("page", TRIED, ids=_name)
def test_page_has_a_configuration(page: Path) -> None:
    assert any(map(_is_configuration, _blocks(page)))


@pytest.mark.parametrize(("page", "nth"), CONFIGURATIONS)
async def test_configuration_runs_as_written(
    page: Path, nth: int, reader: Callable[..., Reader], clock: FakeClock
) -> None:
    async with Sandbox(WORLD, clock=clock.now) as sandbox:
        someone = reader(sandbox)
        await someone.reads(page, nth)
        found = await someone.checks(clock)
    assert found.accounts
    assert [each for each in found.accounts if not _is_ok(each)] == []
    assert found.result.exit == 0
    found = replace(found, result=replace(found.result, database=READERS_DATABASE))
    words = as_text(found).replace(sandbox.url, f"http://{ADDRESS}").split()
    shown = _shown(page, nth).split()
    assert words[len(words) - len(shown) :] == shown


def _shown(page: Path, nth: int) -> str:
    """Return the output of `collector check` that a page shows: all of it, or its end."""
    seen, shown = -1, ""
    for block in _blocks(page):
        seen += _is_configuration(block)
        if seen == nth and block.language == "text":
            shown += re.sub(r"^(\$ |\d{4}-\d\d-\d\d \d\d:).*\n", "", block.text, flags=re.MULTILINE)
    return shown


def _is_ok(each: AccountCheck) -> bool:
    return (each.outcome, each.token, each.late) == (Outcome.OK, Verdict.OK, False)


@dataclass(frozen=True)
class Trouble:
    """Faults of a page's `nth` configuration: in the sandbox, or by a `change` that is made before."""

    faults: Faults = field(default_factory=Faults)
    change: str = ""
    happens: Callable[[Sandbox], None] = lambda _: None
    nth: int = 0


def _accounts_answer(errcode: int) -> Trouble:
    return Trouble(Faults(broken={ACME: errcode}))


def _server_is(fault: TokenServerFault, appid: str = ACME) -> Trouble:
    return Trouble(Faults(token_server={appid: fault}))


def _command_does(script: str, *changes: str) -> Trouble:
    return Trouble(change="\n".join((f"printf '#!/bin/sh\\n{script}\\n' > get-token", *changes)))


IP_REFUSED = Trouble(Faults(refused_ips={ACME: ["203.0.113.7"]}))
WITHOUT_VARIABLE = Trouble(change="unset ACME_SECRET")
TROUBLES = {
    "stable": [
        *map(_accounts_answer, (40125, 40013, 40243)),
        IP_REFUSED,
        WITHOUT_VARIABLE,
        Trouble(Faults(token_stuck=1)),
    ],
    "classic": [Trouble(Faults(token_revoked=1))],
    "url": [
        *map(_server_is, set(TokenServerFault) - {TokenServerFault.LATE}),
        Trouble(change="export TOKENS_KEY=wrong"),
        Trouble(change="sed -i s,/plain,, accounts.yaml"),
    ],
    "command": [
        *map(_server_is, (TokenServerFault.WRONG_PATH, TokenServerFault.STUCK)),
        Trouble(change="rm get-token"),
        Trouble(change="export TOKENS_KEY=wrong"),
        _command_does("exec sleep 60"),
        _command_does(""),
        _command_does("echo the token", "sed -i '/json:/d' accounts.yaml"),
    ],
    "component": [
        *map(_accounts_answer, (61003, 61007, 61023)),
        Trouble(happens=lambda sandbox: sandbox.withdraw(ACME)),
        _server_is(TokenServerFault.STUCK, PLATFORM),
        Trouble(Faults(stale_ticket=True), nth=2),
        Trouble(Faults(refused_ips={PLATFORM: ["203.0.113.7"]})),
        Trouble(Faults(list_ends_at=10), nth=1),
    ],
    "secrets": [
        WITHOUT_VARIABLE,
        Trouble(change="chmod o+r secrets/globex-tea"),
        Trouble(change="rm secrets/globex-tea vault/initech; unset CREDENTIALS_DIRECTORY"),
        Trouble(change=": > secrets/globex-tea"),
    ],
    "routes": [
        IP_REFUSED,
        Trouble(change="sed -i 's,@127.0.0.1:[0-9]*,@127.0.0.1:9,' accounts.yaml"),
        Trouble(change="sed -i '/proxy:/d; s,    hosts: .*,    hosts: [http://127.0.0.1:9],' accounts.yaml"),
    ],
}


def _messages(page: Path) -> list[str]:
    """The messages under "What goes wrong": what stands in a code span in the first cell of a row."""
    _, _, section = page.read_text().partition("\n## What goes wrong\n")
    rows = re.findall(r"^\| (?:`` ?(.+?) ?``|`(.+?)`)[^`|]* \|", section, re.MULTILINE)
    return [quoted or plain for quoted, plain in rows]


@pytest.mark.parametrize("page", [page for page in TRIED if _messages(page)], ids=_name)
async def test_messages_of_a_page_are_real(
    page: Path, reader: Callable[..., Reader], clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    command_s = commands.COMMAND_S
    monkeypatch.setattr(commands, "COMMAND_S", 2.0)
    said = ""
    for number, trouble in enumerate(TROUBLES[page.stem]):
        async with Sandbox(WORLD, faults=trouble.faults, clock=clock.now) as sandbox:
            someone = reader(sandbox, f"reader {number}")
            await someone.reads(page, trouble.nth)
            await someone.runs(trouble.change)
            trouble.happens(sandbox)
            text = await _said(someone, clock)
        text = text.replace(f"127.0.0.1:{sandbox.port}", ADDRESS).replace(str(someone.folder), "/srv")
        said += text.replace(f"longer than {commands.COMMAND_S} s", f"longer than {command_s} s")
    assert [message for message in _messages(page) if message not in said] == []


async def _said(someone: Reader, clock: FakeClock) -> str:
    try:
        return as_text(await someone.checks(clock))
    except CollectorError as error:
        return str(error)


FRAGMENTS = [
    pytest.param(block.text, id=f"{_name(page)} {nth}")
    for page in PAGES
    for nth, block in enumerate(_blocks(page))
    if block.language == "yaml" and not _is_configuration(block)
]


@pytest.mark.parametrize("text", FRAGMENTS)
def test_partial_configuration_is_valid(text: str, tmp_path: Path, clock: FakeClock) -> None:
    whole, part = tmp_path / "whole.yaml", tmp_path / "part.yaml"
    whole.write_text(
        "components: [{name: agency, appid: wx00000000000000c0, access_token: {command: [get-token]}, discover: true}]"
    )
    part.write_text(text)
    settings = config.load([whole, part], {"MONGODB_URI": "mongodb://db.example"}, clock.now())
    assert settings != config.load([whole], {}, clock.now())


async def test_collmod_sets_the_validator(database: Database) -> None:
    """The command for a validator that differs sets this version's."""
    await database.create_collection(USER_DAILY, validator={"account": {"$exists": True}})
    (line,) = (block.text for block in _blocks(DOCS / "mongodb.md") if "collMod" in block.text)
    await database.command(json.loads(line.strip().removeprefix("db.runCommand(").removesuffix(")")))
    assert (await database[USER_DAILY].options())["validator"] == VALIDATOR


async def test_total_of_a_common_day(database: Database) -> None:
    """The query takes the day before yesterday, as one account is late, and names one that lacks it."""
    days = {"late": 22, "punctual": 23, "failing": 18}
    await database[USER_DAILY].insert_many(
        {"account": name, "name": name, "ref_date": f"2026-11-{day}", "cumulate_user": day, "new_user": 1}
        for name, last in days.items()
        for day in range(10, last + 1)
    )
    await database[USER_DAILY].insert_one({"account": "silent", "name": "silent", "ref_date": "2026-11-22"})
    (block,) = (block.text for block in _blocks(DOCS / "mongodb.md") if "$setDifference" in block.text)
    (query,) = re.findall(r"^db\.user_daily\.aggregate\((\[\n.*?\n\])\)$", block, re.MULTILINE | re.DOTALL)
    stages = json.loads(re.sub(r"([$\w]+):", r'"\1":', query))
    assert await database[USER_DAILY].aggregate(stages).to_list(None) == [
        {"ref_date": "2026-11-22", "followers": 44, "accounts": 2, "lacking": ["failing"]}
    ]


def test_sql_over_exported_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each statement of the page runs, and the month's figures are right."""
    monkeypatch.chdir(tmp_path)
    duckdb = pytest.importorskip("duckdb")
    subject = Subject("wx1", "acme-shoes", ("retail", "华东"))
    sources = (Source(30, 15, 1), Source(11, 5, 4))
    stored = [Daily(date(2026, 11, 22), 20, 5, 1000, sources), Daily(date(2026, 11, 23), None, None, 1015)]
    for per, file in ((Per.DAY, "figures.parquet"), (Per.SOURCE, "sources.parquet")):
        table = TABLES[per]
        with Path(file).open("wb") as opened, parquet_writer(opened, table.columns) as write:
            write([row for day in stored for row in table.rows(subject, day)])
    statements = [
        text for block in _blocks(DOCS / "bi.md") if block.language == "sql" for text in block.text.split(";")
    ]
    results = [found.fetchall() for text in statements[:3] if (found := duckdb.sql(text))]
    november, weeks = datetime(2026, 11, 1), (datetime(2026, 11, 16), datetime(2026, 11, 23))  # noqa: DTZ001 - DuckDB's
    assert results == [
        [("acme-shoes", 20, 5, 1, 0.005)],
        [(tag, *week) for tag in subject.tags for week in zip(weeks, (15, None), strict=True)],
        [(november, "扫描二维码", 15), (november, "11", 5)],
    ]
    for text in statements[3:]:
        duckdb.sql(text)
    assert [path.name for path in Path("figures").iterdir()] == ["month=2026-11"]
    assert duckdb.sql("SELECT count(*) FROM figures").fetchall() == [(2,)]


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page: Path) -> None:
    assert [link for link in _links(page) if not _leads_somewhere(page, link)] == []


def test_every_page_is_reachable_from_the_readme() -> None:
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page.suffix == ".md" and page not in reached:
            reached.add(page)
            waiting += [(page.parent / link.partition("#")[0]).resolve() for link in _links(page) if link[0] != "#"]
    assert set(PAGES) <= reached


def _links(page: Path) -> list[str]:
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text())
    return [link for link in links if not link.startswith("https://")]


def _leads_somewhere(page: Path, link: str) -> bool:
    path, _, heading = link.partition("#")
    target = page.parent / path if path else page
    return target.exists() and (not heading or heading in _anchors(target))


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


COMMANDS = [*PAGES, *sorted((ROOT / "deploy").iterdir())]


@pytest.mark.parametrize("page", COMMANDS, ids=_name)
def test_commands_and_options_exist(page: Path) -> None:
    assert [line for line in _command_lines(page) if not _is_command(line)] == []


def test_all_commands_are_documented() -> None:
    shown = {_words(line)[0] for page in COMMANDS for line in _command_lines(page)}
    assert {word for word in shown if not word.startswith("-")} == CLI.commands.keys() - {"demo"}  # that is `make demo`


def _command_lines(page: Path) -> Iterator[str]:
    """Return the arguments of `collector` in each line of a script and in each code span, up to the command's end."""
    text = page.read_text()
    scripts = [block.text for block in _blocks(page) if block.language in ("sh", "text")]
    lines = [line for script in scripts for line in script.splitlines()] if page.suffix == ".md" else text.splitlines()
    spans = re.findall(r"`([^`\n]+)`", text)
    for place in (*lines, *spans):
        if match := re.match(r"(?:\$ |ExecStart=|.* -- |.* exec )?(?:/\S+/)?collector ([a-z-].*)", place):
            yield re.split(r" *[#|>;&`]", match[1])[0]


def _words(line: str) -> list[str]:
    return [word for word in shlex.split(line) if word != "…"]


def _is_command(line: str) -> bool:
    command = CLI
    for word in _words(line):
        if word.startswith("-") and word != "-":  # which stands for stdout
            known = {name for option in command.params for name in option.opts} | {"--help"}
            if word.partition("=")[0] not in known:
                return False
        elif hasattr(command, "commands"):
            if word not in command.commands:
                return False
            command = command.commands[word]
    return True


def test_architecture_names_each_file() -> None:
    """Of each room whose files it lists, all; and no other."""
    rooms = re.findall(r"^\| \d \| `(\w+/|errors\.py)`(.*)$", (DOCS / "architecture.md").read_text(), re.MULTILINE)
    assert len(rooms) == len([*(ROOT / "collector").glob("*/__init__.py")]) + 1
    for room, row in rooms:
        folder = ROOT / "collector" / (room if room.endswith("/") else "")
        there = {file.name for file in folder.glob("[!_]*.py")}
        named = set(re.findall(r"`([a-z]\w+\.py)`", room.join("``") + row))
        assert named in (there, set()), room


def test_each_promise_names_an_existing_test() -> None:
    named = set(re.findall(r"\btest_\w+(?![\w.])", (DOCS / "reliability.md").read_text()))
    there = {name for file in ROOT.glob("tests/**/*.py") for name in re.findall(r"def (test_\w+)", file.read_text())}
    files = {file.stem for file in ROOT.glob("tests/**/test_*.py")}
    assert named - there - files == set()
    assert len(named & there) > 50
