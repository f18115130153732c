"""Outages of MongoDB: logged once for all calls that wait for their end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from collector.runtime import boot_s

log = structlog.get_logger()


class Outages:
    """The outage that calls of this process wait for, if there is one; `is_logged` unless another process does that."""

    def __init__(self) -> None:
        self.is_logged = True
        self._began_s = 0.0
        self._calls = self._waiting = 0

    @contextmanager
    def waiting(self, timeout_s: float) -> Iterator[None]:
        """Wait in the body, at most `timeout_s` seconds. The first call begins an outage, the last one ends it."""
        if not self._waiting:
            self._began_s, self._calls = boot_s(), 0
            if self.is_logged:
                log.warning("mongodb.away", waiting_s=timeout_s)
        self._waiting += 1
        self._calls += 1
        try:
            yield
        finally:
            self._waiting -= 1
        if not self._waiting and self.is_logged:
            log.warning("mongodb.back", after_s=round(boot_s() - self._began_s), calls_waited=self._calls)


OUTAGES = Outages()
"""Those of the one MongoDB that a process uses."""
