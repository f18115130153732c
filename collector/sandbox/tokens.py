"""The rules of access tokens: their lifetimes, and which token ends which.

The stable call returns the same token until five minutes before its end. The next token doesn't end it, unless it was
forced. The token server returns the same token until its end. All other calls return a new token each time and end
the one before after a grace. Tokens of different kinds don't affect one another.
"""

from __future__ import annotations

import math
import re
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from secrets import token_urlsafe

from collector.sandbox.limits import Limits, Meter
from collector.sandbox.question import RefusalError, refuse_if

RENEWED_BEFORE_END_S = 300
MAX_FORCED_DAILY = 20
FORCED_APART_S = 30
_MAX_KEPT = 3
"""The tokens kept of an account and kind. Older ones get 40001, as unknown ones do."""

_WELL_FORMED = re.compile(r"\d+_[\w-]{40,}", re.ASCII)


class Kind(StrEnum):
    """The origin of a token: one of WeChat's calls, or the client's token server."""

    STABLE = "stable"
    CLASSIC = "classic"
    AUTHORIZER = "authorizer"
    COMPONENT = "component"
    SERVER = "server"


@dataclass(slots=True)
class Token:
    """One token, with Unix times; `offered` is True as long as the stable call may return it."""

    text: str = field(repr=False)
    appid: str
    kind: Kind
    expires_at: float
    dead_from: float = math.inf
    offered: bool = True

    def expires_in(self, now: float) -> int:
        """Return the whole seconds until its end."""
        return int(self.expires_at - now)


class Tokens:
    """All tokens of a sandbox."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._by_text: dict[str, Token] = {}
        self._families: dict[tuple[str, Kind], deque[Token]] = {}
        self._forced = Meter()
        self._forced_at: dict[str, float] = {}
        self._issued = 0

    def stable(self, appid: str, now: float, *, force: bool, day: int) -> Token:
        """Return the account's stable token.

        Raises:
            RefusalError: forced again within 30 s (45011), or more than 20 times in Beijing's `day` (45009).
        """
        if force:
            refuse_if(now - self._forced_at.get(appid, -math.inf) < FORCED_APART_S, 45011)
            refuse_if(not self._forced.take(appid, day, MAX_FORCED_DAILY), 45009)
            self._forced_at[appid] = now
        current = self._newest(appid, Kind.STABLE)
        if force and current:
            current.dead_from = now
        elif current and current.offered and now < current.expires_at - RENEWED_BEFORE_END_S:
            return current
        return self._issue(appid, Kind.STABLE, now)

    def replace(self, appid: str, kind: Kind, now: float) -> Token:
        """Return a new token; the one before of the same kind ends after the grace."""
        before = self._newest(appid, kind)
        if before:
            # Never later than before: a third token must not give the first one a longer life.
            before.dead_from = min(before.dead_from, now + self._limits.classic_grace_s)
        return self._issue(appid, kind, now)

    def current(self, appid: str, kind: Kind, now: float, *, even_dead: bool = False) -> Token:
        """Return the newest token of its kind while it is valid, else a new one.

        `even_dead` returns a revoked one too, until its own end.
        """
        newest = self._newest(appid, kind)
        if newest and newest.expires_in(now) > 0 and (even_dead or newest.dead_from > now):
            return newest
        return self._issue(appid, kind, now)

    def find(self, text: str | None, now: float) -> Token:
        """Return the valid token of that text.

        Raises:
            RefusalError: it is absent (41001), malformed (40014), unknown or revoked (40001), or expired (42001).
        """
        if not text:
            raise RefusalError(41001)
        token = self._by_text.get(text)
        if token is None:
            raise RefusalError(40001 if _WELL_FORMED.fullmatch(text) else 40014)
        # A revoked token stays 40001 after its end.
        refuse_if(token.dead_from <= now, 40001)
        refuse_if(token.expires_at <= now, 42001)
        return token

    def owner(self, text: str) -> str | None:
        """Return the appid of a token, valid or not."""
        token = self._by_text.get(text)
        return token.appid if token else None

    def revoke(self, text: str | None, now: float, *, still_offered: bool) -> None:
        """Revoke a token; with `still_offered` the stable call keeps returning it until forced."""
        token = self._by_text.get(text or "")
        if token:
            token.dead_from = now
            token.offered = still_offered

    def end(self, appid: str, kind: Kind, now: float) -> None:
        """Revoke all tokens of a kind."""
        for token in self._families.get((appid, kind), ()):
            token.dead_from = min(token.dead_from, now)

    def _newest(self, appid: str, kind: Kind) -> Token | None:
        family = self._families.get((appid, kind))
        return family[-1] if family else None

    def _issue(self, appid: str, kind: Kind, now: float) -> Token:
        self._issued += 1
        text = f"{self._issued}_{token_urlsafe(96)}"
        token = Token(text, appid, kind, now + self._limits.token_life_s)
        family = self._families.setdefault((appid, kind), deque())
        family.append(token)
        self._by_text[text] = token
        if len(family) > _MAX_KEPT:
            del self._by_text[family.popleft().text]
        return token
