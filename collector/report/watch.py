"""Who hears of a run while it is at work."""

from __future__ import annotations

from collector.model import AccountResult


class Watch:
    """Hears how a run gets on; this one does nothing about it."""

    def phase(self, unit: str, total: int) -> None:
        """A part of the run begins, in which `total` of `unit` (accounts, windows) are to be done."""

    def account(self, result: AccountResult) -> None:
        """An account is done with its newest days."""

    def window(self) -> None:
        """A window of history is done."""
