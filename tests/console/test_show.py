"""Output of `show`, compared whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import orjson
import pytest
from rich.cells import cell_len

from collector.console.paint import coloured
from collector.console.show import as_json, as_text
from collector.console.sparkline import PLAIN_LETTERS
from collector.kinds import WaitKind
from collector.model.daily import Daily, Mark
from collector.model.days import Days
from collector.model.findings import AccountGaps, Break
from collector.model.shown import Shown, ShownDay
from collector.model.standings import AccountStatus, Standing
from collector.model.state import Trouble
from collector.model.waits import Wait

NEWEST = date(2026, 11, 23)
FIRST = date(2026, 11, 16)
NOW = datetime(2026, 11, 24, 2, 30, 10, tzinfo=UTC)
REFUSED = Trouble("api unauthorized", 48001, "r-i-d", "ask for the right to read figures", NOW, NOW)


def _day(age: int, mark: Mark, *figures: int | None) -> ShownDay:
    return ShownDay(Daily(NEWEST - timedelta(days=age), *figures), mark)  # type: ignore[arg-type] # counts


DAYS = (
    _day(7, Mark.UNBORN),
    _day(6, Mark.UNBORN),
    _day(5, Mark.STORED, 1_200, 3, 1_197),
    _day(4, Mark.STORED, 0, 7, 1_250),
    _day(3, Mark.PROVEN, 0, 0, 1_250),
    _day(2, Mark.MISSING),
    _day(1, Mark.PARTIAL, 4, 1),
    _day(0, Mark.PARTIAL, None, None, 1_250),
)
GAPS = AccountGaps(
    "wx-acme",
    "acme",
    {"user_summary": Days.of([date(2026, 11, 21), NEWEST])},
    breaks=(Break(date(2026, 11, 19), 1_190, 1_250),),
    unresolved=Days.of([NEWEST]),
)
STATUS = AccountStatus(
    "wx-acme",
    "acme",
    ("retail", "north"),
    Standing.FAILING,
    {"user_summary": date(2026, 11, 22), "user_cumulate": NEWEST},
    missing_days=3,
    born=date(2026, 11, 18),
    last_success=NOW,
    errors={"user_summary": REFUSED},
    waits={"user_summary": Wait(WaitKind.QUOTA, NOW)},
    unresolved_days=1,
)
SHOWN = Shown(STATUS, NEWEST, DAYS, GAPS, database="wechat on db")


def test_text_has_all_that_is_known() -> None:
    assert as_text(SHOWN).splitlines() == [
        "acme (wx-acme): failing",
        "tags retail, north, born 2026-11-18, last success 2026-11-24 10:30 Beijing time",
        "2 days missing; the newest published day is 2026-11-23",
        "",
        "total    ▁██  █  1,197 to 1,250",
        "new      █▁▁ ▁   0 to 1,200",
        "lost     ▄█▁ ▂   0 to 7",
        "net      █▁▁ ▁   -7 to 1,197",
        "",
        "                  new  lost     net  total",
        "to 2026-11-17                               not yet born",
        "2026-11-18 Wed  1,200     3  +1,197  1,197",
        "2026-11-19 Thu      0     7      -7  1,250  break",
        "2026-11-20 Fri      0     0       0  1,250  quiet",
        "2026-11-21 Sat      -     -       -      -  missing",
        "2026-11-22 Sun      4     1      +3      -  no total",
        "2026-11-23 Mon      -     -       -  1,250  perhaps quiet",
        "4 of 6 days     1,204    11  +1,193",
        "",
        "Missing:",
        "acme (wx-acme)",
        "  user_summary  2026-11-21",
        "",
        "Perhaps quiet, without a row of summary yet:",
        "acme (wx-acme)",
        "  user_summary  2026-11-23",
        "",
        "Totals that aren't the day before's plus the net, as WeChat gave them:",
        "acme (wx-acme)",
        "  2026-11-18 to 2026-11-19           1,250 found,          1,190 expected,        +60",
        "",
        "Last error, since 2026-11-24: ask for the right to read figures (user_summary: 48001 api unauthorized)",
        "",
        "Waiting, as WeChat ordered:",
        "  1 account: WeChat's quota of the day is used up, until 2026-11-24 10:30 Beijing time",
        "    acme",
        "",
        "Database: wechat on db",
    ]


def test_whole_account() -> None:
    """Nothing is said of what isn't wrong."""
    status = replace(STATUS, standing=Standing.OK, missing_days=0, unresolved_days=0, errors={}, waits={}, tags=())
    shown = Shown(status, NEWEST, [_day(0, Mark.STORED, 3, 1, 10)], AccountGaps("wx-acme", "acme"))
    assert as_text(shown).splitlines() == [
        "acme (wx-acme): ok",
        "born 2026-11-18, last success 2026-11-24 10:30 Beijing time",
        "complete to 2026-11-23",
        "",
        "total  ▁  10 to 10",
        "new    █  3 to 3",
        "lost   █  1 to 1",
        "net    ▁  2 to 2",
        "",
        "                new  lost  net  total",
        "2026-11-23 Mon    3     1   +2     10",
        "1 day             3     1   +2",
    ]


