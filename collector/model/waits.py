"""Waits: why a dataset isn't asked for a while, and until when."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from collector.kinds import WaitKind


class Wait(NamedTuple):
    """A wait that WeChat or the configuration ordered.

    `until` is its end (UTC), None where nobody knows it. `errcode` is that of the refusal that ordered it.
    """

    kind: WaitKind
    until: datetime | None
    errcode: int | None = None
