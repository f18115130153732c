"""Delete what is stored of a client that left: its state, and its documents of `user_daily` where that is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from collector.config import Settings
from collector.errors import ConfigError, RefusedError, UsageError
from collector.model.accounts import is_appid
from collector.model.forgotten import Departed, Forgotten
from collector.model.parts import Part
from collector.model.state import AccountState, UnusableState
from collector.run.discovery import may_be_discovered
from collector.store.database import Database, open_database
from collector.store.documents import count_days, delete_days
from collector.store.leases import lease
from collector.store.location import location_of
from collector.store.runs import new_run_id
from collector.store.state import delete_state, read_outlines, read_state


async def find(settings: Settings, who: str, *, with_documents: bool) -> Departed:
    """Return the account of that appid or name, if it can be forgotten.

    Raises `UsageError` where nothing of it is left to delete, or several accounts have the name; `RefusedError` where
    the account is configured or may be discovered; `ConfigError` where it isn't known who is configured; and
    `DatabaseError` when MongoDB is out of reach.
    """
    location = await location_of(settings.mongodb)
    async with open_database(location, must_exist=True) as database:
        return await _departed(database, settings, who, str(location), with_documents=with_documents)


async def forget(settings: Settings, who: str, *, with_documents: bool, wait_s: float = 0.0) -> Forgotten:
    """Delete the state of the account of that appid or name, and with `with_documents` its documents of `user_daily`.

    It takes the lease of that account, and waits for it `wait_s` seconds. Where it is cut short, it can be repeated.
    Raises `LeaseHeldError`, and what `find` raises.
    """
    location = await location_of(settings.mongodb)
    async with open_database(location, must_exist=True) as database:
        departed = await _departed(database, settings, who, str(location), with_documents=with_documents)
        account, run = departed.account, new_run_id(datetime.now(UTC))
        async with lease(database, run, "forget", Part(appids=frozenset({account})), wait_s=wait_s) as held:
            # A run that was at work until now may have discovered it.
            departed = await _departed(database, settings, account, str(location), with_documents=with_documents)
            days = await delete_days(database, account, held) if with_documents else 0
            # Last, so that the account is still found by its name where this is cut short.
            await delete_state(database, account, held)
            return Forgotten(departed, days, await count_days(database, account))


async def _departed(
    database: Database, settings: Settings, who: str, location: str, *, with_documents: bool
) -> Departed:
    account = who if is_appid(who) else _named(who, settings, await read_outlines(database))
    state = await read_state(database, account)
    name = state.name if isinstance(state, AccountState) else account
    departed = Departed(account, name, state is not None, await count_days(database, account), location)
    _refuse_known(departed, settings, state)
    if not departed.has_state and not (with_documents and departed.days):
        left = f"; {departed.days:,} documents are left, which --with-documents deletes" if departed.days else ""
        raise UsageError(f"no state of {account} is stored{left}")
    return departed


def _named(name: str, settings: Settings, states: Mapping[str, AccountState]) -> str:
    """Return the appid of the account that has the name, in the state or in the configuration."""
    found = {appid for appid, state in states.items() if state.name == name}
    found |= {entry.appid for entry in settings.entries if entry.name == name and entry.appid}
    if len(found) > 1:
        raise UsageError(f"several accounts have the name {name!r}: choose by the appid, {' or '.join(sorted(found))}")
    if not found:
        raise UsageError(
            f"no account has the name or appid {name!r}: `collector status` lists those that are no longer configured"
        )
    return found.pop()


def _refuse_known(departed: Departed, settings: Settings, state: AccountState | UnusableState | None) -> None:
    """Raise an error for an account that a run would collect again, or may."""
    if departed.account in settings.appids:
        raise RefusedError(
            f"{departed} is still configured: take its entry out of the configuration first. `enabled: false` there "
            "keeps what is stored"
        )
    if not settings.are_appids_known:
        unread = (fault for entry in settings.broken if not entry.appid for fault in entry.faults)
        why = f"so it isn't known whether {departed} is still configured"
        raise ConfigError(tuple(replace(fault, message=f"{fault.message}, {why}") for fault in unread))
    if isinstance(state, UnusableState) and state.is_newer:
        raise RefusedError(f"{state.reason}: {state.remedy}")
    if state and (platforms := may_be_discovered(settings, departed.account, state)):
        raise RefusedError(
            f"{departed} may be discovered again by the platform {' or '.join(platforms)}: put its appid under "
            "`exclude` there, or let the client withdraw its authorisation and then run `collector run`"
        )
