"""The accounts that authorised a third-party platform and stand in no file: found in its list, remembered in the state.

What an account is, WeChat is asked once: the state keeps it, so that later runs ask for new ones alone.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from itertools import count

import structlog

from collector.account import first_of_group
from collector.config import Selection, Settings
from collector.errors import CallError, ComponentError, UsageError, printable
from collector.model import Account, AccountState, Authorizer, Component, Failure
from collector.report.words import counted
from collector.wechat.access import Access
from collector.wechat.component import ComponentApi, Listing

log = structlog.get_logger()

MOST_ASKED = 16
"""Calls about new accounts of one platform in flight at once."""

MOST_LETTERS = 80
"""Of a nickname, so that a name has room for what makes it unique."""

_ENDED_HINT = "the list of authorised accounts ended early, so new ones may be missing: run again"
_EMPTY_HINT = (
    "the list of authorised accounts is empty, so those of before are kept: run again, or take the platform out if "
    "they have all left"
)


@dataclass(frozen=True, slots=True)
class Discovered:
    """What the platforms' lists say now: all states, those of them that have changed, and what failed.

    A failure of a platform counts no account: those that it fails tell by themselves.
    """

    states: Mapping[str, AccountState]
    changed: Sequence[AccountState]
    failures: Sequence[Failure]


def known_accounts(settings: Settings, states: Mapping[str, AccountState]) -> tuple[Account, ...]:
    """All accounts: those of the configuration, then the official accounts that its platforms have discovered."""
    configured = {account.appid for account in settings.accounts}
    found = {
        appid: state.authorizer
        for component in _discovering(settings)
        for appid, state in states.items()
        if state.authorizer and _is_wanted(state.authorizer, component, appid) and appid not in configured
    }
    taken = (key for account in settings.accounts for key in (account.name, account.appid))
    names = _unique_names(found, taken)
    discovered = (settings.account_of(appid, names[appid], about.component) for appid, about in found.items())
    return (*settings.accounts, *discovered)


def selected(selection: Selection, settings: Settings, found: Discovered) -> tuple[Account, ...]:
    """The accounts that `selection` takes of all that are known by now.

    Nobody where none matches and a platform failed, which may well have it. Raises `UsageError` when none matches.
    """
    accounts = known_accounts(settings, found.states)
    try:
        if not accounts:
            raise UsageError("no official account has authorised the platforms yet, and none is configured")
        return selection.of(accounts)
    except UsageError:
        if found.failures:
            return ()
        raise


async def discover(settings: Settings, states: Mapping[str, AccountState], access: Access) -> Discovered:
    """Read the lists of the platforms that discover accounts, and ask what the new ones are.

    An account that has left the list is forgotten as one of the platform's; its documents and state stay. A list
    that can't be read, or ends early, takes nobody away. Raises `StoppedError` at a stop signal.
    """
    known, failures = dict(states), []
    listings: dict[str, Listing] = {}
    for component in _discovering(settings):
        try:
            listings[component.name] = await access.components[component.name].authorizers()
        except CallError as error:
            failures.append(_failure(component.appid, component.name, error, accounts=0))
    configured = {account.appid for account in settings.accounts}
    apis = [access.components[name] for name in listings]
    listed = {
        api.component.name: listings[api.component.name].refresh_tokens.keys() - configured - api.component.exclude
        for api in apis
    }
    for api in apis:
        failures += await _learn(api, listed, known)
    for api in apis:
        failures += _forget(api.component, listings[api.component.name], known)
    changed = [state for appid, state in known.items() if state is not states.get(appid)]
    return Discovered(known, changed, failures)


def _discovering(settings: Settings) -> Iterator[Component]:
    return (component for component in settings.components if component.discover)


def _is_wanted(about: Authorizer, component: Component, appid: str) -> bool:
    return about.component == component.name and not about.mini_program and appid not in component.exclude


async def _learn(
    api: ComponentApi, listed: Mapping[str, AbstractSet[str]], known: dict[str, AccountState]
) -> list[Failure]:
    """Enter in `known` what each account of the list is; WeChat is asked about those alone that were never seen.

    `listed` are the accounts that each platform has now. One that is remembered of a platform which hasn't got it any
    more, be it that this bears a new name or failed, goes over to the one that lists it.
    """
    component, failures = api.component, []
    strangers = []
    for appid in sorted(listed[component.name]):
        about = known[appid].authorizer if appid in known else None
        if about is None:
            strangers.append(appid)
        elif appid not in listed.get(about.component, ()):
            known[appid] = replace(known[appid], authorizer=replace(about, component=component.name))
    waiting = iter(strangers)

    async def ask() -> None:
        for appid in waiting:
            try:
                about = await api.authorizer(appid)
            except ComponentError as error:
                failures.append(_failure(component.appid, component.name, error, accounts=0))
            except CallError as error:
                failures.append(_failure(appid, appid, error, accounts=1))
            else:
                about = replace(about, nick_name=_readable(about))
                known[appid] = replace(
                    known.get(appid) or AccountState(appid, about.nick_name or appid), authorizer=about
                )

    with first_of_group():
        async with asyncio.TaskGroup() as asking:
            for _ in range(MOST_ASKED):
                asking.create_task(ask())
    return failures


def _forget(component: Component, listing: Listing, known: dict[str, AccountState]) -> list[Failure]:
    """Take those who have left the list out of the platform's accounts, if the list can be trusted."""
    remembered = [
        appid for appid, state in known.items() if state.authorizer and state.authorizer.component == component.name
    ]
    message, hint = f"the list ended after {counted(len(listing.refresh_tokens), 'account')}", _ENDED_HINT
    if listing.is_whole and not listing.refresh_tokens:
        message, hint = "the list is empty", _EMPTY_HINT
    if not listing.is_whole or (remembered and not listing.refresh_tokens):
        return [Failure(component.appid, component.name, None, message, hint=hint, accounts=0)]
    if len(listing.refresh_tokens) < listing.total:
        return []  # while the pages were read somebody left, and another slipped from one page to the one before
    for appid in remembered:
        if appid not in listing.refresh_tokens:
            log.warning("authorizer.left", account=known[appid].name, appid=appid, component=component.name)
            known[appid] = replace(known[appid], authorizer=None)
    return []


def _failure(appid: str, name: str, error: CallError, *, accounts: int) -> Failure:
    """What kept an account from being known; or a platform, which counts no account here."""
    return Failure(appid, name, None, error.errmsg, error.errcode, error.rid, error.hint, accounts=accounts)


def _unique_names(found: Mapping[str, Authorizer], taken: Iterable[str]) -> dict[str, str]:
    """A name for each account: its nickname; with the end of the appid, or the appid alone, where others have it."""
    nicks = {appid: _readable(about) for appid, about in found.items()}
    counts = Counter(nicks.values())
    owners = {appid: appid for appid in found} | dict.fromkeys(taken, "")
    return {
        appid: next(name for name in _names(appid, nicks[appid], counts) if owners.setdefault(name, appid) == appid)
        for appid in sorted(found)
    }


def _names(appid: str, nick: str, counts: Mapping[str, int]) -> Iterator[str]:
    """The names that an account may have, the best first."""
    if nick and counts[nick] == 1:
        yield nick
    if nick:
        yield f"{nick} ({appid[-4:]})"
    yield appid
    yield from (f"{appid} ({number})" for number in count(2))


def _readable(about: Authorizer) -> str:
    return printable(about.nick_name, MOST_LETTERS).strip()
