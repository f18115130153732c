"""`export` as a user meets it: what it prints, its exit codes, and how it is stopped."""

from __future__ import annotations

import asyncio
import csv
import io
import os
import signal
import sys
from datetime import date, timedelta
from pathlib import Path

import openpyxl
import pytest
from command import Ended, collector, ended_of, started, write_configuration
from pyarrow import parquet

from collector.cli.report_commands import _days
from collector.errors import UsageError
from collector.model.days import FIRST_DAY, Window
from collector.store.database import Database
from collector.store.schema import USER_DAILY

SHOES = "wx0000000000000001"
MANY = 20_000
"""Documents whose export takes some seconds and more than fits into a pipe."""

NO_SUFFIX = "has none of the suffixes of an export: name a file that ends with .csv, .parquet or .xlsx"


@pytest.fixture
async def folder(tmp_path: Path, mongod: str, database: Database) -> Path:
    """A folder with the configuration of an account, of which three days are stored."""
    await _store(database, SHOES, date(2026, 11, 1), 3)
    write_configuration(tmp_path, mongod, database, f"name: '服务号', appid: {SHOES}, tags: [retail]")
    return tmp_path


async def _store(database: Database, account: str, first: date, days: int) -> None:
    await database[USER_DAILY].insert_many(
        {"account": account, "ref_date": str(first + timedelta(days=day)), "cumulate_user": day} for day in range(days)
    )


@pytest.fixture
async def agency(folder: Path, database: Database) -> Path:
    """The same with many more documents, of accounts of one file more."""
    appids = [f"wx{number:016x}" for number in range(16, 16 + MANY // 1_000)]
    entries = (f"- {{name: {appid}, appid: {appid}, secret: 0123456789abcdef0123456789abcdef}}\n" for appid in appids)
    (folder / "more.yaml").touch(mode=0o600)
    (folder / "more.yaml").write_text(f"accounts:\n{''.join(entries)}")
    for appid in appids:
        await _store(database, appid, date(2024, 1, 1), 1_000)
    return folder


async def test_file(folder: Path, database: Database) -> None:
    """It says what it wrote, in one line or as JSON."""
    ended = await collector("export", "out.csv", cwd=folder)
    line = "out.csv: 3 rows (1 account, 3 days, 2026-11-01..2026-11-03). Database: "
    assert (ended.code, ended.out.startswith(f"{line}{database.name} on "), ended.err) == (0, True, "")
    text = (folder / "out.csv").read_bytes()
    assert text.startswith("\ufeffaccount,name,".encode())
    assert [line[3] for line in csv.reader(text.decode().splitlines())][1:] == [
        "2026-11-01",
        "2026-11-02",
        "2026-11-03",
    ]
    ended = await collector("export", "OUT.XLSX", "--json", "--since", "2026-11-02", "--tag", "retail", cwd=folder)
    assert ended.code == 0
    assert ended.json | {"database": ""} == {
        "file": "OUT.XLSX",
        "format": "xlsx",
        "per": "day",
        "rows": 2,
        "accounts": 1,
        "days": 2,
        "begin": "2026-11-02",
        "end": "2026-11-03",
        "damaged_documents": 0,
        "unread_entries": 0,
        "database": "",
    }
    assert openpyxl.load_workbook(folder / "OUT.XLSX").active.max_row == 3


def test_days_that_can_be_stored() -> None:
    """Only those are looked for: three million would take half a GB."""
    newest = date(2026, 11, 23)
    assert _days(date.min, date.max, newest) == _days(None, None, newest) == Window(FIRST_DAY, newest)
    with pytest.raises(UsageError, match="from 2014-12-01 to 2014-11-30: WeChat has the days 2014-12-01 to 2026-11-23"):
        _days(None, date(2014, 11, 30), newest)
    with pytest.raises(UsageError, match="from 2026-11-24 to 2026-11-30: WeChat has the days 2014-12-01 to 2026-11-23"):
        _days(date(2026, 11, 24), date(2026, 11, 30), newest)


async def test_name_that_isnt_utf8(folder: Path) -> None:
    ended = await collector("export", "\udcff.csv", "--json", cwd=folder)
    assert (ended.code, ended.json["file"]) == (0, "\\udcff.csv")


async def test_stdout(folder: Path) -> None:
    """The rows alone, in each form."""
    ended = await collector("export", "-", "--format", "csv", "--no-bom", "--until", "2026-11-01", cwd=folder)
    row = f"{SHOES},服务号,retail,2026-11-01,,,,0"
    names = "account,name,tags,ref_date,new_user,cancel_user,net_user,cumulate_user"
    assert ended == Ended(0, f"{names}\r\n{row}\r\n", "")
    ended = await collector("export", "-", "--format", "parquet", cwd=folder, redirected="> out")
    assert (ended, parquet.read_table(folder / "out").num_rows) == (Ended(0, "", ""), 3)
    ended = await collector("export", "-", "--format", "xlsx", cwd=folder, redirected="| cat > out")
    assert ended.err == ""
    assert openpyxl.load_workbook(io.BytesIO((folder / "out").read_bytes())).active.max_row == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "out.txt",
            "out.txt has none of the suffixes of an export: name a file that ends with .csv, .parquet or .xlsx",
        ),
        ("out", "out has none of the suffixes of an export: name a file that ends with .csv, .parquet or .xlsx"),
        ("-", "stdout has no suffix: add --format csv, parquet or xlsx"),
        ("out.csv --format xlsx", "--format is for stdout alone: the suffix of a file says its form"),
        ("- --format csv --json", "stdout is for the rows: name a file to get the result of --json"),
        (
            "out.csv --since 2026-11-02 --until 2026-11-01",
            "there is no day from 2026-11-02 to 2026-11-01: name a --since that isn't after --until",
        ),
        ("out.csv --tag nobody", "none of the accounts has the tag 'nobody'"),
    ],
)
async def test_called_wrongly(folder: Path, arguments: str, message: str) -> None:
    before = [*folder.iterdir()]  # noqa: ASYNC240 - it is small
    assert await collector("export", *arguments.split(), cwd=folder) == Ended(2, "", f"collector: {message}\n")
    assert [*folder.iterdir()] == before  # noqa: ASYNC240


