"""A site of the clients' last 30 days."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from clients import NEWEST

from collector.commands.report import Order
from collector.commands.site import site
from collector.completeness.plan import Target
from collector.config import Selection, Settings
from collector.model.language import Language
from collector.model.reported import Reported
from collector.report.figures.periods import parse
from collector.report.terms import Terms

NOW = datetime(2026, 11, 11, 2, tzinfo=UTC)

Write = Callable[..., Awaitable[Reported]]


@pytest.fixture
def write(settings: Settings, tmp_path: Path) -> Write:
    """Write a site of the last 30 days."""

    async def written(
        settings: Settings = settings, *, now: datetime = NOW, period: str = "30", language: Language = Language.ZH
    ) -> Reported:
        order = Order(Selection(), parse(period), Target(NEWEST, 7), Terms(language), now)
        return await site(settings, order, tmp_path / "site")

    return written
