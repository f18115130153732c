"""A sheet of accounts becomes configuration files."""

from __future__ import annotations

import csv
import io
import os
import resource
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from collector.config import imported, load
from collector.errors import ConfigError, Fault
from collector.model.accounts import Account, Rate

NOW = datetime(2026, 11, 24, tzinfo=UTC)
INTO = Path("accounts.d")
SHEET = (
    "name,appid,secret,tags\n"
    "acme,wx0000000000000001,s1,\n"
    '服务号　甲,wx0000000000000002,0123,"retail, food"\n'
    "no secret,wx0000000000000003,,north\n"
)
ACME = Account("acme", "wx0000000000000001", SecretStr("s1"), Rate(5, 1))
JIA = replace(ACME, name="服务号　甲", appid="wx0000000000000002", secret=SecretStr("0123"), tags=("retail", "food"))
ACCOUNTS = (ACME, JIA, replace(ACME, name="no secret", appid="wx0000000000000003", secret=None, tags=("north",)))

FORMS: list[str | bytes] = [
    SHEET,
    SHEET.replace("\n", "\r\n").encode("utf-8-sig"),
    SHEET.encode("gb18030"),
    SHEET.replace(",", ";").replace("retail;", "retail,"),
    SHEET.replace(",", "\t").replace("retail\t", "retail,"),
    "\n,,,\n" + SHEET.replace("name,appid,secret,tags", " Name , APPID,\tSecret,Tags") + "\n , ,,\n",
    SHEET.replace("tags", "tags,").replace("north", "north,,"),
    SHEET.replace("name,appid", '"name","appid"'),
    SHEET.replace("retail, food", "retail、food"),
    SHEET.replace("retail, food", " retail；food ;"),
]


@pytest.mark.parametrize("sheet", FORMS)
def test_file_for_each_row(write: Callable[..., Path], sheet: str | bytes) -> None:
    files = imported(write(sheet, "sheet.csv"), INTO)
    assert files == [INTO / f"wx000000000000000{n}.yaml" for n in (1, 2, 3)]
    main = write("include: accounts.d/*.yaml\ndefaults: {token: {url: 'http://t'}}")
    accounts = load([main], {}, NOW).accounts
    assert tuple(replace(account, token=ACME.token) for account in accounts) == ACCOUNTS


def test_columns_in_any_order(write: Callable[..., Path]) -> None:
    imported(write("secret,appid,name\ns1,wx0000000000000001,acme\n", "sheet.csv"), INTO)
    assert load([INTO / "wx0000000000000001.yaml"], {}, NOW).accounts == (ACME,)


def test_content_of_a_file(write: Callable[..., Path]) -> None:
    """One account, with all texts quoted."""
    first, *_, last = imported(write(SHEET.replace("acme", "a ${b} \\"), "sheet.csv"), INTO)
    assert first.read_text(encoding="utf-8") == (
        'accounts:\n  - name: "a $${b} \\\\"\n    appid: "wx0000000000000001"\n    secret: "s1"\n'
    )
    assert last.read_text(encoding="utf-8") == (
        'accounts:\n  - name: "no secret"\n    appid: "wx0000000000000003"\n    tags: ["north"]\n'
    )


def test_modes_of_files_and_folder(write: Callable[..., Path]) -> None:
    """Only their owner can read them."""
    before = os.umask(0)
    try:
        files = imported(write(SHEET, "sheet.csv"), Path("deep/accounts.d"))
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert Path("deep/accounts.d").stat().st_mode & 0o777 == 0o700
    assert sorted(Path("deep/accounts.d").iterdir()) == files  # nothing else is left there


def test_same_content(write: Callable[..., Path]) -> None:
    """A file with the same content is left as it is."""
    sheet = write(SHEET, "sheet.csv")
    first = imported(sheet, INTO)[0]
    first.chmod(0o400)
    before = first.stat()
    assert imported(sheet, INTO) == []
    after = first.stat()
    assert (after.st_ino, after.st_mtime_ns, after.st_mode) == (before.st_ino, before.st_mtime_ns, before.st_mode)
    assert imported(write(SHEET + "new,wx0000000000000004,s,\n", "sheet.csv"), INTO) == [
        INTO / "wx0000000000000004.yaml"
    ]


