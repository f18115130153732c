"""Lookup of single accounts of a platform: those that are new in its list, and those that it lacks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

import structlog

from collector.breakers import CircuitBreaker
from collector.errors import CallError, PostponedError
from collector.kinds import Reaction
from collector.model.results import Failure
from collector.model.state import AccountState, Authorizer
from collector.run.discovered import Discovered, is_remembered
from collector.run.nicknames import readable
from collector.runtime import first_of_group
from collector.text import counted
from collector.wechat.component import WITHDRAWN, ComponentApi, Listing

log = structlog.get_logger()

MAX_LOOKUPS = 16
"""Calls about new accounts of one platform in flight at once."""

_SHORT_HINT = "the list of authorised accounts is incomplete, so new ones may be missing: run again"


async def look_up(
    api: ComponentApi, listing: Listing, new: AbstractSet[str], missing: AbstractSet[str], found: Discovered
) -> None:
    """Ask WeChat about the accounts never seen before, and about the remembered ones that the list lacks."""
    component, listed = api.component, len(listing.refresh_tokens)
    lookup = _Lookup(api, iter(sorted(new | missing)), missing, found)
    with first_of_group():
        async with asyncio.TaskGroup() as lanes:
            for _ in range(MAX_LOOKUPS):
                lanes.create_task(lookup.lane())
    if lookup.breaker.error:
        unasked = sum(not is_remembered(appid, found.states) for appid in new)
        found.fail_platform(component, lookup.breaker.error, unasked=unasked)
    if not listing.is_whole or lookup.kept:
        lacks = f"the list lacks {counted(lookup.kept, 'account')} that authorised the platform"
        message = lacks if listing.is_whole else f"the list ended after {counted(listed, 'account')}"
        found.failures.append(Failure(component.appid, component.name, None, message, hint=_SHORT_HINT, accounts=0))


@dataclass(slots=True)
class _Lookup:
    """Lookup of accounts, several at once, until the platform's circuit breaker opens.

    `missing` are those among `appids` that are remembered and not in the list, `kept` counts those of them that are
    still authorised.
    """

    api: ComponentApi
    appids: Iterator[str]
    missing: AbstractSet[str]
    found: Discovered
    kept: int = 0
    breaker: CircuitBreaker[CallError] = field(default_factory=CircuitBreaker)

    async def lane(self) -> None:
        """Look up one account after the other."""
        for appid in self.appids:
            if self.breaker.is_open:
                return
            try:
                about = await self.api.authorizer(appid)
            except CallError as error:
                self._note(appid, error)
            except PostponedError as postponed:
                self.breaker.failed(postponed.trouble, at_once=True)
            else:
                self._remember(appid, about)

    def _remember(self, appid: str, about: Authorizer) -> None:
        if appid in self.missing:
            self.kept += 1
            return
        about = replace(about, nick_name=readable(about))
        state = self.found.states.get(appid) or AccountState(appid, about.nick_name or appid)
        self.found.states[appid] = state._replace(authorizer=about)

    def _note(self, appid: str, error: CallError) -> None:
        if error.reaction.is_shared:
            # Retries were of no use, so the next account may still get through; after a wait or a stale token none can.
            self.breaker.failed(error, at_once=error.reaction is not Reaction.RETRY)
        elif appid not in self.missing:
            self.found.fail(appid, appid, error, errmsg=error.errmsg, accounts=1)
        elif error.errcode == WITHDRAWN:
            self._forget(appid)
        else:
            self.kept += 1  # WeChat knows the account, which then fails by itself

    def _forget(self, appid: str) -> None:
        state = self.found.states[appid]
        log.warning("authorizer.left", account=state.name, appid=appid, component=self.api.component.name)
        self.found.states[appid] = state._replace(authorizer=None)