def _without_figures(days: Sequence[ShownDay]) -> list[ShownDay]:
    return [ShownDay(Daily(day.figures.ref_date), Mark.MISSING) for day in days]


def test_account_without_figures() -> None:
    text = as_text(replace(SHOWN, days=_without_figures(DAYS)))
    assert "\n\nNothing of the last 8 days is stored.\n\nMissing:\n" in text
    assert "new" not in text.splitlines()[4]


def test_account_with_totals_alone() -> None:
    """Their sum isn't 0."""
    text = as_text(replace(SHOWN, days=[_day(0, Mark.PARTIAL, None, None, 1_250)], gaps=None))
    assert text.split("\n\n")[2].splitlines()[1:] == [
        "2026-11-23 Mon    -     -    -  1,250  no summary",
        "0 of 1 day        -     -    -",
    ]


def test_account_that_never_had_a_row() -> None:
    """That is a hint, and no error."""
    never = dict.fromkeys(STATUS.newest)
    status = replace(STATUS, standing=Standing.SILENT, newest=never, born=None, errors={}, waits={})
    parts = as_text(replace(SHOWN, status=status, gaps=None)).split("\n\n")
    assert parts[-2] == "never had a row: perhaps not verified"


def test_account_that_was_never_collected() -> None:
    status = replace(STATUS, standing=Standing.NEVER_COLLECTED)
    assert as_text(replace(SHOWN, status=status)).startswith("acme (wx-acme): never collected\n")


def test_entry_without_an_appid() -> None:
    shown = Shown(replace(STATUS, account=None, name="accounts.d/x.yaml", waits={}), NEWEST, (), None)
    assert as_text(shown).split("\n\n")[0].startswith("accounts.d/x.yaml: failing\n")
    assert [part.partition(",")[0] for part in as_text(shown).split("\n\n")[1:]] == ["Last error"]
    assert as_json(shown)["gaps"] == {}


def test_disabled_account() -> None:
    assert as_text(replace(SHOWN, is_enabled=False)).splitlines()[0] == "acme (wx-acme): disabled, not collected"


def test_hostile_names_stay_in_their_line() -> None:
    status = replace(STATUS, name="a\x1b[31m\nb", tags=("c\rd",))
    lines = as_text(replace(SHOWN, status=status)).splitlines()
    assert lines[0] == "a [31m b (wx-acme): failing"
    assert lines[1].startswith("tags c d, born")


@pytest.mark.parametrize("width", [60, 80, 120])
def test_text_fits_the_terminal(width: int) -> None:
    shown = replace(SHOWN, status=replace(STATUS, name="一" * 40, tags=("retail",) * 30))
    assert max(cell_len(line) for line in as_text(shown, width=width).splitlines() if "一" not in line) <= width


def test_narrow_terminal() -> None:
    """A curve is drawn whole, and its span only beside it."""
    curves = as_text(SHOWN, width=24).split("\n\n")[1]
    assert curves.splitlines() == [
        "total    ▁██  █",
        "new      █▁▁ ▁ ",
        "lost     ▄█▁ ▂   0 to 7",
        "net      █▁▁ ▁ ",
    ]


def test_plain_letters() -> None:
    assert as_text(SHOWN, letters=PLAIN_LETTERS).isascii()


def test_days_that_lack_something_have_a_colour() -> None:
    lines = as_text(SHOWN, paint=coloured).splitlines()
    missing = next(line for line in lines if "2026-11-21 Sat" in line)
    stored = next(line for line in lines if "2026-11-18 Wed" in line)
    quiet = next(line for line in lines if "2026-11-20 Fri" in line)
    assert missing.startswith("\x1b[33m")
    assert not stored.startswith("\x1b")
    assert quiet.startswith("\x1b[2m")
    assert next(line for line in lines if "Last error" in line).startswith("\x1b[31m")


def test_json_has_all_days_and_gaps() -> None:
    found = orjson.loads(orjson.dumps(as_json(SHOWN)))
    assert found["days"][3] == {
        "ref_date": "2026-11-19",
        "new_user": 0,
        "cancel_user": 7,
        "net_user": -7,
        "cumulate_user": 1_250,
        "state": "stored",
    }
    assert [day["state"] for day in found["days"]] == [str(day.mark) for day in DAYS]
    assert found["days"][5]["new_user"] is None
    assert found["gaps"]["missing"] == {
        "user_summary": [
            {"begin": "2026-11-21", "end": "2026-11-21"},
            {"begin": "2026-11-23", "end": "2026-11-23"},
        ]
    }
    assert found["gaps"]["breaks"][0]["difference"] == 60
    assert (found["account"], found["standing"], found["enabled"]) == ("wx-acme", "failing", True)
    assert found["last_error"]["errcode"] == 48001
    assert found["waits"][0]["kind"] == "quota"
    assert (found["newest_published"], found["database"]) == ("2026-11-23", "wechat on db")
