"""The texts of reports."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter

import pytest

import collector
from collector.model.channels import CHANNELS
from collector.model.daily import Mark
from collector.model.language import Language
from collector.report.figures.comparing import Reason
from collector.report.figures.frame import SPANS, Against
from collector.report.figures.lines import Coverage
from collector.report.figures.metrics import Metric
from collector.report.figures.rankings import Ranking
from collector.report.terms import Terms
from collector.report.texts import TEXTS

ZH, EN = Terms(Language.ZH), Terms(Language.EN)
PACKAGE = Path(collector.__file__).parent


def test_terms_of_the_field() -> None:
    """The figures bear the names that WeChat's own console has for them."""
    assert {metric.value: (ZH(metric), EN(metric)) for metric in Metric} == {
        "cumulate_user": ("累积关注", "total followers"),
        "new_user": ("新增关注", "new followers"),
        "cancel_user": ("取消关注", "lost followers"),
        "net_user": ("净增关注", "net growth"),
        "unfollow_rate": ("日取关率", "daily unfollow rate"),
        "growth_rate": ("增长率", "growth rate"),
        "lost_to_new": ("取关/新增比", "lost-to-new ratio"),
    }


def test_every_value_has_a_text() -> None:
    keys = [f"mark_{each}" for each in Mark] + [f"coverage_{each}" for each in Coverage]
    keys += [f"reason_{each}" for each in Reason] + [f"against_{each}" for each in Against]
    keys += [f"ranking_{each}" for each in Ranking] + [f"span_{each}" for each in SPANS] + [*Metric]
    assert [key for key in keys if key not in TEXTS] == []


def test_every_text_is_used() -> None:
    """A text that nobody shows would go unread."""
    code = "".join(path.read_text() for path in PACKAGE.rglob("*") if path.suffix in {".py", ".j2"})
    # Those of an enumeration: `f"mark_{mark}"`, or `'against_' ~ against` in a template.
    begins = tuple({one or other for one, other in re.findall(r"""'([a-z]+_)' ~ |f"([a-z]+_)\{""", code)})
    unused = [
        key
        for key in TEXTS
        if not (key.startswith(begins) or key in [*Metric] or re.search(rf"['\"]{key}['\"](?!: )", code))
    ]
    assert unused == []


def test_both_languages_have_the_same_values() -> None:
    def values(text: str) -> set[str | None]:
        return {name for _, name, _, _ in Formatter().parse(text) if name}

    assert [key for key, text in TEXTS.items() if values(text.chinese) != values(text.english)] == []


def test_punctuation_of_chinese_is_chinese() -> None:
    beside = re.compile(r"[\u4e00-\u9fff][,;:.(]|[,;:)] ?[\u4e00-\u9fff]")
    assert [key for key, text in TEXTS.items() if beside.search(text.chinese)] == []


@pytest.mark.parametrize(
    ("count", "text"), [("1", "1 account missing"), (1, "1 account missing"), (12, "12 accounts missing")]
)
def test_one_and_many(count: object, text: str) -> None:
    assert EN("remark_lacking", count=count) == text


@pytest.mark.parametrize("code", [0, 30, 200])
def test_channel(code: int) -> None:
    assert (ZH.channel(code), EN.channel(code)) == (CHANNELS[code].chinese, CHANNELS[code].english)


def test_unknown_channel() -> None:
    """It goes by its number."""
    assert (ZH.channel(4), EN.channel(4)) == ("渠道 4", "channel 4")


def test_label() -> None:
    assert (EN.label("new_user"), ZH.label("new_user")) == ("New followers", "新增关注")


def test_unknown_text() -> None:
    with pytest.raises(KeyError):
        ZH("no such text")
