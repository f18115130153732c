"""Tokens from a central token server, or from a command of the agency's own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from collector.errors import OpenFilesError, OriginError, PostponedError, TransientError
from collector.model.accounts import FromCommand, FromUrl, Secret
from collector.secrets.addresses import server_of
from collector.secrets.reader import Secrets, text_in
from collector.wechat.client import MAX_TRIES, Client
from collector.wechat.tokens import MAX_LIFE_S, Grant, Source

LIFE_S = 7200
"""Seconds that a token lives where the origin doesn't say: WeChat gives none a longer life."""

_SECONDS = re.compile("-?[0-9]{1,9}")
_REFUSED = (
    "WeChat refuses the token that {} gives: see that it holds the account's newest one, "
    "and that nothing else renews it"
)


@dataclass(slots=True)
class External(Source):
    """A token that another system has fetched from WeChat; the collector doesn't ask WeChat for it.

    One that `is_shared` is a platform's, which all its accounts need.
    """

    origin: FromUrl | FromCommand
    appid: str
    client: Client
    secrets: Secrets
    refused_hint: str = ""
    is_shared: bool = False
    _tries: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.refused_hint = self.refused_hint or _REFUSED.format(name_of(self.origin))

    async def grant(self) -> Grant:
        """Fetch the token from the origin. Raises `PostponedError` while its circuit breaker postpones callers."""
        return grant_in(await self.body(), self.origin)

    async def body(self) -> bytes:
        """Fetch the origin's answer. Raises what `grant` raises."""
        try:
            body = await self._guarded()
        except PostponedError:
            self._tries = 0
            raise
        self._tries = 0  # a later renewal has retries of its own
        return body

    async def _guarded(self) -> bytes:
        if isinstance(self.origin, FromCommand):  # `secrets` has the circuit breaker of its program
            return await fetched(self.origin, self.client, self.secrets, appid=self.appid)
        name = name_of(self.origin)
        breaker = self.client.breakers.of(name, name)
        breaker.begin()
        try:
            body = await fetched(self.origin, self.client, self.secrets, appid=self.appid)
        except OpenFilesError:
            raise  # not the server's failure
        except TransientError as error:
            self._tries += 1
            if self._tries == MAX_TRIES:
                # One account's retries are one failure, and those of the accounts after it would take as long.
                error.reaction = error.reaction.after_retries
                # The failure of a token that all share says as much as that of several accounts.
                breaker.failed(error, at_once=self.is_shared)
            if breaker.is_open:  # by now, or all along if this was the probe
                raise breaker.refusal(error) from None
            raise
        breaker.succeeded()
        return body


async def fetched(origin: FromUrl | FromCommand, client: Client, secrets: Secrets, *, appid: str) -> bytes:
    """Return the origin's answer for `appid`. Raises `OriginError`, or `TransientError` without an answer."""
    if isinstance(origin, FromCommand):
        return await secrets.output_of(tuple(argument.replace("{appid}", appid) for argument in origin.argv))
    headers = {name: (await secrets.read(value, line=True)).get_secret_value() for name, value in origin.headers}
    return await client.fetch(Secret(origin.url.get_secret_value().replace("{appid}", appid)), headers)


def grant_in(body: bytes, origin: FromUrl | FromCommand) -> Grant:
    """Return the token in `body` and its life, at the origin's dotted paths, or else the body itself and `LIFE_S`.

    Raises `OriginError` when there is none, or when it has expired.
    """
    value = value_in(body, origin)
    if origin.expires_json is None:
        return Grant(value, LIFE_S)
    life = _at(body, origin.expires_json, origin)
    seconds = int(life) if isinstance(life, str) and _SECONDS.fullmatch(life) else life
    if type(seconds) not in (int, float) or seconds > MAX_LIFE_S:
        message = f"the value at `{origin.expires_json}` that {name_of(origin)} gave is no number of seconds to live"
        raise OriginError(message, "correct `expires_json`, or leave it out: two hours count then")
    if seconds < 1:
        raise OriginError(f"the token that {name_of(origin)} gave has expired", "see that it is renewed there")
    return Grant(value, int(seconds))


def value_in(body: bytes, origin: FromUrl | FromCommand) -> Secret:
    """Return the value in `body`: at the origin's dotted path, or the body itself. Raises `OriginError` without one."""
    if origin.json is None:
        if body.lstrip()[:1] in (b"<", b"{", b"[", b'"'):
            kind = "HTML" if body.lstrip()[:1] == b"<" else "JSON"
            raise OriginError(f"{name_of(origin)} gave {kind}, and not the value alone", "name its place with `json`")
        return text_in(body, f"{name_of(origin)} gave")
    value = _at(body, origin.json, origin)
    if not isinstance(value, str):
        raise OriginError(f"the value at `{origin.json}` that {name_of(origin)} gave is no text", "correct `json`")
    return text_in(value.encode(errors="replace"), f"`{origin.json}` that {name_of(origin)} gave holds")


def name_of(origin: FromUrl | FromCommand) -> str:
    """Return the origin in words without a secret: the server without the rest of the URL, or the command's name."""
    if isinstance(origin, FromUrl):
        return f"the server {server_of(origin.url)}"
    return f"the command {Path(origin.argv[0]).name}"


def _json_in(body: bytes, origin: FromUrl | FromCommand) -> Any:
    if not body.strip():
        raise OriginError(f"{name_of(origin)} gave nothing", "see that the value is there")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        kind = "HTML" if body.lstrip().startswith(b"<") else "something else"
    raise OriginError(f"{name_of(origin)} gave {kind} instead of JSON", "see what it answers, and correct the address")


def _at(body: bytes, path: str, origin: FromUrl | FromCommand) -> Any:
    """Return the value at a dotted path of keys in the JSON of `body`."""
    value = _json_in(body, origin)
    for step in path.split("."):
        if not isinstance(value, Mapping) or step not in value:
            message = f"the JSON that {name_of(origin)} gave has no `{path}`"
            raise OriginError(message, "correct `json` or `expires_json`")
        value = value[step]
    return value
