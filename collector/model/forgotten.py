"""Accounts of clients that left: what is stored of them, and what was deleted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Departed:
    """An account that nothing collects any more; `days` counts its documents of `user_daily`.

    `name` is the appid where nothing else is known. Without `has_state`, its documents alone are left.
    """

    account: str
    name: str
    has_state: bool
    days: int
    database: str

    def __str__(self) -> str:
        return self.account if self.name == self.account else f"{self.name} ({self.account})"


@dataclass(frozen=True, slots=True)
class Forgotten:
    """An account whose state is deleted, with `days` documents of `user_daily`; `days_left` of them stay."""

    departed: Departed
    days: int
    days_left: int
