"""A value that is fetched once for all who need it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from collector.errors import CallError

T = TypeVar("T")


class Once(Generic[T]):
    """A value fetched by the first caller and shared by all: later callers get it, or a copy of its `CallError`.

    A first caller that is cancelled, or fails otherwise, leaves the fetching to the next one; so does one with an error
    that `may_recover`.
    """

    _value: T

    def __init__(self, fetch: Callable[[], Awaitable[T]]) -> None:
        self._fetch = fetch
        self._lock = asyncio.Lock()
        self._has_value = False
        self._error: CallError | None = None

    @property
    def has_failed(self) -> bool:
        """True if an error is remembered."""
        return self._error is not None

    async def get(self) -> T:
        """Return the value. Raises the error of the fetching, as an exception object of the caller's own."""
        async with self._lock:
            if self._error:
                raise self._error.copy()
            if not self._has_value:
                try:
                    self._value = await self._fetch()
                except CallError as error:
                    if not error.may_recover:
                        # Raised to thousands of callers, one object would collect the frames of them all.
                        self._error = error.copy()
                    raise
                self._has_value = True
            return self._value
