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
        (64, (1024, 4096), 320, (4096, 4096)),
        (64, (740, 740), 320, None),
        (64, (256, 1_048_576), 320, (65_536, 1_048_576)),
        (512, (1024, NO_LIMIT), 2560, (65_536, NO_LIMIT)),
        (64, (100_000, NO_LIMIT), 320, None),
        (64, (NO_LIMIT, NO_LIMIT), 320, None),
        (1, (64, 64), 4, None),
    ],
    ids=["raised", "just enough", "raised to the most", "no hard limit", "more than the most", "no limit", "least"],
)
def test_open_files(workers: int, limit: Limits, connections: int, raised: Limits | None, limits: list[Limits]) -> None:
    """Five calls in flight for each worker, two connections a call, and 100 files; the soft limit is raised first."""
    limits.append(limit)
    assert connect._connections(workers) == connections
    assert limits[1:] == ([raised] if raised else [])


def test_too_few_open_files(limits: list[Limits]) -> None:
    """A hard limit below that is used up to its end, and named."""
    limits.append((256, 256))
    with structlog.testing.capture_logs() as logs:
        assert connect._connections(512) == 78
    assert [(log["event"], log["open_files"], log["wanted"]) for log in logs] == [("connections.limited", 256, 5220)]


def test_limit_that_cant_be_raised(limits: list[Limits], monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that allows less than its hard limit leaves the soft one."""

    def refuse(kind: int, limit: Limits) -> None:
        raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr(resource, "setrlimit", refuse)
    limits.append((256, NO_LIMIT))
    assert connect._connections(512) == 78


def test_windows_has_no_such_limit(limits: list[Limits], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert connect._connections(512) == 2560
    assert limits == []
