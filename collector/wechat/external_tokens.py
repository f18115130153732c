"""Tokens from outside WeChat: a central token server, or a command of the agency's own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from collector.errors import OriginError, TransientError
from collector.model.accounts import FromCommand, FromUrl, Secret
from collector.secrets.reader import Secrets, one_word
from collector.wechat.client import TRIES, Client, server_of
from collector.wechat.tokens import Grant

LIFE_S = 7200
"""Seconds that a token lives where nobody says how many: WeChat gives none a longer life."""

MOST_SILENT = 3
"""Accounts that try a server in vain before the others of the run don't."""

_SECONDS = re.compile("-?[0-9]{1,9}")
_REFUSED = (
    "WeChat refuses the token that {} gives: see that it holds the account's newest one, "
    "and that nothing else renews it"
)


class Outside:
    """A token that somebody else has got from WeChat; it is never asked for there."""

    def __init__(
        self,
        origin: FromUrl | FromCommand,
        appid: str,
        client: Client,
        secrets: Secrets,
        *,
        refused_hint: str | None = None,
    ) -> None:
        self.refused_hint = refused_hint or _REFUSED.format(told(origin))
        self._origin = origin
        self._appid = appid
        self._client = client
        self._secrets = secrets
        self._tries = 0

    async def grant(self) -> Grant:
        """The token that the origin gives now; a server that gave no answer to several accounts isn't asked."""
        silent = self._client.silent[told(self._origin)]
        if len(silent) >= MOST_SILENT:
            raise silent[-1].with_traceback(None)
        try:
            body = await fetched(self._origin, self._client, self._secrets, appid=self._appid)
        except TransientError as error:
            self._tries += 1
            if self._tries == TRIES:
                silent.append(error)
            raise
        silent.clear()
        return grant_in(body, self._origin)

    async def forced(self) -> Grant | None:
        """Nothing more than `grant` gives."""
        return None


async def fetched(origin: FromUrl | FromCommand, client: Client, secrets: Secrets, *, appid: str) -> bytes:
    """What the origin answers for `appid`. Raises `OriginError`, or `TransientError` when a server is in trouble."""
    if isinstance(origin, FromCommand):
        return await secrets.output_of(tuple(argument.replace("{appid}", appid) for argument in origin.argv))
    headers = {name: (await secrets.read(value, line=True)).get_secret_value() for name, value in origin.headers}
    return await client.fetch(Secret(origin.url.get_secret_value().replace("{appid}", appid)), headers)


def grant_in(body: bytes, origin: FromUrl | FromCommand) -> Grant:
    """The token in `body`, and how long it lives: by the origin's dotted paths, or else the body itself and `LIFE_S`.

    Raises `OriginError` when there is none, or when it has run out.
    """
    answer = _json_in(body, origin) if origin.json else None
    value = value_in(body, origin, answer)
    if origin.expires_json is None:
        return Grant(value, LIFE_S)
    life = _at(answer, origin.expires_json, origin)
    seconds = int(life) if isinstance(life, str) and _SECONDS.fullmatch(life) else life
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or seconds > 10 * LIFE_S:
        message = f"the value at `{origin.expires_json}` that {told(origin)} gave is no number of seconds to live"
        raise OriginError(message, "correct `expires_json`, or leave it out: two hours count then")
    if seconds < 1:
        raise OriginError(f"the token that {told(origin)} gave has run out", "see that it is renewed there")
    return Grant(value, int(seconds))


def value_in(body: bytes, origin: FromUrl | FromCommand, answer: object = None) -> Secret:
    """The value in `body`: at the origin's dotted path, or the body itself. Raises `OriginError` without one."""
    if origin.json is None:
        if body.lstrip()[:1] in (b"<", b"{", b"[", b'"'):
            kind = "HTML" if body.lstrip()[:1] == b"<" else "JSON"
            raise OriginError(f"{told(origin)} gave {kind}, and not the value alone", "name its place with `json`")
        return one_word(body, f"{told(origin)} gave")
    value = _at(_json_in(body, origin) if answer is None else answer, origin.json, origin)
    if not isinstance(value, str):
        raise OriginError(f"the value at `{origin.json}` that {told(origin)} gave is no text", "correct `json`")
    return one_word(value.encode(errors="replace"), f"`{origin.json}` that {told(origin)} gave holds")


def told(origin: FromUrl | FromCommand) -> str:
    """The origin in words that hold no secret: the server without the rest of the address, or the command's name."""
    if isinstance(origin, FromUrl):
        return f"the server {server_of(origin.url)}"
    return f"the command {Path(origin.argv[0]).name}"


def _json_in(body: bytes, origin: FromUrl | FromCommand) -> object:
    if not body.strip():
        raise OriginError(f"{told(origin)} gave nothing", "see that the value is there")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        kind = "HTML" if body.lstrip().startswith(b"<") else "something else"
    raise OriginError(f"{told(origin)} gave {kind} instead of JSON", "see what it answers, and correct the address")


def _at(answer: object, path: str, origin: FromUrl | FromCommand) -> Any:
    """The value at a dotted path of keys."""
    for step in path.split("."):
        if not isinstance(answer, Mapping) or step not in answer:
            raise OriginError(f"the JSON that {told(origin)} gave has no `{path}`", "correct `json` or `expires_json`")
        answer = answer[step]
    return answer
