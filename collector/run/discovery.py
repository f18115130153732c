"""Discovery of accounts that authorised a third-party platform and aren't configured.

They are found in the platform's list and remembered in the state. WeChat is asked once for an account's name and kind,
so later runs ask only about new ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace

import structlog

from collector.config import Selection, Settings
from collector.errors import CallError, PostponedError, UsageError
from collector.model.accounts import Component, Entry
from collector.model.state import AccountState, Authorizer, UnusableState
from collector.run.discovered import Discovered, is_remembered
from collector.run.lookup import look_up
from collector.run.nicknames import unique_names
from collector.run.tally import Tally
from collector.runtime import first_of_group
from collector.wechat.component import ComponentApi, Listing
from collector.wechat.session import Session

log = structlog.get_logger()


def known_entries(settings: Settings, states: Mapping[str, AccountState]) -> tuple[Entry, ...]:
    """Return all entries of the configuration, then the official accounts that platforms have discovered."""
    configured = settings.appids
    found = {
        appid: state.authorizer
        for component in _discovering(settings)
        for appid, state in states.items()
        if state.authorizer and _is_wanted(state.authorizer, component, appid) and appid not in configured
    }
    names_before = {appid: states[appid].name for appid in found}
    taken = (key for entry in settings.entries for key in (entry.name, entry.appid) if key)
    names = unique_names(found, names_before, taken)
    discovered = (settings.account_of(appid, names[appid], about.component) for appid, about in found.items())
    return (*settings.entries, *discovered)


def may_be_discovered(settings: Settings, appid: str, state: AccountState | UnusableState) -> list[str]:
    """Return the platforms that may discover, or go on collecting, an account that is stored and not configured.

    Any of them may list an account that has authorised one: its own may have been renamed.
    """
    if isinstance(state, AccountState) and state.authorizer is None:
        return []
    return [component.name for component in _discovering(settings) if appid not in component.exclude]


def may_discover(settings: Settings, selection: Selection) -> bool:
    """Return True where `selection` may be for accounts that stand in no file."""
    return selection.reaches_beyond(settings.entries, map(settings.egress_of, _discovering(settings)))


def take_discovered(found: Discovered, selection: Selection, settings: Settings, tally: Tally) -> tuple[Entry, ...]:
    """Count what discovery has found; return the known entries that `selection` matches.

    Raises `UsageError` when none does, unless a platform failed or waits, which may have the accounts.
    """
    for failure in found.failures:
        tally.fail(failure, of=failure.account or failure.name)
    for notice in found.notices:
        tally.note(notice)
    entries = known_entries(settings, found.states)
    try:
        if not entries and not found.elsewhere:
            raise UsageError("no official account has authorised the platforms yet, and none is configured")
        entries = selection.of(entries) if entries or selection.names else ()
    except UsageError:
        if not found.failures and not found.notices:
            raise
        entries = ()
    tally.expect(entries)
    return entries


async def discover(
    settings: Settings, states: Mapping[str, AccountState], session: Session, selection: Selection
) -> Discovered:
    """Read the lists of the platforms that discover accounts, and look up new accounts and those that a list lacks.

    Only accounts are looked up, and states changed, that `selection` may be for; none that are new while a part of the
    configuration can't be read, which may disable them or limit their rate. An account that has withdrawn its
    authorisation isn't collected any more; its documents and state stay. No list alone removes an account. Raises
    `StoppedError` at a stop signal.
    """
    found, part = Discovered(dict(states), session.clock), _Part(settings, states, selection)
    configured = settings.appids
    # A platform of another label may be out of reach from here.
    apis = [session.components[name] for name, label in part.labels.items() if selection.has_label(label)]
    with first_of_group():
        async with asyncio.TaskGroup() as reading:
            tasks = {api: reading.create_task(_listing(api, found)) for api in apis}
    listings = {api: listing for api, task in tasks.items() if (listing := task.result())}
    if not settings.are_appids_known:
        log.warning("discovery.limited", reason="new accounts wait until the whole configuration can be read")
    listed: dict[str, AbstractSet[str]] = {}
    for api, listing in listings.items():
        appids = listing.refresh_tokens.keys() - configured - api.component.exclude
        listed[api.component.name] = part.of(appids, api.component)
        found.elsewhere += len(appids) - len(listed[api.component.name])
    for api in listings:
        _take_over(api.component, listed, found.states)
    for api, listing in listings.items():
        new = {appid for appid in listed[api.component.name] if not is_remembered(appid, found.states)}
        missing = _remembered(api.component, found) - configured - listing.refresh_tokens.keys()
        await look_up(api, listing, new, part.of(missing, api.component), found)
    found.changed = [state for appid, state in found.states.items() if state is not states.get(appid)]
    return found


class _Part:
    """The accounts that a run may discover. `labels` are the egress labels of the platforms that discover accounts."""

    def __init__(self, settings: Settings, states: Mapping[str, AccountState], selection: Selection) -> None:
        self._components = {component.name: component for component in _discovering(settings)}
        self.labels = {name: settings.egress_of(component) for name, component in self._components.items()}
        self._states = states
        self._selection = selection
        self._may_be_new = settings.are_appids_known
        names_any = not selection.names or selection.has_nickname(settings.entries)
        self._named = None if names_any else frozenset(selection.names)

    def of(self, appids: AbstractSet[str], component: Component) -> AbstractSet[str]:
        """Return those of a platform's accounts that the run may discover."""
        named = appids if self._named is None else appids & self._named
        known = named if self._may_be_new else {appid for appid in named if is_remembered(appid, self._states)}
        return {appid for appid in known if self._selection.has(appid, self._label(appid, component))}

    def _label(self, appid: str, component: Component) -> str | None:
        # An account may have authorised two platforms. The one that it is remembered of decides, even where that one
        # isn't asked in this run: else two runs would both collect it.
        about = self._states[appid].authorizer if appid in self._states else None
        owner = self._components.get(about.component) if about else None
        if about and owner and _is_wanted(about, owner, appid):
            component = owner
        return self.labels[component.name]


async def _listing(api: ComponentApi, found: Discovered) -> Listing | None:
    try:
        return await api.authorizers()
    except CallError as error:
        found.fail_platform(api.component, error)
    except PostponedError as postponed:
        found.fail_platform(api.component, postponed.trouble)
    return None


def _discovering(settings: Settings) -> Iterator[Component]:
    return (component for component in settings.components if component.discover)


def _is_wanted(about: Authorizer, component: Component, appid: str) -> bool:
    return about.component == component.name and not about.mini_program and appid not in component.exclude


def _remembered(component: Component, found: Discovered) -> AbstractSet[str]:
    """Return the accounts that are collected through the platform."""
    remembered = ((appid, state.authorizer) for appid, state in found.states.items() if state.authorizer)
    return {appid for appid, about in remembered if _is_wanted(about, component, appid)}


def _take_over(component: Component, listed: Mapping[str, AbstractSet[str]], known: dict[str, AccountState]) -> None:
    """Give the platform the remembered accounts in its list that their own platform doesn't list.

    That one was renamed, or has lost the account, or failed. `listed` are the accounts of each platform now.
    """
    for appid in listed[component.name]:
        about = known[appid].authorizer if appid in known else None
        if about and appid not in listed.get(about.component, ()):
            known[appid] = known[appid]._replace(authorizer=replace(about, component=component.name))
