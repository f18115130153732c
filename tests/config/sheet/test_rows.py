"""The rows of a sheet become accounts, or faults."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from collector.config import load, sheet
from collector.config.sheet import rows
from collector.errors import ConfigError, Fault
from collector.model.accounts import Account, Rate
from collector.model.changes import Changes

NOW = datetime(2026, 11, 24, tzinfo=UTC)
TODAY = date(2026, 11, 24)
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
    SHEET.replace(",", ";")
    .replace("retail;", "retail,")
    .replace("name;appid;secret;tags", '"name";"appid";"secret";"tags"'),
    SHEET.replace("retail, food", "retail、food"),
    SHEET.replace("retail, food", " retail；food ;"),
    SHEET.replace("name,appid,secret,tags", "名称,AppID,AppSecret,标签").encode("gb18030"),
    SHEET.replace("name,appid,secret,tags", "名称,App ID,app_secret,标签"),
]


def imported(path: Path, into: Path) -> Changes:
    changes = sheet.compared(path, into, None, TODAY, update=False)
    sheet.write(changes)
    return changes


@pytest.mark.parametrize("text", FORMS)
def test_forms_of_csv(write: Callable[..., Path], text: str | bytes) -> None:
    imported(write(text, "sheet.csv"), INTO)
    main = write("include: accounts.d/*.yaml\ndefaults: {token: {url: 'http://t'}}")
    accounts = load([main], {}, NOW).accounts
    assert tuple(replace(account, token=ACME.token) for account in accounts) == ACCOUNTS


def test_columns_in_any_order(write: Callable[..., Path]) -> None:
    imported(write("secret,appid,name\ns1,wx0000000000000001,acme\n", "sheet.csv"), INTO)
    assert load([INTO / "wx0000000000000001.yaml"], {}, NOW).accounts == (ACME,)


def test_all_columns(write: Callable[..., Path]) -> None:
    names = "name,appid,secret,tags,since,rate_limit,daily_calls,proxy,egress,enabled"
    imported(
        write(f"{names}\nacme,{ACME.appid},s1,a b,2025-01-03,30/min,200,http://u:p@h:1,hk,no\n", "sheet.csv"), INTO
    )
    (account,) = load([INTO / f"{ACME.appid}.yaml"], {}, NOW).accounts
    assert account == replace(
        ACME,
        tags=("a", "b"),
        since=date(2025, 1, 3),
        rate_limit=Rate(30, 60),
        daily_calls=200,
        proxy=SecretStr("http://u:p@h:1"),
        egress="hk",
        enabled=False,
    )


@pytest.mark.parametrize(
    ("key", "cell", "value"),
    [
        *(("since", day, "2025-01-03") for day in ("2025-01-03", "2025/1/3", "2025.1.3", "2025年1月3日")),
        *(("enabled", yes, "true") for yes in ("是", "yes", "YES", "TRUE", "True")),
        *(("enabled", no, "false") for no in ("否", "No", "FALSE")),
        *((key, "", None) for key in ("enabled", "since", "secret", "tags", "proxy", "egress")),
    ],
)
def test_values(write: Callable[..., Path], key: str, cell: str, value: object) -> None:
    (row,) = rows.read(write(f"name,appid,{key}\nacme,wx0000000000000001,{cell}\n", "sheet.csv"), TODAY)
    assert (row.values[key], row.faults) == (value, ())


NAME = "Write a name of up to 100 characters, such as acme-shoes."
APPID = "Write the AppID from the account's console: wx and 16 digits of 0-9 and a-f."
SECRET = "Write the AppSecret from the account's console: 32 digits and letters."


def taken(key: str, line: int) -> tuple[str, str]:
    remedy = f"Give each account its own `{key}`, or remove one of the two."
    return f"`{key}` is taken by the account at sheet.csv:{line}", remedy


def test_bad_rows(write: Callable[..., Path]) -> None:
    """All are reported at once, and the others are written."""
    path = write(
        "name,appid,secret,tags\n"
        "good,wx0000000000000001,s,\n"
        ",wx0000000000000002,s,\n"
        "b,,s,\n"
        '"c\nd",WX0000000000000003,l3ak ed,\n'
        "e,../../x,s,\n"
        "good,wx0000000000000001,s,\n"
        "f,wx0000000000000005,s,x,y\n"
        "g\n"
        "h,wx0000000000000006,s,\n",
        "sheet.csv",
    )
    faults = imported(path, INTO).faults
    surplus = "Quote a cell that holds the delimiter, or remove the surplus cells."
    assert faults == (
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
    assert "l3ak" not in str(faults)
    assert [path.name for path in INTO.iterdir()] == ["wx0000000000000006.yaml"]


@pytest.mark.parametrize(
    ("key", "cell", "message"),
    [
        ("since", "2026-11-25", "`since` can't be '2026-11-25'"),  # tomorrow
        ("since", "soon", "`since` can't be 'soon'"),
        ("rate_limit", "5", "`rate_limit` can't be '5'"),
        ("daily_calls", "1.5", "`daily_calls` can't be '1.5'"),
        ("proxy", "http://u:l3ak@h:0", "`proxy` has a port that isn't a number from 1 to 65535"),
        ("egress", "-", "`egress` isn't of the right form"),
        ("enabled", "perhaps", "`enabled` can't be 'perhaps'"),
    ],
)
def test_bad_cells(write: Callable[..., Path], key: str, cell: str, message: str) -> None:
    (row,) = rows.read(write(f"name,appid,{key}\nacme,wx0000000000000001,{cell}\n", "sheet.csv"), TODAY)
    assert [fault.message for fault in row.faults] == [message]
    assert "l3ak" not in repr(row)


ALL = "name, appid, secret, tags, since, rate_limit, daily_calls, proxy, egress, enabled"
BEGIN = f"Begin with a line of names: {ALL}. All but name and appid may be left out."
KNOWN = f"Remove it; known here: {ALL}."
APPSECRET = "51bcc8fbe4174ae449542c0c77ff06ec"

SHEETS = [
    ("", [("sheet.csv", "the sheet holds no account", "Add a line for each account below the line of names.")]),
    (
        "name,appid\n",
        [("sheet.csv", "the sheet holds no account", "Add a line for each account below the line of names.")],
    ),
    ("name,secret\na,s\n", [("sheet.csv:1", "no column is called appid", BEGIN)]),
    ("name,appid,secert\n", [("sheet.csv:1", "column 3, secert, isn't known here", "Write secret.")]),
    ("name,appid,SECERT\n", [("sheet.csv:1", "column 3, SECERT, isn't known here", "Write secret.")]),
    ("name;appid;备注\n", [("sheet.csv:1", "column 3, 备注, isn't known here", KNOWN)]),
    ("name,appid,Name\n", [("sheet.csv:1", "column 3 repeats the column name", "Keep one of the two.")]),
    ("name,appid,名称\n", [("sheet.csv:1", "column 3 repeats the column name", "Keep one of the two.")]),
    (f"name,appid,{APPSECRET}\n", [("sheet.csv:1", "column 3 isn't known here", KNOWN)]),
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


@pytest.mark.parametrize(("text", "faults"), SHEETS)
def test_bad_sheet(write: Callable[..., Path], text: str | bytes, faults: list[tuple[str, str, str]]) -> None:
    with pytest.raises(ConfigError) as caught:
        rows.read(write(text, "sheet.csv"), TODAY)
    assert caught.value.faults == tuple(Fault(*fault) for fault in faults)


def test_missing_sheet() -> None:
    with pytest.raises(ConfigError) as caught:
        rows.read(Path("missing.csv"), TODAY)
    message = "could not read the sheet: No such file or directory"
    assert caught.value.faults == (Fault("missing.csv", message, "Correct the path."),)


LETTERS = st.characters(exclude_categories=["Cs", "Cc"])
NAMES = st.text(LETTERS, min_size=1, max_size=100).map(str.strip).filter(bool)
SECRETS = st.text(LETTERS | st.sampled_from("${}\"'\\,;"), min_size=1).map(lambda text: "".join(text.split()))
TAGS = st.lists(st.from_regex(r"[^\s;,、；，]+", fullmatch=True).filter(lambda tag: tag.isprintable()))


@given(st.lists(st.tuples(NAMES, SECRETS.filter(bool), TAGS), min_size=1, unique_by=lambda row: row[0]), st.data())
def test_any_rows(listed: list[tuple[str, str, list[str]]], data: st.DataObject) -> None:
    """Rows become the accounts that they describe, and a second import finds nothing to change."""
    delimiter = data.draw(st.sampled_from(",;\t"))
    encoding = data.draw(st.sampled_from(["utf-8", "utf-8-sig"]))
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(["name", "appid", "secret", "tags"])
    writer.writerows([name, f"wx{n:016x}", secret, ";".join(tags)] for n, (name, secret, tags) in enumerate(listed))
    with tempfile.TemporaryDirectory() as folder:
        path, into = Path(folder, "sheet.csv"), Path(folder, "d")
        path.write_bytes(text.getvalue().encode(encoding))
        files = [change.path for change in imported(path, into).new]
        accounts = load(files, {}, NOW).accounts
        again = sheet.compared(path, into, None, TODAY, update=True)
    assert accounts == tuple(
        Account(name, f"wx{n:016x}", SecretStr(secret), Rate(5, 1), tags=tuple(tags))
        for n, (name, secret, tags) in enumerate(listed)
    )
    assert again == Changes(kept=tuple(files), total=len(files))


@given(
    st.binary(max_size=80)
    | st.text(st.sampled_from("name,appid\n\"wx0;\t'")).map(lambda t: f"name,appid\n{t}".encode())
    | st.binary(max_size=80).map(lambda content: b"PK\x03\x04" + content)
)
def test_any_sheet(content: bytes) -> None:
    """Any sheet is files or faults."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "sheet.csv")
        path.write_bytes(content)
        try:
            changes = imported(path, Path(folder, "d"))
        except ConfigError as error:
            faults = error.faults
        else:
            faults = changes.faults
            assert changes.new or faults
    assert all(fault.message and fault.remedy for fault in faults)
