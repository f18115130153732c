"""Colours and fonts that the style of a page repeats, since a style can't take them from Python."""

from __future__ import annotations

import re

from collector.report.charts import colours
from collector.report.charts.parts import FONT
from collector.report.page.page import asset

STYLE = asset("page/page.css")


def test_style_has_the_colours_of_charts() -> None:
    variables = dict(re.findall(r"--([a-z]+): (#[0-9a-f]+);", STYLE))
    shared = {name: variables[name] for name in ("ink", "muted", "accent", "new", "lost", "gap", "mark", "warn")}
    assert shared == {
        "ink": colours.INK,
        "muted": colours.MUTED,
        "accent": colours.TOTAL,
        "new": colours.NEW,
        "lost": colours.LOST,
        "gap": colours.GAP,
        "mark": colours.MARK,
        "warn": colours.WARN,
    }
    assert re.findall(r"\.key\.mean::before {.*background: (#[0-9a-f]+);", STYLE) == [colours.MEAN]


def test_style_has_the_font_of_charts() -> None:
    assert f" {FONT};" in STYLE
