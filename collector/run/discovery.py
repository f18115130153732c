"""The accounts that authorised a third-party platform and stand in no file: found in its list, remembered in the state.

What an account is, WeChat is asked once: the state keeps it, so that later runs ask for new ones alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from itertools import count

import structlog

from collector.config import Selection, Settings
from collector.errors import CallError, Reaction, UsageError
from collector.model.accounts import Account, Component
from collector.model.results import Failure, Notice
from collector.model.state import AccountState, Authorizer
from collector.run.reactions import wait_ordered_by
from collector.run.tally import Tally
from collector.runtime import Clock, first_of_group
from collector.text import counted, printable
from collector.wechat.component import ComponentApi, Listing
from collector.wechat.session import Access

log = structlog.get_logger()

MOST_ASKED = 16
"""Calls about new accounts of one platform in flight at once."""

MOST_MET = 3
"""Troubles with calls about accounts, each after its retries, before no more are asked about in this run."""

MOST_LETTERS = 80
"""Of a nickname, so that a name has room for what makes it unique."""

_ENDED_HINT = "the list of authorised accounts ended early, so new ones may be missing: run again"
_EMPTY_HINT = (
    "the list of authorised accounts is empty, so those of before are kept: run again, or take the platform out if "
    "they have all left"
)


@dataclass(frozen=True, slots=True)
class Discovered:
    """What the platforms' lists say now: all states, those of them that have changed, what failed, and what waits.

    A failure of a platform counts no account: those that it fails tell by themselves.
    """

    states: Mapping[str, AccountState]
    changed: Sequence[AccountState]
    failures: Sequence[Failure]
    notices: Sequence[Notice] = ()


def known_accounts(settings: Settings, states: Mapping[str, AccountState]) -> tuple[Account, ...]:
    """All accounts: those of the configuration, then the official accounts that its platforms have discovered."""
    configured = {account.appid for account in settings.accounts}
    found = {
        appid: state.authorizer
        for component in _discovering(settings)
        for appid, state in states.items()
        if state.authorizer and _is_wanted(state.authorizer, component, appid) and appid not in configured
    }
    names_before = {appid: states[appid].name for appid in found}
    taken = (key for account in settings.accounts for key in (account.name, account.appid))
    names = _unique_names(found, names_before, taken)
    discovered = (settings.account_of(appid, names[appid], about.component) for appid, about in found.items())
    return (*settings.accounts, *discovered)


def selected(selection: Selection, settings: Settings, found: Discovered) -> tuple[Account, ...]:
    """The accounts that `selection` takes of all that are known by now.

    Nobody where none matches and a platform failed or waits, which may well have it; else that is a `UsageError`.
    """
    accounts = known_accounts(settings, found.states)
    try:
        if not accounts:
            raise UsageError("no official account has authorised the platforms yet, and none is configured")
        return selection.of(accounts)
    except UsageError:
        if found.failures or found.notices:
            return ()
        raise


def take_discovered(found: Discovered, selection: Selection, settings: Settings, tally: Tally) -> tuple[Account, ...]:
    """Count what discovery has found; return the accounts that the command is for."""
    for failure in found.failures:
        tally.fail(failure, of=failure.account)
    for notice in found.notices:
        tally.note(notice)
    accounts = selected(selection, settings, found)
    tally.expect(accounts)
    return accounts


async def discover(settings: Settings, states: Mapping[str, AccountState], access: Access) -> Discovered:
    """Read the lists of the platforms that discover accounts, and ask what the new ones are.

    An account that has left the list is forgotten as one of the platform's; its documents and state stay. A list
    that can't be read, or ends early, takes nobody away. Raises `StoppedError` at a stop signal.
    """
    known, troubles = dict(states), _Troubles(access.clock)
    apis = [access.components[component.name] for component in _discovering(settings)]
    with first_of_group():
        async with asyncio.TaskGroup() as reading:
            tasks = {api: reading.create_task(_listing(api, troubles)) for api in apis}
    listings = {api: listing for api, task in tasks.items() if (listing := task.result())}
    configured = {account.appid for account in settings.accounts}
    listed = {
        api.component.name: listing.refresh_tokens.keys() - configured - api.component.exclude
        for api, listing in listings.items()
    }
    for api in listings:
        await _learn(api, listed, known, troubles)
    for api, listing in listings.items():
        _forget(api.component, listing, known, troubles)
    changed = [state for appid, state in known.items() if state is not states.get(appid)]
    return Discovered(known, changed, troubles.failures, troubles.notices)


@dataclass(frozen=True, slots=True)
class _Troubles:
    """What kept accounts from being known."""

    clock: Clock
    failures: list[Failure] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)

    def of_platform(self, component: Component, error: CallError, *, unasked: int = 0) -> None:
        """Note what befell a platform: a failure that counts no account, or a wait."""
        if wait := wait_ordered_by(error, self.clock.now()):
            self.notices.append(Notice(component.appid, component.name, *wait))
        else:
            more = f" ({counted(unasked, 'new account')} not known yet)" if unasked else ""
            self.fail(component.appid, component.name, error, errmsg=error.errmsg + more, accounts=0)

    def fail(self, appid: str, name: str, error: CallError, *, errmsg: str, accounts: int) -> None:
        """Note a failure that counts as many accounts."""
        failure = Failure(appid, name, None, errmsg, error.errcode, error.rid, error.hint, accounts=accounts)
        self.failures.append(failure)


async def _listing(api: ComponentApi, troubles: _Troubles) -> Listing | None:
    try:
        return await api.authorizers()
    except CallError as error:
        troubles.of_platform(api.component, error)
        return None


def _discovering(settings: Settings) -> Iterator[Component]:
    return (component for component in settings.components if component.discover)


def _is_wanted(about: Authorizer, component: Component, appid: str) -> bool:
    return about.component == component.name and not about.mini_program and appid not in component.exclude


async def _learn(
    api: ComponentApi, listed: Mapping[str, AbstractSet[str]], known: dict[str, AccountState], troubles: _Troubles
) -> None:
    """Enter in `known` what each account of the list is; WeChat is asked about those alone that were never seen.

    `listed` are the accounts that each platform has now. One that is remembered of a platform which hasn't got it any
    more, be it that this bears a new name or failed, goes over to the one that lists it.
    """
    component, strangers = api.component, []
    for appid in sorted(listed[component.name]):
        about = known[appid].authorizer if appid in known else None
        if about is None:
            strangers.append(appid)
        elif appid not in listed.get(about.component, ()):
            known[appid] = replace(known[appid], authorizer=replace(about, component=component.name))
    asking = _Asking(api, iter(strangers), known, troubles)
    with first_of_group():
        async with asyncio.TaskGroup() as lanes:
            for _ in range(MOST_ASKED):
                lanes.create_task(asking.lane())
    if asking.met:
        unasked = sum(1 for appid in strangers if appid not in known or not known[appid].authorizer)
        troubles.of_platform(component, asking.met[-1], unasked=unasked)


@dataclass(slots=True)
class _Asking:
    """Asks what accounts are, several at once, until troubles that aren't an account's own have become too many."""

    api: ComponentApi
    strangers: Iterator[str]
    known: dict[str, AccountState]
    troubles: _Troubles
    met: list[CallError] = field(default_factory=list)

    async def lane(self) -> None:
        """Ask about one account after the other."""
        for appid in self.strangers:
            if len(self.met) >= MOST_MET or any(error.reaction is not Reaction.RETRY for error in self.met):
                return
            try:
                about = await self.api.authorizer(appid)
            except CallError as error:
                self._meet(appid, error)
            else:
                about = replace(about, nick_name=_readable(about))
                state = self.known.get(appid) or AccountState(appid, about.nick_name or appid)
                self.known[appid] = replace(state, authorizer=about)

    def _meet(self, appid: str, error: CallError) -> None:
        if error.reaction.value.is_shared:
            self.met.append(error)
        else:
            self.troubles.fail(appid, appid, error, errmsg=error.errmsg, accounts=1)


def _forget(component: Component, listing: Listing, known: dict[str, AccountState], troubles: _Troubles) -> None:
    """Take those who have left the list out of the platform's accounts, if the list can be trusted."""
    remembered = [
        appid for appid, state in known.items() if state.authorizer and state.authorizer.component == component.name
    ]
    message, hint = f"the list ended after {counted(len(listing.refresh_tokens), 'account')}", _ENDED_HINT
    if listing.is_whole and not listing.refresh_tokens:
        message, hint = "the list is empty", _EMPTY_HINT
    if not listing.is_whole or (remembered and not listing.refresh_tokens):
        troubles.failures.append(Failure(component.appid, component.name, None, message, hint=hint, accounts=0))
        return
    for appid in remembered:
        if appid not in listing.refresh_tokens:
            log.warning("authorizer.left", account=known[appid].name, appid=appid, component=component.name)
            known[appid] = replace(known[appid], authorizer=None)


def _unique_names(found: Mapping[str, Authorizer], before: Mapping[str, str], taken: Iterable[str]) -> dict[str, str]:
    """A name for each account: its nickname; with the end of the appid, or the appid alone, where others have it.

    Who had the nickname for a name `before` keeps it.
    """
    nicks = {appid: _readable(about) for appid, about in found.items()}
    owners = {appid: appid for appid in found} | dict.fromkeys(taken, "")
    return {
        appid: next(name for name in _names(appid, nicks[appid]) if owners.setdefault(name, appid) == appid)
        for appid in sorted(found, key=lambda appid: (before.get(appid) != nicks[appid], appid))
    }


def _names(appid: str, nick: str) -> Iterator[str]:
    """The names that an account may have, the best first."""
    if nick:
        yield nick
        yield f"{nick} ({appid[-4:]})"
    yield appid
    yield from (f"{appid} ({number})" for number in count(2))


def _readable(about: Authorizer) -> str:
    return printable(about.nick_name, MOST_LETTERS).strip()
