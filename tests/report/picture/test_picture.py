"""Pictures: their figures are those of the documents, computed apart in plain Python."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import clients
import pytest
from clients import BROKEN, HOLES, NAMES, NEWEST, WHOLE, YOUNG

from collector.commands.report import Order, report
from collector.completeness.plan import Target
from collector.config import Selection, Settings
from collector.errors import UsageError
from collector.model.daily import Daily, Source
from collector.model.language import Language
from collector.report import formats
from collector.report.charts import vega
from collector.report.charts.vega import use_fonts
from collector.report.figures.account import Facts, columns_of
from collector.report.figures.fold import Fold
from collector.report.figures.frame import Frame
from collector.report.figures.periods import parse
from collector.report.picture import picture
from collector.report.picture.picture import WIDTH, drawn, write_picture
from collector.report.report import Report
from collector.report.terms import Terms
from collector.report.writers import writer_of
from collector.shell import install_line

NOW = datetime(2026, 11, 11, 2, tzinfo=UTC)
BEGIN, END = clients.OCTOBER
DAY = timedelta(1)
LIVE = [WHOLE, HOLES, BROKEN, YOUNG]
SVG = "{http://www.w3.org/2000/svg}"
CARDS = ("累积关注", "新增关注", "取消关注", "净增关注", "日取关率", "增长率")
NOTO = Path("/usr/share/fonts/opentype/noto")

Texts = Callable[..., Awaitable[list[str]]]


@pytest.fixture
def texts(settings: Settings, tmp_path: Path) -> Texts:
    """Draw a picture on some accounts in October, and return its texts."""

    async def written(*accounts: str, language: Language = Language.ZH) -> list[str]:
        found: list[str] = []
        order = Order(Selection(accounts), parse("2026-10"), Target(NEWEST, 7), Terms(language), NOW)
        await report(settings, order, tmp_path / "x", lambda page, _: found.extend(_texts(drawn(page))))
        return found

    return written


def _texts(svg: str) -> list[str]:
    return ["".join(element.itertext()) for element in ET.fromstring(svg).iter(f"{SVG}text")]


def _expected(accounts: list[str]) -> list[str]:
    """Return the cards of October, whose last day all of these accounts have."""
    found = clients.of(accounts, BEGIN, END)
    new, lost = clients.summed(found, "new_user"), clients.summed(found, "cancel_user")
    both = [each for each in found if "new_user" in each]
    ends, begins = (sum(clients.total(each, day) or 0 for each in accounts) for day in (END, BEGIN - DAY))
    rates = clients.summed(both, "cancel_user") / clients.summed(both, "cumulate_user"), (ends - begins) / begins
    return [*map(formats.number, (ends, new, lost, new - lost)), *map(formats.percent, rates)]


@pytest.mark.parametrize("accounts", [[WHOLE], [HOLES], [BROKEN], LIVE])
async def test_cards(texts: Texts, accounts: list[str]) -> None:
    found = await texts(*accounts)
    assert [found[found.index(name) + 1] for name in CARDS] == _expected(accounts)


async def test_head(texts: Texts) -> None:
    found = await texts(HOLES)
    assert found[:4] == [
        "公众号粉丝报告",
        NAMES[HOLES],
        "2026 年 10 月 · 2026-10-01 至 2026-10-31",
        "数据截至 2026-10-31 · 账号：待补 1",
    ]
    assert found[-1] == "生成于 2026-11-11 10:00（北京时间） · wechat-collector"
    english = await texts(WHOLE, language=Language.EN)
    assert english[2] == "2026-10 · 2026-10-01 to 2026-10-31"


async def test_what_is_missing(texts: Texts) -> None:
    """It stands under each sum; a comparison that is left out says why; the legend has what is drawn."""
    found = await texts(HOLES)
    place = found.index("新增关注")
    assert found[place + 2] == "缺 4 天数据"
    assert found[place + 3 : place + 13] == [
        *("日环比", found[place + 4], "周环比", "本期不完整", "月环比", "本期不完整"),
        *("环比", "本期不完整", "同比", "本期不完整"),
    ]
    assert found.count("缺失") == 2
    assert {"已证实为 0", "为 0"} <= {*found}
    assert not {"缺失", "已证实为 0", "数据断裂"} & {*(await texts(WHOLE))}
    assert "数据断裂" in await texts(BROKEN)


async def test_comparison_of_a_group(texts: Texts) -> None:
    """It says how many accounts it is made without."""
    found = await texts(*LIVE)
    place = found.index("新增关注")
    assert found[found.index("月环比", place) + 2] == "不含 1 个账号"
    assert "不含 1 个账号" not in await texts(WHOLE, BROKEN)


async def test_account_without_a_base(texts: Texts) -> None:
    """An absent figure is no 0."""
    found = await texts(YOUNG)
    assert found[found.index("增长率") + 1] == formats.ABSENT


async def test_file(settings: Settings, tmp_path: Path) -> None:
    """It is as wide as it should be, and not empty."""
    order = Order(Selection(LIVE), parse("2026-10"), Target(NEWEST, 7), Terms(Language.ZH), NOW)
    await report(settings, order, tmp_path / "report.png", writer_of("report.png"))
    raw = (tmp_path / "report.png").read_bytes()
    assert raw.startswith(b"\x89PNG\r\n")
    width, height = struct.unpack(">II", raw[16:24])
    assert (width, 2_000 < height < 3_000) == (WIDTH, True)


def _report(title: str, names: tuple[str, ...] = ("a",), period: str = "week") -> Report:
    frame = Frame(parse(period)(NEWEST), NEWEST)
    fold = Fold(frame)
    for number, name in enumerate(names):
        days = [] if number else [Daily(day, 3, 1, 10, (Source(0, 3, 1),)) for day in frame.days]
        fold.add(columns_of(Facts(f"wx{number:016}", name, (), frame.days.begin), days, frame))
    return Report(title, fold.figures(), Terms(Language.ZH), NOW)


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("</svg><script>alert(1)</script>", ["</svg><script>alert(1)</script>"]),
        ("\"&'<", ["\"&'<"]),
        ("🧧 茶\u202e馆", ["茶 馆"]),
        ("🎉", ["公众号粉丝报告"]),
        ("长" * 200, ["长" * 20, "长" * 19 + "…"]),
    ],
)
def test_hostile_title(title: str, shown: list[str]) -> None:
    """It is a text, in two lines at most, without emoji."""
    svg = drawn(_report(title))
    assert _texts(svg)[1 : 1 + len(shown)] == shown
    assert vega.png(svg).startswith(b"\x89PNG")


def test_many_names_become_a_number() -> None:
    """A card has no room for them."""
    names = tuple(f"客户{number}的服务号" for number in range(6))
    found = _texts(drawn(_report("x", names)))
    assert found[found.index("累积关注") + 2] == "未计入 5 个账号"


def test_period_that_is_not_over() -> None:
    found = _texts(drawn(_report("x", period="2026-11")))
    assert f"统计周期尚未结束，以下为截至 {NEWEST} 的数据" in found


def test_legend_has_room() -> None:
    """No row is wider than its panel."""
    keys = [picture._Key("净增关注 7日均线", "#000")] * 7
    rows = picture._key_rows(keys)
    assert [key for row in rows for key in row] == keys
    assert [len(row) for row in rows] == [3, 3, 1]


NO_CHINESE = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>/usr/share/fonts/truetype/dejavu</dir></fontconfig>"""