def test_other_content(write: Callable[..., Path]) -> None:
    """A file with another content is a fault, and stays."""
    other = write("mine", "accounts.d/wx0000000000000002.yaml")
    with pytest.raises(ConfigError) as caught:
        imported(write(SHEET, "sheet.csv"), INTO)
    message = "accounts.d/wx0000000000000002.yaml exists already with another content"
    assert caught.value.faults == (Fault("sheet.csv:3", message, "Remove the file or the row."),)
    assert list(INTO.iterdir()) == [other]
    assert other.read_text() == "mine"


NAME = "Write a name of up to 100 characters, such as acme-shoes."
APPID = "Write the AppID from the account's console: wx and 16 digits of 0-9 and a-f."
SECRET = (
    "Write the AppSecret from the account's console, best as a variable such as ${ACME_SECRET}, or where it is: "
    "{file: PATH}, {credential: NAME} or {command: [PROGRAM, ARGUMENT]}."
)


def taken(key: str, line: int) -> tuple[str, str]:
    remedy = f"Give each account its own `{key}`, or remove one of the two."
    return f"`{key}` is taken by the account at sheet.csv:{line}", remedy


def test_bad_rows(write: Callable[..., Path]) -> None:
    """All are reported at once, and nothing is written."""
    sheet = write(
        "name,appid,secret,tags\n"
        "good,wx0000000000000001,s,\n"
        ",wx0000000000000002,s,\n"
        "b,,s,\n"
        '"c\nd",WX0000000000000003,l3ak ed,\n'
        "e,../../x,s,\n"
        "good,wx0000000000000001,s,\n"
        "f,wx0000000000000005,s,x,y\n"
        "g\n",
        "sheet.csv",
    )
    with pytest.raises(ConfigError) as caught:
        imported(sheet, INTO)
    surplus = "Quote a cell that holds the delimiter, or remove the surplus cells."
    assert caught.value.faults == (
        Fault("sheet.csv:2", *taken("appid", 8)),
        Fault("sheet.csv:2", *taken("name", 8)),
        Fault("sheet.csv:3", "`name` is empty", NAME),
        Fault("sheet.csv:4", "`appid` is empty", APPID),
        Fault("sheet.csv:5", "`appid` isn't of the right form", APPID),
        Fault("sheet.csv:5", "`name` isn't of the right form", NAME),
        Fault("sheet.csv:5", "`secret` isn't of the right form", SECRET),
        Fault("sheet.csv:7", "`appid` isn't of the right form", APPID),
        Fault("sheet.csv:8", *taken("appid", 2)),
        Fault("sheet.csv:8", *taken("name", 2)),
        Fault("sheet.csv:9", "the row has more cells than there are columns", surplus),
        Fault("sheet.csv:10", "`appid` is empty", APPID),
    )
    assert "l3ak" not in str(caught.value)
    assert not INTO.exists()


BEGIN = "Begin with a line of names: name, appid, secret, tags."
KNOWN = "Remove it; known here: name, appid, secret, tags."

SHEETS = [
    ("", [("sheet.csv", "the sheet holds no account", "Add a line for each account below the line of names.")]),
    (
        "name,appid\n",
        [("sheet.csv", "the sheet holds no account", "Add a line for each account below the line of names.")],
    ),
    ("name,secret\na,s\n", [("sheet.csv:1", "no column is called appid", BEGIN)]),
    ("name,appid,secert\n", [("sheet.csv:1", "column 3 isn't known here", "Write secret.")]),
    ("name;appid;notes\n", [("sheet.csv:1", "column 3 isn't known here", KNOWN)]),
    ("name,appid,Name\n", [("sheet.csv:1", "column 3 repeats the column name", "Keep one of the two.")]),
    (
        "\nglobex,wx0000000000000001,l3ak\n",
        [
            *(("sheet.csv:2", f"column {place} isn't known here", KNOWN) for place in (1, 2, 3)),
            *(("sheet.csv:2", f"no column is called {column}", BEGIN) for column in ("name", "appid")),
        ],
    ),
    (
        'name,appid\na,"wx0000000000000001\n',
        [("sheet.csv:2", "the quotes don't match", 'Write " as "" within a quoted cell.')],
    ),
    (
        'name,appid\n\n"a"b,wx0000000000000001\n',
        [("sheet.csv:3", "the quotes don't match", 'Write " as "" within a quoted cell.')],
    ),
    (
        b"\xff\xfen\0a\0",
        [("sheet.csv", "the sheet is neither UTF-8 nor GB18030", "Save it as CSV with the encoding UTF-8.")],
    ),
]


