"""The texts of reports in Chinese and English.

The terms of figures are those that WeChat's own console and the field use; the formulas are in `NOTES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from collector.model.channels import CHANNELS
from collector.model.language import Language


class Text(NamedTuple):
    """A text in both languages; `{name}` stands for a value."""

    chinese: str
    english: str


class Terms:
    """The texts of one language. Called with a key and values, it returns the text."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._place = 0 if language is Language.ZH else 1

    def __call__(self, key: str, **values: object) -> str:
        """Return the text of a key, with the values filled in; raises `KeyError` where there is none."""
        text = TEXTS[key][self._place]
        return text.format(**values) if values else text

    def channel(self, code: int) -> str:
        """Return the name of a channel, or its number where it has none."""
        channel = CHANNELS.get(code)
        if channel is None:
            return self("unknown_channel", code=code)
        return channel.chinese if self.language is Language.ZH else channel.english


TEXTS: Mapping[str, Text] = {
    # Figures
    "new_user": Text("新增关注", "new followers"),
    "cancel_user": Text("取消关注", "lost followers"),
    "net_user": Text("净增关注", "net growth"),
    "cumulate_user": Text("累积关注", "total followers"),
    "unfollow_rate": Text("日取关率", "daily unfollow rate"),
    "lost_to_new": Text("取关/新增比", "lost-to-new ratio"),
    "growth_rate": Text("增长率", "growth rate"),
    "mean": Text("7日均线", "7-day mean"),
    "share": Text("渠道占比", "share of a channel"),
    "day": Text("日环比", "day before"),
    "week": Text("周环比", "week before"),
    "month": Text("月环比", "month before"),
    "period": Text("环比", "period before"),
    "year": Text("同比", "year before"),
    "index": Text("指数", "index"),
    # Things
    "account": Text("账号", "account"),
    "date": Text("日期", "date"),
    "channel": Text("渠道", "channel"),
    "tag": Text("标签", "tag"),
    "name": Text("名称", "name"),
    "remark": Text("备注", "remark"),
    "weekdays": Text("一 二 三 四 五 六 日", "Mon Tue Wed Thu Fri Sat Sun"),
    "unknown_channel": Text("渠道 {code}", "channel {code}"),
    "chart": Text("图表", "chart"),
}
