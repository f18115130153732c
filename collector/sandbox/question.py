"""A call as it arrived, its reply before it is sent, and the refusals of calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from collector.sandbox.faults import Fault, TokenServerFault
from collector.sandbox.world import BEIJING

HTML = {"Content-Type": "text/html"}

ERRMSGS = {
    -1: "system error",
    40001: "invalid credential, access_token is invalid or not latest",
    40002: "invalid grant_type",
    40013: "invalid appid",
    40014: "invalid access_token",
    40125: "invalid appsecret",
    40164: "invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist",
    40243: "appsecret is frozen",
    41001: "access_token missing",
    41002: "appid missing",
    41004: "appsecret missing",
    42001: "access_token expired",
    43001: "require GET method",
    43002: "require POST method",
    44002: "empty post data",
    45009: "reach max api daily quota limit",
    45011: "api minute-quota reach limit, must slower, retry next minute",
    47001: "data format error",
    48001: "api unauthorized",
    50002: "user limited",
    61003: "component is not authorized by this account",
    61005: "component ticket is expired",
    61006: "component ticket is invalid",
    61011: "invalid component",
    61023: "refresh_token is invalid",
    61451: "invalid parameter",
    61500: "date format error",
    61501: "date range error",
    61503: "data is not ready",
    76021: "cgi_path not found",
}
"""The errmsg of each errcode."""

Answer = dict[str, Any]
"""The JSON object of an answer or of a call's body."""


class RefusalError(Exception):
    """A refused call: WeChat answers `errcode` with `errmsg`, by default the errcode's own."""

    def __init__(self, errcode: int, errmsg: str | None = None) -> None:
        super().__init__(f"errcode {errcode}")
        self.errcode = errcode
        self.errmsg = errmsg or ERRMSGS.get(errcode, "error")


def refuse_if(wrong: object, errcode: int) -> None:
    """Refuse the call with `errcode` if `wrong` is true.

    Raises:
        RefusalError: it is.
    """
    if wrong:
        raise RefusalError(errcode)


@dataclass(frozen=True, slots=True)
class Question:
    """One call.

    `data` is the JSON object in its body, or None. `now` has a zone. `authorization` is the header of that name.
    """

    path: str
    method: str
    query: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    data: Answer | None = field(repr=False)
    now: datetime
    authorization: str | None = field(default=None, repr=False)

    @property
    def token(self) -> str | None:
        """The token in the query."""
        return self.query.get("access_token") or self.query.get("component_access_token")

    @property
    def seconds(self) -> float:
        """The time of the call as a Unix time."""
        return self.now.timestamp()

    @property
    def day(self) -> int:
        """The day in Beijing, as an ordinal."""
        return self.now.astimezone(BEIJING).toordinal()

    def get(self, name: str) -> Any:
        """Return a field of the body, or None."""
        return (self.data or {}).get(name)

    def require_data(self) -> Answer:
        """Return the JSON object in the body.

        Raises:
            RefusalError: the body is empty (44002), or no JSON object (47001).
        """
        refuse_if(not self.body, 44002)
        if self.data is None:
            raise RefusalError(47001)
        return self.data


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP answer; `errcode` is WeChat's, 0 where there is none."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    errcode: int = 0


@dataclass(frozen=True, slots=True)
class Answered:
    """The outcome of a call: its appid, its fault, and its reply (None: nothing is sent)."""

    appid: str | None
    fault: Fault | TokenServerFault | None
    reply: Reply | None


def json_object(body: bytes) -> Answer | None:
    """Return the JSON object in `body`, or None."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return data if isinstance(data, dict) else None