@pytest.mark.parametrize(("sheet", "faults"), SHEETS)
def test_bad_sheet(write: Callable[..., Path], sheet: str | bytes, faults: list[tuple[str, str, str]]) -> None:
    with pytest.raises(ConfigError) as caught:
        imported(write(sheet, "sheet.csv"), INTO)
    assert caught.value.faults == tuple(Fault(*fault) for fault in faults)


def test_unreadable_or_unwritable(write: Callable[..., Path]) -> None:
    with pytest.raises(ConfigError) as caught:
        imported(Path("missing.csv"), INTO)
    message = "could not read the sheet: No such file or directory"
    assert caught.value.faults == (Fault("missing.csv", message, "Correct the path."),)
    sheet = write(SHEET, "sheet.csv")
    with pytest.raises(ConfigError) as caught:
        imported(sheet, sheet)
    message = "could not write the files: File exists"
    assert caught.value.faults == (Fault("sheet.csv", message, "Name a folder in which you may write."),)


def test_full_disk(write: Callable[..., Path]) -> None:
    """A file that can't be written whole is not there."""
    sheet = write(SHEET, "sheet.csv")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, before[1]))
    try:
        with pytest.raises(ConfigError) as caught:
            imported(sheet, INTO)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    message = "could not write the files: File too large"
    assert caught.value.faults == (Fault("accounts.d", message, "Name a folder in which you may write."),)
    assert list(INTO.iterdir()) == []


LETTERS = st.characters(exclude_categories=["Cs", "Cc"])
NAMES = st.text(LETTERS, min_size=1, max_size=100).map(str.strip).filter(bool)
SECRETS = st.text(LETTERS | st.sampled_from("${}\"'\\,;"), min_size=1).map(lambda text: "".join(text.split()))
TAGS = st.lists(st.from_regex(r"[^\s;,、；，]+", fullmatch=True).filter(lambda tag: tag.isprintable()))


@given(st.lists(st.tuples(NAMES, SECRETS.filter(bool), TAGS), min_size=1, unique_by=lambda row: row[0]), st.data())
def test_any_rows(rows: list[tuple[str, str, list[str]]], data: st.DataObject) -> None:
    """Rows become the accounts that they describe."""
    delimiter = data.draw(st.sampled_from(",;\t"))
    encoding = data.draw(st.sampled_from(["utf-8", "utf-8-sig"]))
    text = io.StringIO(newline="")
    sheet = csv.writer(text, delimiter=delimiter)
    sheet.writerow(["name", "appid", "secret", "tags"])
    sheet.writerows([name, f"wx{n:016x}", secret, ";".join(tags)] for n, (name, secret, tags) in enumerate(rows))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "sheet.csv")
        path.write_bytes(text.getvalue().encode(encoding))
        accounts = load(imported(path, Path(folder, "d")), {}, NOW).accounts
    assert accounts == tuple(
        Account(name, f"wx{n:016x}", SecretStr(secret), Rate(5, 1), tags=tuple(tags))
        for n, (name, secret, tags) in enumerate(rows)
    )


@given(
    st.binary(max_size=80)
    | st.text(st.sampled_from("name,appid\n\"wx0;\t'")).map(lambda t: f"name,appid\n{t}".encode())
)
def test_any_sheet(content: bytes) -> None:
    """Any sheet is files or faults."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "sheet.csv")
        path.write_bytes(content)
        try:
            assert imported(path, Path(folder, "d"))
        except ConfigError as error:
            assert all(fault.message and fault.remedy for fault in error.faults)  # noqa: PT017 (some sheets are good)
