"""The IP allow-lists that a caller isn't on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle

from collector.sandbox.question import RefusalError


class Allowlists:
    """Refuses calls by appid, naming the next of the addresses in turn: so a NAT with several of them looks.

    Accounts that are given the same addresses share the turn, as callers behind one NAT do.
    """

    def __init__(self, refused_ips: Mapping[str, Sequence[str]]) -> None:
        pools = {appid: tuple(ips) for appid, ips in refused_ips.items() if ips}
        turns = {ips: cycle(ips) for ips in pools.values()}
        self._turns = {appid: turns[ips] for appid, ips in pools.items()}

    def admit_to_account(self, appid: str) -> None:
        """Let a call of an account pass.

        Raises:
            RefusalError: the caller isn't on the account's list (40164).
        """
        if appid in self._turns:
            ip = next(self._turns[appid])
            mapped = ip if ":" in ip else f"::ffff:{ip}"
            raise RefusalError(40164, f"invalid ip {ip} ipv6 {mapped}, not in whitelist")

    def admit_to_component(self, appid: str) -> None:
        """Let a call of the component pass.

        Raises:
            RefusalError: the caller isn't on the component's list (61004).
        """
        if appid in self._turns:
            ip = next(self._turns[appid])
            raise RefusalError(61004, f"access clientip is not registered requestIP: {ip}")
