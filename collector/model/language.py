"""The language of texts for people who look at figures."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum

from collector.errors import UsageError

VARIABLE = "COLLECTOR_LANG"

_LOCALES = ("LC_ALL", "LC_MESSAGES", "LANG")
"""The variables of the environment that name a locale, the strongest first."""


class Language(StrEnum):
    """A language in which reports are written."""

    ZH = "zh"
    EN = "en"


def language_of(option: Language | None, environ: Mapping[str, str], configured: Language | None) -> Language:
    """Return the language of a report: of `--lang`, `$COLLECTOR_LANG`, the configuration, else of the locale.

    Without a locale it is Chinese, which clients of official accounts read.

    Raises:
        UsageError: `$COLLECTOR_LANG` is no language.
    """
    return option or _named(environ.get(VARIABLE)) or configured or _of_locale(environ)


def _named(text: str | None) -> Language | None:
    try:
        return Language(text) if text else None
    except ValueError:
        raise UsageError(f"${VARIABLE} is {text!r}, which is no language of reports: set it to zh or en") from None


def _of_locale(environ: Mapping[str, str]) -> Language:
    locale = next(filter(None, map(environ.get, _LOCALES)), "C")
    # C and POSIX say nothing about a language: most services run in them.
    return Language.ZH if re.match("(zh|C|POSIX)([^a-zA-Z]|$)", locale) else Language.EN
