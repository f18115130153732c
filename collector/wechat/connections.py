"""Turns of calls, and the connections that are kept between them: both bounded, over all destinations together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

OPEN_PER_CALL = 2
"""Connections that may be open for each call in flight: one in use, and one kept for a later call."""


class Closable(Protocol):
    """A session that keeps connections until it is closed."""

    async def close(self) -> None:
        """Close all connections."""


S = TypeVar("S", bound=Closable)


@dataclass(slots=True)
class Destination(Generic[S]):
    """Session of one destination, its calls in flight, and how many connections it may have open at most.

    A context manager over one call whose turn it is.
    """

    session: S
    end_call: Callable[[Destination[S]], None]
    in_flight: int = 0
    open: int = 0

    def __enter__(self) -> S:
        return self.session

    def __exit__(self, *_: object) -> None:
        self.end_call(self)


class Connections(Generic[S]):
    """Sessions of a run, one for each destination: a host by a proxy or without one, or a token server.

    At most `max_in_flight` calls are made at once. A session counts for as many connections as it had calls in flight
    at once. Where all of them would count for more than `OPEN_PER_CALL` times `max_in_flight`, sessions without a call
    are closed, the one that was used longest ago first, and without any such session a call waits for one. So with a
    proxy for each of thousands of accounts, neither open files nor memory grow with the accounts.
    """

    def __init__(self, max_in_flight: int, open_session: Callable[[Hashable], S]) -> None:
        self._slots = asyncio.Semaphore(max_in_flight)
        self._max_open = OPEN_PER_CALL * max_in_flight
        self._open_session = open_session
        self._open = 0
        self._room = asyncio.Lock()
        self._one_is_idle = asyncio.Event()
        # In the order of their last use.
        self._destinations: dict[Hashable, Destination[S]] = {}

    async def turn(self, destination: Hashable) -> Destination[S]:
        """Wait for the turn of one call to `destination`, and for room for its connection; return its context."""
        await self._slots.acquire()
        used = self._destinations.get(destination)
        if used and used.in_flight < used.open and not self._room.locked():  # as for most calls
            self._destinations[destination] = self._destinations.pop(destination)
            used.in_flight += 1
            return used
        try:
            # In turn: while a call waits for room, later ones would keep all destinations busy.
            async with self._room:
                return await self._taken(destination)
        except BaseException:
            self._slots.release()
            raise

    def _end(self, used: Destination[S]) -> None:
        used.in_flight -= 1
        if not used.in_flight:
            self._one_is_idle.set()
        self._slots.release()

    async def close(self) -> None:
        """Close all sessions."""
        while self._destinations:
            await self._close(next(iter(self._destinations)))

    async def _taken(self, destination: Hashable) -> Destination[S]:
        """Return the destination with one more call in flight."""
        while True:
            used = self._destinations.pop(destination, None) or Destination(self._open_session(destination), self._end)
            self._destinations[destination] = used
            if used.in_flight < used.open or self._open < self._max_open:
                break
            idle = next(
                (each for each, other in self._destinations.items() if not other.in_flight and other.open), None
            )
            if idle is not None:
                await self._close(idle)
            else:
                self._one_is_idle.clear()
                await self._one_is_idle.wait()
        used.in_flight += 1
        if used.in_flight > used.open:
            used.open += 1
            self._open += 1
        return used

    async def _close(self, destination: Hashable) -> None:
        closed = self._destinations.pop(destination)
        self._open -= closed.open
        await closed.session.close()
