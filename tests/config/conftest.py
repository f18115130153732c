"""Configuration files in a folder of their own, so that messages name them by short paths."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from collector.config import Settings, load, sample
from collector.errors import ConfigError, Fault

NOW = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)  # 01:00 of the 24th in Beijing

Write = Callable[..., Path]
Load = Callable[..., Settings]
Faults = Callable[..., tuple[Fault, ...]]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a file that its owner alone can read into the working directory."""
    monkeypatch.chdir(tmp_path)

    def write(content: str | bytes, name: str = "accounts.yaml", mode: int = 0o600) -> Path:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(mode)
        return path

    return write


@pytest.fixture
def loaded(write: Write) -> Load:
    """Write one file and load it."""

    def loaded(
        content: str | bytes, environ: Mapping[str, str] | None = None, now: datetime = NOW, mode: int = 0o600
    ) -> Settings:
        return load([write(content, mode=mode)], environ or {}, now)

    return loaded


@pytest.fixture
def faults(loaded: Load) -> Faults:
    """Write one file, load it in vain, and give its faults."""

    def faults(
        content: str | bytes, environ: Mapping[str, str] | None = None, now: datetime = NOW
    ) -> tuple[Fault, ...]:
        with pytest.raises(ConfigError) as caught:
            loaded(content, environ, now)
        return caught.value.faults

    return faults


@pytest.fixture
def whole_sample() -> str:
    """The sample with everything that it has commented out."""
    return re.sub(r"(?m)^( *)# ( *(?:- )?[a-z0-9_]+:(?: |$))", r"\1\2", sample())
