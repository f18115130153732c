"""IP allow-lists that refuse the caller."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle

from collector.sandbox.question import RefusalError


class Allowlists:
    """Allow-lists that refuse calls by appid and name addresses in turn, as behind a NAT with several."""

    def __init__(self, refused_ips: Mapping[str, Sequence[str]]) -> None:
        pools = {appid: tuple(ips) for appid, ips in refused_ips.items() if ips}
        # Accounts with the same addresses share one cycle, as callers behind one NAT do.
        turns = {ips: cycle(ips) for ips in pools.values()}
        self._turns = {appid: turns[ips] for appid, ips in pools.items()}

    def admit_to_account(self, appid: str) -> None:
        """Check a call of an account.

        Raises:
            RefusalError: the caller isn't on the account's list (40164).
        """
        if appid in self._turns:
            ip = next(self._turns[appid])
            # WeChat names an IPv4 address in both forms, an IPv6 address unchanged.
            mapped = ip if ":" in ip else f"::ffff:{ip}"
            raise RefusalError(40164, f"invalid ip {ip} ipv6 {mapped}, not in whitelist")

    def admit_to_component(self, appid: str) -> None:
        """Check a call of the component.

        Raises:
            RefusalError: the caller isn't on the component's list (61004).
        """
        if appid in self._turns:
            ip = next(self._turns[appid])
            raise RefusalError(61004, f"access clientip is not registered requestIP: {ip}")
