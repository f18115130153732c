"""Checks after a storm: the documents are the truth, the state agrees, and no secret has leaked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from chaos.configuration import PROXY_PASSWORD
from support import Documents, truth

from collector.model.days import ONE_DAY, Window
from collector.sandbox import World
from collector.store.database import Database
from collector.store.lease_document import LEASES
from collector.store.runs import RUNS
from collector.store.state import ACCOUNTS

REACH_DAYS = 27
"""Unwanted days may be stored as far back as this: a window reaches over 6 of them, and where a backfill counts those
as covered they may need a window of their own, and so on."""

_FORMS = {
    "ticket": re.compile("ticket@@@"),
    "refresh token": re.compile("refreshtoken@@@"),
    "token": re.compile(r"\b\d+_[\w-]{24,}"),
}
"""Forms of the sandbox's secrets."""

_SECOND_SIGNAL = re.compile(r"Exception ignored in[^\n]*\nTraceback.*?KeyboardInterrupt", re.DOTALL)
"""Python's output when the second of two signals comes after the end, while it waits for PyMongo's threads."""

_DROPPED = "authorizer.left"
"""Event of an account that a platform has lost: in a storm none leaves, however short its list is."""

_CRASHES = ("Traceback (most recent call last)", "account.crashed", "mistake of the collector", _DROPPED)


def differences(found: Documents, world: World, since: date, newest: date) -> list[str]:
    """Return a line for each document `found` that isn't the truth of the days from `since` to `newest`.

    All that is true of these days must be there, and nothing else; but days that a window brought from before them
    may be there too, in part, and show that the first one is quiet.
    """
    least = truth(world, Window(since, newest))
    most = truth(world, Window(since - ONE_DAY * (REACH_DAYS + 1), newest))
    keys = sorted(found.keys() | least.keys())
    compared = ((key, _wrong(found.get(key, {}), least.get(key, {}), most.get(key, {}))) for key in keys)
    return [f"{account} {day}: {wrong}" for (account, day), wrong in compared if wrong]


def _wrong(there: Mapping[str, Any], least: Mapping[str, Any], most: Mapping[str, Any]) -> str:
    """Return the wrong fields of a document, in words."""
    if not there:
        return "missing"
    if not most:
        return f"extra: {there}"
    wrong = {name for name in there if name not in most or there[name] != most[name]} | (least.keys() - there.keys())
    return ", ".join(f"{name} is {there.get(name)} instead of {most.get(name)}" for name in sorted(wrong))


async def loose_ends(database: Database) -> list[str]:
    """Return what a finished run must not leave behind: its lease, and open runs in the ledger."""
    leases = [
        f"a lease is left: {lease}" async for each in database[LEASES].find() for lease in each.get("leases", [each])
    ]
    open_runs = database[RUNS].find({"$or": [{"ended": {"$exists": False}}, {"status": "running"}]})
    return leases + [f"a run is open in the ledger: {run['_id']}" async for run in open_runs]


async def everything_stored(database: Database) -> str:
    """Return the content of the collector's own collections, as text."""
    return "\n".join([str(each) for name in (ACCOUNTS, RUNS, LEASES) async for each in database[name].find()])


def secrets_of(world: World) -> dict[str, str]:
    """Return all secrets of a world, by their kind."""
    named = {f"secret of {account.name}": account.secret for account in world.accounts}
    named |= {f"refresh token of {appid}": world.refresh_token(appid) for appid in world.authorizers}
    component = world.component
    named |= {"platform's secret": component.secret, "platform's ticket": component.verify_ticket}
    return {**named, "token server's key": world.token_server_key, "proxies' password": PROXY_PASSWORD}


def leaks(texts: Mapping[str, str], secrets: Mapping[str, str]) -> list[str]:
    """Return which of the `secrets`, and which other strings of a secret's form, are in which text."""
    named = [
        f"the {what} is in {name}" for what, secret in secrets.items() for name, text in texts.items() if secret in text
    ]
    return named + [
        f"a {what} is in {name}" for what, form in _FORMS.items() for name, text in texts.items() if form.search(text)
    ]


def crashes(log: str) -> list[str]:
    """Return the signs of crashes, and of accounts dropped without a reason, in a log."""
    told = _SECOND_SIGNAL.sub("", log)
    return [f"the log has {sign!r}" for sign in _CRASHES if sign in told]
