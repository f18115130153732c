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
class _Destination(Generic[S]):
    """Session of one destination, its calls in flight, and how many connections it may have open at most."""

    session: S
    in_flight: int = 0
    open: int = 0


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
        self._destinations: dict[Hashable, _Destination[S]] = {}

    def turn(self, destination: Hashable) -> Turn[S]:
        """Return a context that waits for its turn and gives the session for one call to `destination`."""
        return Turn(self, destination)

    async def begin(self, destination: Hashable) -> _Destination[S]:
        """Begin a call once it is its turn, and there is room for its connection."""
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

    def end(self, used: _Destination[S]) -> None:
        """End a call."""
        used.in_flight -= 1
        if not used.in_flight:
            self._one_is_idle.set()
        self._slots.release()

    async def close(self) -> None:
        """Close all sessions."""
        while self._destinations:
            await self._close(next(iter(self._destinations)))

    async def _taken(self, destination: Hashable) -> _Destination[S]:
        """Return the destination with one more call in flight."""
        while True:
            used = self._destinations.pop(destination, None) or _Destination(self._open_session(destination))
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


class Turn(Generic[S]):
    """Turn of one call. A generator as context manager would cost 2 % of a call's CPU."""

    __slots__ = ("_connections", "_destination", "_used")

    def __init__(self, connections: Connections[S], destination: Hashable) -> None:
        self._connections = connections
        self._destination = destination

    async def __aenter__(self) -> S:
        self._used = await self._connections.begin(self._destination)
        return self._used.session

    async def __aexit__(self, *_: object) -> None:
        self._connections.end(self._used)
