"""The language of reports: of the option, the variable, the configuration, else of the locale."""

from __future__ import annotations

import pytest

from collector.errors import UsageError
from collector.model.language import Language, language_of

ZH, EN = Language.ZH, Language.EN


def test_order() -> None:
    """The option comes before the variable, the variable before the configuration, and that before the locale."""
    environ = {"LANG": "zh_CN.UTF-8", "COLLECTOR_LANG": "en"}
    assert language_of(ZH, environ, ZH) is ZH
    assert language_of(None, environ, ZH) is EN
    assert language_of(None, {"LANG": "zh_CN.UTF-8"}, EN) is EN
    assert language_of(None, {"LANG": "en_US.UTF-8", "COLLECTOR_LANG": ""}, None) is EN


@pytest.mark.parametrize(
    ("environ", "language"),
    [
        ({}, ZH),
        ({"LANG": ""}, ZH),
        ({"LANG": "C"}, ZH),
        ({"LANG": "C.UTF-8"}, ZH),
        ({"LC_ALL": "POSIX", "LANG": "en_US.UTF-8"}, ZH),
        ({"LANG": "zh_TW.UTF-8"}, ZH),
        ({"LANG": "zh"}, ZH),
        ({"LANG": "en_GB"}, EN),
        ({"LANG": "de_DE@euro"}, EN),
        ({"LANG": "Czech"}, EN),
        ({"LC_MESSAGES": "en_US.UTF-8", "LANG": "zh_CN.UTF-8"}, EN),
        ({"LC_ALL": "zh_CN.UTF-8", "LC_MESSAGES": "en_US.UTF-8"}, ZH),
        ({"LC_ALL": "", "LANG": "fr_FR"}, EN),
    ],
)
def test_locale(environ: dict[str, str], language: Language) -> None:
    assert language_of(None, environ, None) is language


def test_unknown_language() -> None:
    """A variable that says nothing known is told, with what may be written."""
    with pytest.raises(UsageError, match=r"^\$COLLECTOR_LANG is 'de', .* set it to zh or en$"):
        language_of(None, {"COLLECTOR_LANG": "de"}, None)
