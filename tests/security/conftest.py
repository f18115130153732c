"""Fixtures of the tests of security: a client, and the settings of one file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from collector import config
from collector.config import Settings
from collector.runtime import Stop
from collector.wechat.client import Client

NOW = datetime(2026, 11, 24, 2, 30, tzinfo=UTC)


@pytest.fixture
async def client(stop: Stop) -> Any:
    async with Client.opened(timeout_s=5, connections=4, stop=stop) as opened:
        yield opened


@pytest.fixture
def loaded(tmp_path: Path) -> Callable[..., Settings]:
    """Load the settings of one file."""

    def load_file(text: str, environ: Mapping[str, str] | None = None, mode: int = 0o600) -> Settings:
        path = tmp_path / "accounts.yaml"
        path.write_text(text)
        path.chmod(mode)
        return config.load([path], environ or {}, NOW)

    return load_file
