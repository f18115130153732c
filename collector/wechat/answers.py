"""HTTP answers: the JSON object of a body, or the error that an answer amounts to."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final, TypeGuard

import orjson

from collector.errors import CallError, TransientError
from collector.kinds import CallKind
from collector.text import printable
from collector.wechat.errcodes import api_error

MAX_ERRCODE = 10**9
"""WeChat's errcodes have up to seven digits; more than nine are no errcode."""

_RETRIED = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
_DIGITS = re.compile("-?[0-9]{1,10}")
_SECRET_KEY = re.compile("token|secret|ticket")


@dataclass(slots=True)  # not frozen: one is made for each call, and a frozen one costs more
class Request:
    """One call: its kind, path, query and body, and the key that its answer must have."""

    kind: Final[CallKind]
    method: Final[str]
    path: Final[str]
    expect: Final[str]
    query: Final[Mapping[str, str]] = field(repr=False)  # tokens and secrets, as the body may hold them
    body: Final[Mapping[str, object] | None] = field(default=None, repr=False)


def answer_in(body: bytes, request: Request) -> dict[str, Any]:
    """Return the body as an object, if it is an answer: errcode 0 or none, and the expected key.

    Raises `ApiError` for an errcode other than 0, and `TransientError` for what is no answer at all.
    """
    kind = request.kind
    answer = parsed(body)
    if not isinstance(answer, dict):
        raise TransientError("the body isn't a JSON object, or it is cut", kind=kind)
    errcode, errmsg = _errcode(answer)
    if errcode is None:
        raise TransientError("the errcode isn't a number", kind=kind)
    if errcode != 0:
        raise api_error(errcode, printable(_masked(errmsg, request)), kind)
    if answer.get(request.expect) is None:
        raise TransientError(f"the body has no `{request.expect}`", kind=kind)
    return answer


def parsed(body: bytes) -> object:
    """Return the JSON value of `body`, or None; WeChat sends control characters inside strings."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(body, strict=False, parse_constant=int)  # which refuses NaN and Infinity: they are no JSON
    except (ValueError, RecursionError):
        return None


def _errcode(answer: Mapping[str, Any]) -> tuple[int | None, str]:
    """Return the first errcode that isn't 0, with its errmsg, wrapped or not; None for one that is no number.

    0 means that there is none. An answer with success in one place and an errcode in another has failed.
    """
    found = [(answer["errcode"], answer.get("errmsg"))] if "errcode" in answer else []
    wrapped = answer.get("base_resp")
    if isinstance(wrapped, dict):
        errmsg = wrapped.get("errmsg", wrapped.get("err_msg"))
        found += [(wrapped[key], errmsg) for key in ("errcode", "ret") if key in wrapped]
    # A body may hold errcode 0 beside a failed base_resp, so the first success proves nothing.
    for errcode, errmsg in found:
        number = _number(errcode)
        if number != 0:
            return number, errmsg if isinstance(errmsg, str) else ""
    return 0, ""


def _number(errcode: object) -> int | None:
    if isinstance(errcode, str) and _DIGITS.fullmatch(errcode):
        errcode = int(errcode)
    if not isinstance(errcode, int) or isinstance(errcode, bool) or abs(errcode) > MAX_ERRCODE:
        return None
    return errcode


def is_passing(status: int) -> bool:
    """Return True for an HTTP status that may be another one when the call is retried."""
    return status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _RETRIED


def refusal(status: int, kind: CallKind) -> CallError:
    """Return the error of an answer whose HTTP status isn't 200."""
    message = f"HTTP {status} instead of an answer"
    if is_passing(status):
        return TransientError(message, kind=kind)
    return CallError(message, kind=kind, hint="this isn't WeChat's way to answer: check api.hosts and the proxy")


def instant_in(date: str | None) -> datetime | None:
    """Return the instant in a `Date` header (UTC); None without one, or for one that can't be read."""
    try:
        instant = parsedate_to_datetime(date or "")
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def is_token(value: object) -> TypeGuard[str]:
    """Return True if a value may be a token: one word of plain letters, which can stand in a URL."""
    return isinstance(value, str) and value.isascii() and value.isprintable() and value.split() == [value]


def _masked(errmsg: str, request: Request) -> str:
    """Return WeChat's text without the secrets of the request, should it ever repeat one."""
    for key, value in (*request.query.items(), *(request.body or {}).items()):
        if value and _SECRET_KEY.search(key):
            errmsg = errmsg.replace(str(value), "***")
    return errmsg
