"""Names of accounts that platforms discover: their nicknames, as far as these are unique."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import count

from collector.model.accounts import is_appid
from collector.model.state import Authorizer
from collector.text import printable

MAX_LETTERS = 80
"""Letters of a nickname in a name, which leaves room for a suffix that makes it unique."""


def unique_names(found: Mapping[str, Authorizer], before: Mapping[str, str], taken: Iterable[str]) -> dict[str, str]:
    """Return a name for each account: its nickname, with the end of the appid, or the appid alone, if it is taken.

    An account whose name was its nickname `before` keeps it.
    """
    nicks = {appid: readable(about) for appid, about in found.items()}
    owners = {appid: appid for appid in found} | dict.fromkeys(taken, "")
    return {
        appid: next(name for name in _names(appid, nicks[appid]) if owners.setdefault(name, appid) == appid)
        for appid in sorted(found, key=lambda appid: (before.get(appid) != nicks[appid], appid))
    }


def _names(appid: str, nick: str) -> Iterator[str]:
    """Yield the names that an account may have, the best first."""
    if nick and not is_appid(nick):  # such a name would stand for another account in `--account`
        yield nick
        yield f"{nick} ({appid[-4:]})"
    yield appid
    yield from (f"{appid} ({number})" for number in count(2))


def readable(about: Authorizer) -> str:
    """Return the nickname without what a terminal would interpret, cut to `MAX_LETTERS`."""
    return printable(about.nick_name, MAX_LETTERS).strip()
