"""`report` as a user meets it: what it prints, its exit codes, and what it leaves where it fails."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from command import Ended, collector, write_configuration
from mongods import fill, small_disk

from collector.errors import UsageError
from collector.model.days import beijing_day
from collector.report import templates
from collector.report.charts import vega
from collector.store.database import Database
from collector.store.schema import USER_DAILY

SHOES = "wx0000000000000001"
NO_SUFFIX = "has none of the suffixes of a report: name a file that ends with .html, .xlsx or .png, or a folder"


@pytest.fixture
async def folder(tmp_path: Path, mongod: str, database: Database) -> Path:
    """A folder with the configuration of two accounts, of which the last 70 days and nothing are stored."""
    today = beijing_day(datetime.now(UTC))
    await database[USER_DAILY].insert_many(
        {
            "account": SHOES,
            "ref_date": str(today - timedelta(age)),
            "name": "鞋店",
            "new_user": 3,
            "cancel_user": 1,
            "net_user": 2,
            "cumulate_user": 1_000 - 2 * age,
            "sources": [],
        }
        for age in range(70)
    )
    write_configuration(
        tmp_path,
        mongod,
        database,
        f"name: 鞋店, appid: {SHOES}, tags: [retail]",
        "name: tea, appid: wx0000000000000002, tags: [food]",
    )
    return tmp_path


def _title(path: Path) -> str:
    return path.read_text(encoding="utf-8").partition("<h1>")[2].partition("</h1>")[0]


def _files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_page(folder: Path, database: Database) -> None:
    """It says what it wrote, in one line or as JSON."""
    ended = await collector("report", "out.html", "--account", "鞋店", "--period", "7", cwd=folder)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("out.html: 1 account, 20")
    assert f"Database: {database.name} on " in ended.out
    assert _title(folder / "out.html") == "鞋店"
    found = (await collector("report", "out.html", "--json", "--account", "鞋店", cwd=folder)).json
    assert (found["file"], found["accounts"]["total"], found["accounts"]["complete"]) == ("out.html", 1, 1)
    assert found["period"] == found["begin"][:7]
    assert found["data_until"] == found["end"]


@pytest.mark.parametrize("out", ["out.xlsx", "out/"])
async def test_part_of_the_configuration_cant_be_read(folder: Path, out: str) -> None:
    """The rest is reported on; exit 3 and a sentence say that accounts may be missing, unless all wanted are named."""
    with (folder / "accounts.yaml").open("a") as file:
        file.write("- {name: who}\n")
    ended = await collector("report", out, "--period", "7", cwd=folder)
    assert (ended.code, "1 entry of the configuration can't be read" in ended.out) == (3, True)
    ended = await collector(
        "report", out, "--period", "7", "--account", "tea", "--account", "鞋店", "--json", cwd=folder
    )
    assert (ended.code, ended.json["unread_entries"]) == (0, 0)


@pytest.mark.parametrize(
    ("options", "environ", "lang"),
    [
        ((), {"LANG": "C", "LC_ALL": ""}, "zh-CN"),
        (("--lang", "en"), {"COLLECTOR_LANG": "zh"}, "en"),
    ],
)
async def test_language(folder: Path, options: tuple[str, ...], environ: dict[str, str], lang: str) -> None:
    ended = await collector("report", "out.html", "--period", "7", *options, cwd=folder, **environ)
    assert ended.code == 0
    assert f'<html lang="{lang}">' in (folder / "out.html").read_text(encoding="utf-8")


async def test_language_of_the_configuration(folder: Path) -> None:
    """It comes before the locale."""
    file = folder / "accounts.yaml"
    file.write_text(f"language: en\n{file.read_text()}")
    await collector("report", "out.html", "--period", "7", cwd=folder, LC_ALL="zh_CN.UTF-8", COLLECTOR_LANG="")
    assert '<html lang="en">' in (folder / "out.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "environ", "words"),
    [
        (("out.docx",), {}, f"out.docx {NO_SUFFIX} with a slash at its end for a site, such as site/"),
        (("-",), {}, f"- {NO_SUFFIX}"),
        ((".html",), {}, f".html {NO_SUFFIX}"),
        (("out.html", "--period", "2026-13"), {}, "--period: '2026-13' is not a period: use week, month, "),
        (("out.html", "--period", "2999-01"), {}, "no day of 2999-01 is published yet: the newest published day is "),
        (
            ("out.html", "--tag", "retial"),
            {},
            "has the tag 'retial' (did you mean retail?)",
        ),
        (("out.html", "--lang", "de"), {}, "Invalid value for '--lang': 'de' is none of the choices: write zh or en\n"),
        (("out.html",), {"COLLECTOR_LANG": "de"}, "$COLLECTOR_LANG is 'de', which is no language of reports"),
    ],
)
async def test_wrong_call(folder: Path, options: tuple[str, ...], environ: dict[str, str], words: str) -> None:
    """Exit 2 in plain words, and nothing is written."""
    ended = await collector("report", *options, cwd=folder, **environ)
    assert (ended.code, ended.out) == (2, "")
    assert words in ended.err
    assert _files(folder) == ["accounts.yaml"]


async def test_no_figures(folder: Path) -> None:
    """Without any figure of the period the page that is there stays."""
    (folder / "out.html").write_text("old")
    for options in (("--account", "tea"), ("--period", "2020-01")):
        ended = await collector("report", "out.html", *options, cwd=folder)
        assert (ended.code, ended.out) == (1, "")
        assert "nothing is stored for these accounts in 20" in ended.err
    assert (folder / "out.html").read_text() == "old"


async def test_file_that_cannot_be_written(folder: Path) -> None:
    ended = await collector("report", "none/out.html", "--period", "7", cwd=folder)
    assert (ended.code, ended.err) == (1, "collector: could not write none/out.html: No such file or directory\n")


async def test_full_disk(folder: Path) -> None:
    """The page that is there stays, and nothing is left beside it."""
    disk = folder / "disk"
    with small_disk(disk):
        (disk / "out.html").write_text("old")
        fill(disk / "ballast")
        ended: Ended = await collector("report", "disk/out.html", "--period", "7", cwd=folder)
        assert (ended.code, ended.err) == (1, "collector: could not write disk/out.html: No space left on device\n")
        assert _files(disk) == ["ballast", "out.html"]
        assert (disk / "out.html").read_text() == "old"


@pytest.mark.parametrize(("name", "begin"), [("out.xlsx", b"PK\x03\x04"), ("OUT.PNG", b"\x89PNG")])
async def test_workbook_and_picture(folder: Path, name: str, begin: bytes) -> None:
    """The suffix says what is written."""
    ended = await collector("report", name, "--account", "鞋店", "--period", "7", cwd=folder)
    assert (ended.code, ended.err, ended.out.startswith(f"{name}: 1 account, 20")) == (0, "", True)
    assert (folder / name).read_bytes().startswith(begin)
    assert _files(folder) == sorted(["accounts.yaml", name])


@pytest.mark.parametrize("name", ["out.xlsx", "out.png"])
async def test_full_disk_for_a_workbook_or_picture(folder: Path, name: str) -> None:
    disk = folder / "disk"
    with small_disk(disk):
        (disk / name).write_text("old")
        fill(disk / "ballast")
        ended = await collector("report", f"disk/{name}", "--period", "7", cwd=folder)
        assert (ended.code, ended.err) == (1, f"collector: could not write disk/{name}: No space left on device\n")
        assert _files(disk) == sorted(["ballast", name])
        assert (disk / name).read_text() == "old"


async def test_folder_of_fonts_that_is_not_there(folder: Path) -> None:
    ended = await collector("report", "out.png", "--font-dir", "none", cwd=folder)
    assert (ended.code, ended.err) == (2, "collector: --font-dir: there is no folder none\n")


async def test_tags_in_the_title(folder: Path) -> None:
    await collector("report", "out.html", "--period", "7", "--tag", "retail", "--tag", "food", cwd=folder)
    assert _title(folder / "out.html") == "retail、food"


@pytest.mark.parametrize("library", ["jinja2", "vl_convert"])
def test_missing_extra(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    """The line that installs it is named."""
    monkeypatch.setitem(sys.modules, library, None)
    templates._environment.cache_clear()
    vega.javascript_bundle.cache_clear()
    with pytest.raises(UsageError, match=r"needs the extra `report`: .*pip install .*\[report\]"):
        templates.template("page/page.html.j2") if library == "jinja2" else vega.javascript_bundle()


async def test_site(folder: Path) -> None:
    """A folder becomes a site of the last 30 days; the second time, there is nothing to write but the index."""
    ended = await collector("report", "site/", cwd=folder)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("site/: 2 accounts (1 pending), 20")
    assert " Files: 14 written, 0 unchanged. Database: " in ended.out
    found = (await collector("report", "site", "--json", "--tag", "retail", cwd=folder)).json
    assert found["files"] == {"written": 2, "kept": 8, "removed": 4}
    assert _title(folder / "site" / "index.html") == "鞋店"


async def test_name_without_a_suffix(folder: Path) -> None:
    """It is a site, too; one with another suffix only where its folder is there."""
    assert (await collector("report", "all", cwd=folder)).code == 0
    (folder / "agency.example").mkdir()
    assert (await collector("report", "agency.example", cwd=folder)).code == 0
    assert {(folder / name / "index.html").exists() for name in ("all", "agency.example")} == {True}


async def test_folder_that_is_no_site(folder: Path) -> None:
    ended = await collector("report", "./", cwd=folder)
    assert (ended.code, ended.out) == (2, "")
    assert "has other files in it: name a new or empty folder for the site" in ended.err
    assert _files(folder) == ["accounts.yaml"]
