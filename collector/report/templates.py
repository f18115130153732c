"""The only door to Jinja2: the templates beside this file, with whatever comes from outside escaped."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from collector.errors import UsageError
from collector.shell import install_line

if TYPE_CHECKING:
    from jinja2 import Environment, Template

FOLDER = Path(__file__).parent


def template(name: str) -> Template:
    """Return a template of this folder.

    Raises:
        UsageError: Jinja2 isn't installed.
    """
    return _environment().get_template(name)


@cache
def _environment() -> Environment:
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 (an extra)
    except ModuleNotFoundError:
        raise UsageError(f"a page needs the extra `report`: {install_line('report')}") from None
    return Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        # A misspelt name fails instead of showing nothing.
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
