"""The only door to vl-convert, which ships Vega-Lite for browsers and draws without one."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from collector.errors import UsageError
from collector.shell import install_line


@cache
def javascript_bundle() -> str:
    """Return Vega-Lite and vega-embed as one script (0.9 MB), which sets `vegaEmbed`; it needs a browser of 2022.

    Raises:
        UsageError: vl-convert isn't installed.
    """
    bundle: str = _library().javascript_bundle()
    return bundle


def svg(spec: Mapping[str, Any]) -> str:
    """Return a chart as SVG, drawn without network. Raises `UsageError` where vl-convert isn't installed."""
    drawn: str = _library().vegalite_to_svg(spec, allowed_base_urls=[])
    return drawn


def png(picture: str) -> bytes:
    """Return an SVG as PNG, of the size that it has. Raises `UsageError` where vl-convert isn't installed."""
    drawn: bytes = _library().svg_to_png(picture)
    return drawn


def use_fonts(folder: Path | None) -> None:
    """Look for a font with Chinese, among those of this host and of a folder.

    Raises:
        UsageError: there is none: texts would be boxes. Or vl-convert isn't installed.
    """
    if folder:
        if not folder.is_dir():
            raise UsageError(f"--font-dir: there is no folder {folder}")
        _library().register_font_directory(str(folder.resolve()))
        # The new fonts may have a letter that was missing.
        has_glyph.cache_clear()
        _drawn.cache_clear()
    if not has_glyph("关"):
        where = f"of this host or in {folder}" if folder else "of this host"
        raise UsageError(
            f"no font {where} has Chinese characters, which a picture needs: install one "
            "(apt-get install fonts-noto-cjk), or name a folder that has one with --font-dir"
        )


@cache
def has_glyph(letter: str) -> bool:
    """Return True if some font has the letter: without one, all look the same."""
    return _drawn(letter) != _drawn(_NOBODYS)


@cache
def _drawn(letter: str) -> bytes:
    text = f'<text y="50" font-size="40" font-family="sans-serif">{letter}</text>'
    return png(f'<svg xmlns="http://www.w3.org/2000/svg" width="60" height="60">{text}</svg>')


_NOBODYS = "\U0010fffd"
"""A letter of private use, which no font has."""


def _library() -> ModuleType:
    try:
        import vl_convert  # noqa: PLC0415 (an extra)
    except ModuleNotFoundError:
        raise UsageError(f"a report with charts needs the extra `report`: {install_line('report')}") from None
    library: ModuleType = vl_convert
    return library
