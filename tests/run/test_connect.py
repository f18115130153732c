"""Sizes of the connections to WeChat: as many as the workers use, as far as open files allow."""

from __future__ import annotations

import resource
import sys

import pytest
import structlog

from collector.run import connect

Limits = tuple[int, int]
NO_LIMIT = resource.RLIM_INFINITY


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[Limits]:
    """The soft and hard limits of open files that were set, the last one in force."""
    known: list[Limits] = []
    monkeypatch.setattr(resource, "getrlimit", lambda kind: known[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda kind, limit: known.append(limit))
    return known


@pytest.mark.parametrize(
    ("workers", "limit", "connections", "raised"),
    [
        (64, (1024, 4096), 320, None),
        (64, (420, 420), 320, None),
        (64, (419, 100_000), 320, (420, 100_000)),
        (512, (1024, NO_LIMIT), 2560, (2660, NO_LIMIT)),
        (1, (64, 64), 4, None),
    ],
    ids=["enough", "just enough", "raised", "raised without a hard limit", "least"],
)
def test_open_files(workers: int, limit: Limits, connections: int, raised: Limits | None, limits: list[Limits]) -> None:
    """Five connections for each worker and 100 files beside them; the soft limit is raised for that."""
    limits.append(limit)
    assert connect._connections(workers) == connections
    assert limits[1:] == ([raised] if raised else limits[1:])


def test_too_few_open_files(limits: list[Limits]) -> None:
    """A hard limit below that is used up to its end, and named."""
    limits.append((256, 256))
    with structlog.testing.capture_logs() as logs:
        assert connect._connections(512) == 156
    assert [(log["event"], log["open_files"], log["wanted"]) for log in logs] == [("connections.limited", 256, 2660)]


def test_windows_has_no_such_limit(limits: list[Limits], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert connect._connections(512) == 2560
    assert limits == []