def _looked_for(folder: str, tmp_path: Path) -> str:
    """Look for a font on a host without any for Chinese, and return the error."""
    (tmp_path / "fonts.conf").write_text(NO_CHINESE)
    code = f"from pathlib import Path\nfrom collector.report.charts.vega import use_fonts\nuse_fonts({folder})"
    environ = os.environ | {"FONTCONFIG_FILE": str(tmp_path / "fonts.conf")}
    ended = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False)
    return ended.stderr.strip().rpartition("\n")[2]


def test_no_font_with_chinese(tmp_path: Path) -> None:
    """It is looked for before anything is drawn: texts would be boxes, without an error."""
    assert _looked_for("None", tmp_path) == (
        "collector.errors.UsageError: no font of this host has Chinese characters, which a picture needs: install one "
        "(apt-get install fonts-noto-cjk), or name a folder that has one with --font-dir"
    )
    empty = tmp_path / "empty"
    empty.mkdir()
    assert f"no font of this host or in {empty} has Chinese" in _looked_for(f"Path({str(empty)!r})", tmp_path)


@pytest.mark.skipif(not NOTO.exists(), reason="fonts-noto-cjk is missing")
def test_folder_with_a_font(tmp_path: Path) -> None:
    assert _looked_for(f"Path({str(NOTO)!r})", tmp_path) == ""


def test_no_such_folder() -> None:
    with pytest.raises(UsageError, match="--font-dir: there is no folder /none"):
        use_fonts(Path("/none"))


def test_missing_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(UsageError) as caught:
        write_picture(_report("x"), tmp_path / "x.png")
    assert install_line("report") in str(caught.value)


def test_day_of_the_total() -> None:
    """The card of a whole total has its day."""
    found = _texts(drawn(_report("x")))
    assert found[found.index("累积关注") + 2] == f"截至 {date(2026, 11, 8)}"
