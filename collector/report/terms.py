"""The texts of reports in one language."""

from __future__ import annotations

from collector.model.channels import CHANNELS
from collector.model.language import Language
from collector.report.texts import TEXTS


class Terms:
    """The texts of one language. Called with a key and values, it returns the text."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._place = 0 if language is Language.ZH else 1

    def __call__(self, key: str, **values: object) -> str:
        """Return the text of a key, with the values filled in. Raises `KeyError` where there is none."""
        one, _, many = TEXTS[key][self._place].partition("|")
        text = many if many and str(values.get("count")) != "1" else one
        return text.format(**values) if values else text

    def label(self, key: str, **values: object) -> str:
        """Return the text of a key as a title, which begins with a capital letter."""
        text = self(key, **values)
        return text[:1].upper() + text[1:]

    def channel(self, code: int) -> str:
        """Return the name of a channel, or its number where it has none."""
        channel = CHANNELS.get(code)
        if channel is None:
            return self("unknown_channel", code=code)
        return channel.chinese if self.language is Language.ZH else channel.english
