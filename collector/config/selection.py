"""Pick the accounts of one command, by name, appid and tag."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from collector.errors import UsageError
from collector.model.accounts import Account


@dataclass(frozen=True, slots=True)
class Selection:
    """The accounts of one command: those with any of `tags`, among those of `names` (names or appids)."""

    names: Sequence[str] = ()
    tags: Sequence[str] = ()

    def of(self, accounts: Sequence[Account]) -> tuple[Account, ...]:
        """Return the enabled ones of `accounts` that are selected; all enabled ones where nothing was named.

        Raises:
            UsageError: a name matches nothing or a disabled account, or no account is left.
        """
        known = {key: account for account in accounts for key in (account.appid, account.name)}
        if complaints := [complaint for name in self.names if (complaint := _complaint(name, known))]:
            raise UsageError("\n".join(complaints))
        chosen = tuple(
            account
            for account in accounts
            if account.enabled
            and (not self.names or not {account.name, account.appid}.isdisjoint(self.names))
            and (not self.tags or not set(self.tags).isdisjoint(account.tags))
        )
        if not chosen:
            raise UsageError(_nothing_left(accounts, self.names, self.tags))
        return chosen

    def reaches_beyond(self, accounts: Sequence[Account]) -> bool:
        """Return True where accounts that are not in `accounts` may be selected."""
        # Accounts that a platform discovers have no tags.
        known = {key for account in accounts for key in (account.appid, account.name)}
        return not known.issuperset(self.names) if self.names else not self.tags


def _complaint(name: str, known: dict[str, Account]) -> str | None:
    if name not in known:
        return f"no account has the name or appid {name!r}{_did_you_mean(name, known)}"
    if not known[name].enabled:
        return f"the account {known[name]} is disabled; set `enabled: true` in the configuration to use it"
    return None


def _nothing_left(accounts: Sequence[Account], names: Sequence[str], tags: Sequence[str]) -> str:
    if not accounts:
        return "no account is known yet: `collector run` reads which accounts authorised the platforms"
    if not tags:
        return "all accounts are disabled; set `enabled: true` for one in the configuration"
    known = {tag for account in accounts for tag in account.tags}
    wanted = " or ".join(f"{tag!r}{_did_you_mean(tag, known - {tag})}" for tag in tags)
    among = "of the accounts named" if names else "of the enabled accounts"
    return f"none {among} has the tag {wanted}"


def _did_you_mean(word: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(word, known)
    return f" (did you mean {' or '.join(close)}?)" if close else ""
