"""Circuit breakers: calls that would fail like those before aren't made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import structlog

from collector.errors import CallError, CollectorError, PostponedError

log = structlog.get_logger()

E = TypeVar("E", bound=CollectorError)

MAX_FAILURES = 3
"""Failures for one and the same reason before a circuit breaker opens."""


class CircuitBreaker(Generic[E]):
    """Circuit breaker of one server, program or platform: closed at first, open after `max_failures` failures.

    A caller uses `check` first, and notes the result with `failed` or `succeeded`. A success closes the breaker.
    `error` is the failure noted last, or the one that opened it.
    """

    def __init__(self, max_failures: int = MAX_FAILURES) -> None:
        self._max_failures = max_failures
        self.failures = 0
        self.error: E | None = None

    @property
    def is_open(self) -> bool:
        """True if calls would fail like those before, so that none should be made."""
        return self.failures >= self._max_failures

    def check(self) -> None:
        """Raise a copy of the failure that opened the breaker, if it is open."""
        if self.error and self.is_open:
            raise self.error.copy()

    def failed(self, error: E, *, at_once: bool = False) -> None:
        """Note a failure; `at_once` opens the breaker whatever the number of failures."""
        if self.is_open:
            return  # calls that were in flight when it opened add nothing
        self.failures = self._max_failures if at_once else self.failures + 1
        self.error = error.copy()

    def succeeded(self) -> None:
        """Close the breaker."""
        self.failures = 0
        self.error = None


PROBE_EVERY_S = 15
"""Seconds between the calls that find out whether a server or a program is back."""

POSTPONE_S = 120
"""Seconds after opening in which callers are postponed; a restart takes no longer, and later ones fail at once."""


class HalfOpenBreaker(CircuitBreaker[CallError]):
    """Circuit breaker that lets one caller through every `PROBE_EVERY_S` seconds while it is open: the probe.

    A caller uses `begin` first, and notes the result. `monotonic` gives seconds that pass evenly. When a probe began
    is what counts, not its end: one that is cancelled, or takes long, doesn't hold up the next one. Opening and closing
    are logged once for all callers, with the `name` of what is unresponsive.
    """

    def __init__(self, name: str, monotonic: Callable[[], float]) -> None:
        super().__init__()
        self._name = name
        self._monotonic = monotonic
        self._opened_s = self._next_probe_s = 0.0
        self._refused = 0

    def check(self) -> None:
        """Raise `refusal` if the breaker is open and no probe is due."""
        if self.error and self.is_open and self._monotonic() < self._next_probe_s:
            raise self.refusal(self.error)

    def begin(self) -> None:
        """Begin a call, which is the probe if the breaker is open. Raises what `check` raises."""
        self.check()
        self._next_probe_s = self._monotonic() + PROBE_EVERY_S

    def refusal(self, error: CallError) -> CollectorError:
        """Return the error to raise in the place of `error` while the breaker is open.

        It is a `PostponedError` until `POSTPONE_S` seconds after opening, then a copy of `error`, which may recover: a
        later probe may succeed.
        """
        self._refused += 1
        now_s, fails_s = self._monotonic(), self._opened_s + POSTPONE_S
        error = error.copy()
        error.may_recover = True
        return error if now_s >= fails_s else PostponedError(error, at_s=min(max(now_s, self._next_probe_s), fails_s))

    def failed(self, error: CallError, *, at_once: bool = False) -> None:
        """Note a failure. The one that opens the breaker counts as the first probe."""
        was_open = self.is_open
        super().failed(error, at_once=at_once)
        if self.is_open and not was_open:
            self._opened_s, self._refused = self._monotonic(), 0
            self._next_probe_s = self._opened_s + PROBE_EVERY_S
            log.warning("breaker.opened", of=self._name, why=str(error), probe_every_s=PROBE_EVERY_S)

    def succeeded(self) -> None:
        """Close the breaker."""
        if self.is_open:
            after_s = round(self._monotonic() - self._opened_s)
            log.warning("breaker.closed", of=self._name, after_s=after_s, calls_refused=self._refused)
        super().succeeded()


class Breakers:
    """The circuit breakers of a run, by what they stand for."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._breakers: dict[str, HalfOpenBreaker] = {}

    def of(self, key: str, name: str) -> HalfOpenBreaker:
        """Return the breaker of `key`, which the log calls `name`."""
        if key not in self._breakers:
            self._breakers[key] = HalfOpenBreaker(name, self._monotonic)
        return self._breakers[key]
