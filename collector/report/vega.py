"""The only door to vl-convert, which ships Vega-Lite for browsers and draws without one."""

from __future__ import annotations

from functools import cache
from types import ModuleType

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


def _library() -> ModuleType:
    try:
        import vl_convert  # noqa: PLC0415 (an extra)
    except ModuleNotFoundError:
        raise UsageError(f"a report with charts needs the extra `report`: {install_line('report')}") from None
    library: ModuleType = vl_convert
    return library