async def test_could_not(folder: Path) -> None:
    """Nothing is stored, or there is no folder for the file."""
    ended = await collector("export", "out.csv", "--until", "2020-01-01", cwd=folder)
    what = "nothing is stored for these accounts and days (2014-12-01..2020-01-01): nothing was written"
    assert ended == Ended(1, "", f"collector: {what}\n")
    ended = await collector("export", "none/out.csv", cwd=folder)
    assert ended == Ended(1, "", "collector: could not write none/out.csv: No such file or directory\n")


async def test_part_of_the_configuration_cant_be_read(folder: Path) -> None:
    """The rest is written; exit 3 and a sentence say that accounts may be missing."""
    with (folder / "accounts.yaml").open("a") as file:
        file.write("- {name: who}\n")
    ended = await collector("export", "out.csv", cwd=folder)
    assert (ended.code, "1 entry of the configuration can't be read" in ended.out) == (3, True)
    ended = await collector("export", "-", "--format", "csv", cwd=folder)
    assert (ended.code, "1 entry of the configuration can't be read" in ended.err) == (3, True)
    assert ended.out.count("\n") == 4


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /dev/full")
@pytest.mark.parametrize("form", ["csv", "parquet", "xlsx"])
async def test_stdout_to_a_full_disk(folder: Path, form: str) -> None:
    ended = await collector("export", "-", "--format", form, cwd=folder, redirected=">/dev/full")
    assert ended == Ended(1, "", "collector: could not print the result: No space left on device\n")


async def test_reader_that_leaves_early(agency: Path) -> None:
    """It ends the export, and is no error."""
    files = ("-c", "accounts.yaml", "-c", "more.yaml")
    process = await started("export", "-", "--format", "csv", *files, cwd=agency)
    assert process.stdout
    await process.stdout.readline()
    process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined] # nobody else can
    ended = await ended_of(process)
    assert (ended.code, ended.err) == (0, "")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_stop(agency: Path, number: signal.Signals, code: int) -> None:
    """It leaves the old file, and no other."""
    out = agency / "out"
    out.mkdir()
    (out / "out.xlsx").write_text("old")
    process = await started("export", "out/out.xlsx", "-c", "accounts.yaml", "-c", "more.yaml", cwd=agency)
    while len([*out.iterdir()]) == 1:
        await asyncio.sleep(0.01)
        assert process.returncode is None
    process.send_signal(number)
    assert await ended_of(process) == Ended(code, "", "")
    assert [(each.name, each.read_text()) for each in out.iterdir()] == [("out.xlsx", "old")]


@pytest.mark.parametrize("module", ["pyarrow", "xlsxwriter"])
async def test_missing_extra(folder: Path, module: str) -> None:
    """It is named with the line that installs it; CSV needs none."""
    (folder / f"{module}.py").write_text(f"raise ModuleNotFoundError(name={module!r})\n")
    form = {"pyarrow": "parquet", "xlsxwriter": "xlsx"}[module]
    path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    ended = await collector("export", f"out.{form}", cwd=folder, PYTHONPATH=path)
    assert ended.code == 2
    assert "[export]" in ended.err
    assert (await collector("export", "out.csv", cwd=folder, PYTHONPATH=path)).code == 0
    assert not (folder / f"out.{form}").exists()
