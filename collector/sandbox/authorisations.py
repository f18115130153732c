"""The authorisations of the component and their refresh tokens."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice

from collector.sandbox.dice import Dice
from collector.sandbox.question import refuse_if
from collector.sandbox.world import World

_EARLIEST = 1_500_000_000
_SPAN_S = 100_000_000
"""Authorisations at the start date from the three years after July 2017."""


@dataclass(frozen=True, slots=True)
class Authorisation:
    """One account's or mini program's authorisation; `auth_time` is a Unix time."""

    appid: str
    refresh_token: str = field(repr=False)
    auth_time: int


class Authorisations:
    """The authorisations of one component.

    At the start all mini programs have authorised it, and the first `accounts` of the world's accounts (None: all).
    """

    def __init__(self, world: World, accounts: int | None = None) -> None:
        self._world = world
        # Counted beyond a withdrawal too: no refresh token is ever given twice.
        self._times = dict.fromkeys(world.authorizers, 0)
        self._by_appid: dict[str, Authorisation] = {}
        first = {account.appid for account in world.accounts[:accounts]}.union(world.mini_program_appids)
        for appid in filter(first.__contains__, world.authorizers):
            self.authorise(appid, _EARLIEST + Dice(world.seed, "auth time", appid).below(_SPAN_S))

    def __len__(self) -> int:
        return len(self._by_appid)

    def __getitem__(self, appid: str) -> Authorisation:
        return self._by_appid[appid]

    def authorise(self, appid: str, now: int) -> None:
        """Authorise, for the first time or again; again gives a new refresh token and keeps the place in the list.

        Raises:
            KeyError: the world has neither an account nor a mini program of that appid.
        """
        self._times[appid] += 1
        self._by_appid[appid] = Authorisation(appid, self._world.refresh_token(appid, self._times[appid]), now)

    def withdraw(self, appid: str) -> None:
        """End an authorisation.

        Raises:
            KeyError: there is none of that appid.
        """
        del self._by_appid[appid]

    def require(self, appid: str) -> Authorisation:
        """Return the authorisation of `appid`.

        Raises:
            RefusalError: there is none (61003).
        """
        refuse_if(appid not in self._by_appid, 61003)
        return self._by_appid[appid]

    def page(self, begin: int, end: int) -> list[Authorisation]:
        """Return the authorisations from place `begin` up to, but not including, `end`."""
        return list(islice(self._by_appid.values(), begin, end))
