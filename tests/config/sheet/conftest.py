"""Sheets, imported into the folder `accounts.d` of a working directory of their own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from collector.config import sheet
from collector.model.changes import Changes

Import = Callable[..., Changes]


@pytest.fixture
def imports(write: Callable[..., Path]) -> Import:
    """Write `sheet.csv`, compare it with the folder, and write what changes."""

    def imports(
        text: str | bytes, *, update: bool = False, secrets_dir: Path | None = None, gid: int | None = None
    ) -> Changes:
        path, today = write(text, "sheet.csv"), date(2026, 11, 24)
        changes = sheet.compared(path, Path("accounts.d"), secrets_dir, today, update=update)
        sheet.write(changes, gid)
        return changes

    return imports
