"""Pick the accounts of one command, by name, appid, tag, egress label and shard."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from collector.errors import UsageError
from collector.model.accounts import Account, is_appid
from collector.model.shards import Shard, shard_of


@dataclass(frozen=True, slots=True)
class Selection:
    """The accounts of one command: those with any of `tags`, among those of `names` (names or appids).

    Of these it leaves the accounts with a label in `egress`, where None stands for those without a label and no label
    for no restriction, and of these the accounts of `shard`.
    """

    names: Sequence[str] = ()
    tags: Sequence[str] = ()
    egress: frozenset[str | None] = frozenset()
    shard: Shard | None = None

    def of(self, accounts: Sequence[Account]) -> tuple[Account, ...]:
        """Return the enabled ones of `accounts` that are selected; all enabled ones where nothing was named.

        The tuple is empty only where a shard holds none of the accounts that are selected otherwise: with many shards
        some are empty, and nobody made a mistake.

        Raises:
            UsageError: a name matches nothing, a disabled account or, like all others named, an account of another
                shard; or no account is left.
        """
        known = {key: account for account in accounts for key in (account.appid, account.name)}
        if complaints := [complaint for name in self.names if (complaint := self._complaint(name, known))]:
            raise UsageError("\n".join(complaints))
        named = [
            account
            for account in accounts
            if account.enabled
            and (not self.names or not {account.name, account.appid}.isdisjoint(self.names))
            and (not self.tags or not set(self.tags).isdisjoint(account.tags))
        ]
        if not named:
            raise UsageError(_nothing_left(accounts, self.names, self.tags))
        labelled = [account for account in named if self.has_label(account.egress)]
        if not labelled:
            raise UsageError(_no_label(self.egress, self.names))
        chosen = tuple(account for account in labelled if self.has(account.appid, account.egress))
        if self.shard and self.names and not chosen:
            others = [_other_shard(str(account), account.appid, self.shard) for account in labelled]
            raise UsageError("\n".join(others))
        return chosen

    def has_label(self, egress: str | None) -> bool:
        """Return True where accounts with this egress label, or without one, may be selected."""
        return not self.egress or egress in self.egress

    def has(self, appid: str, egress: str | None) -> bool:
        """Return True where an account with this appid and label may be selected, as far as shard and labels say."""
        return self.has_label(egress) and (self.shard is None or appid in self.shard)

    def reaches_beyond(self, accounts: Sequence[Account], labels: Iterable[str | None]) -> bool:
        """Return True where accounts that are not in `accounts`, with one of `labels`, may be selected."""
        if not any(map(self.has_label, labels)):
            return False
        # Accounts that a platform discovers have no tags.
        known = {key for account in accounts for key in (account.appid, account.name)}
        return not known.issuperset(self.names) if self.names else not self.tags

    def _complaint(self, name: str, known: dict[str, Account]) -> str | None:
        if name not in known:
            # A platform's account of another shard is never discovered here.
            if self.shard and is_appid(name) and name not in self.shard:
                return _other_shard(name, name, self.shard)
            return f"no account has the name or appid {name!r}{_did_you_mean(name, known)}"
        if not known[name].enabled:
            return f"the account {known[name]} is disabled; set `enabled: true` in the configuration to use it"
        return None


def labels_of(named: Sequence[str], known: Collection[str]) -> frozenset[str | None]:
    """Return the labels of `--egress`, of which `-` stands for the accounts without one.

    Raises:
        UsageError: a label isn't among `known`, the labels of the configuration.
    """
    if unknown := [label for label in named if label != "-" and label not in known]:
        what = "no account and no platform of the configuration has the egress label"
        raise UsageError("\n".join(f"{what} {label!r}{_did_you_mean(label, known)}" for label in unknown))
    return frozenset(None if label == "-" else label for label in named)


def _nothing_left(accounts: Sequence[Account], names: Sequence[str], tags: Sequence[str]) -> str:
    if not accounts:
        return "no account is known yet: `collector run` reads which accounts authorised the platforms"
    if not tags:
        return "all accounts are disabled; set `enabled: true` for one in the configuration"
    known = {tag for account in accounts for tag in account.tags}
    wanted = " or ".join(f"{tag!r}{_did_you_mean(tag, known - {tag})}" for tag in tags)
    return f"none of {_those(names)} has the tag {wanted}"


def _other_shard(who: str, appid: str, shard: Shard) -> str:
    return f"{who} is in shard {shard_of(appid, shard.count)}/{shard.count}, not in {shard}"


def _those(names: Sequence[str]) -> str:
    return "the accounts named" if names else "the enabled accounts"


def _no_label(egress: Collection[str | None], names: Sequence[str]) -> str:
    labels = " or ".join(repr(label) for label in sorted(filter(None, egress)))
    if None in egress:
        return f"all of {_those(names)} have an egress label{f' other than {labels}' if labels else ''}"
    return f"none of {_those(names)} has the egress label {labels}"


def _did_you_mean(word: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(word, known)
    return f" (did you mean {' or '.join(close)}?)" if close else ""
