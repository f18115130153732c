"""The replies to calls, before they are sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from collector.sandbox.faults import Fault, TokenServerFault

HTML = {"Content-Type": "text/html"}


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
