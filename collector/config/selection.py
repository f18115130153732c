"""Pick the accounts of one command, by name, appid, tag, egress label and shard."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TypeVar

from collector.errors import UsageError
from collector.model.accounts import Entry, is_appid
from collector.model.shards import Shard, shard_of

E = TypeVar("E", bound=Entry)

MAX_UNREAD = 3
"""Files that can't be read which a message names."""


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

    def of(self, entries: Sequence[E], *, with_disabled: bool = False) -> tuple[E, ...]:
        """Return the enabled ones of `entries` that are selected; all enabled ones where nothing was named.

        With `with_disabled` they may be disabled, too. The tuple is empty only where a shard holds none of the entries
        that are selected otherwise: with many shards some are empty, and nobody made a mistake.

        Raises:
            UsageError: a name matches nothing, a disabled account or, like all others named, an account of another
                shard; or nothing is left.
        """
        # Of two with one name, which are both broken, the enabled one counts.
        by_name = sorted(entries, key=attrgetter("enabled"))
        known = {key: entry for entry in by_name for key in (entry.appid, entry.name) if key}
        found = {key for key, entry in known.items() if entry.enabled or with_disabled}
        if complaints := [self._complaint(name, known) for name in self.names if name not in found]:
            raise UsageError("\n".join(complaints))
        named = [
            entry
            for entry in entries
            if (entry.enabled or with_disabled)
            and (not self.names or not {entry.name, entry.appid}.isdisjoint(self.names))
            and (not self.tags or not set(self.tags).isdisjoint(entry.tags))
        ]
        if not named:
            those = "the accounts" if with_disabled and not self.names else _those(self.names)
            raise UsageError(_nothing_left(entries, those, self.tags))
        labelled = [entry for entry in named if not entry.appid or self.has_label(entry.egress)]
        if not labelled:
            raise UsageError(_no_label(self.egress, self.names))
        chosen = tuple(entry for entry in labelled if self.has(entry.appid, entry.egress))
        if self.shard and self.names and not chosen:
            others = [_other_shard(str(entry), entry.appid, self.shard) for entry in labelled if entry.appid]
            raise UsageError("\n".join(others))
        return chosen

    def count_unread(self, entries: Iterable[Entry]) -> int:
        """Return how many entries without an appid there are, each of them perhaps for an account that is selected."""
        return 0 if self.names else sum(not entry.appid for entry in entries)

    def has_label(self, egress: str | None) -> bool:
        """Return True where accounts with this egress label, or without one, may be selected."""
        return not self.egress or egress in self.egress

    def has(self, appid: str | None, egress: str | None) -> bool:
        """Return True where an account with this appid and label may be selected, as far as shard and labels say.

        Without an appid it may be any account.
        """
        return not appid or (self.has_label(egress) and (self.shard is None or appid in self.shard))

    def reaches_beyond(self, entries: Sequence[Entry], labels: Iterable[str | None]) -> bool:
        """Return True where accounts that are not in `entries`, with one of `labels`, may be selected."""
        if not any(map(self.has_label, labels)):
            return False
        # Accounts that a platform discovers have no tags.
        return not _keys(entries).issuperset(self.names) if self.names else not self.tags

    def has_nickname(self, entries: Iterable[Entry]) -> bool:
        """Return True where a name may be a nickname, which any account of a platform may turn out to have."""
        known = _keys(entries)
        return not all(name in known or is_appid(name) for name in self.names)

    def _complaint(self, name: str, known: Mapping[str, Entry]) -> str:
        if name not in known:
            # A platform's account of another shard is never discovered here.
            if self.shard and is_appid(name) and name not in self.shard:
                return _other_shard(name, name, self.shard)
            return f"no account has the name or appid {name!r}{_did_you_mean(name, known)}{_unread(known.values())}"
        return f"the account {known[name]} is disabled; set `enabled: true` in the configuration to use it"


def labels_of(named: Sequence[str], known: Collection[str], entries: Iterable[Entry] = ()) -> frozenset[str | None]:
    """Return the labels of `--egress`, of which `-` stands for the accounts without one.

    Raises:
        UsageError: a label isn't among `known`, the labels of the configuration and its `entries`.
    """
    if unknown := [label for label in named if label != "-" and label not in known]:
        what = "no account and no platform of the configuration has the egress label"
        raise UsageError(
            "\n".join(f"{what} {label!r}{_did_you_mean(label, known)}{_unread(entries)}" for label in unknown)
        )
    return frozenset(None if label == "-" else label for label in named)


def _keys(entries: Iterable[Entry]) -> frozenset[str | None]:
    """Return the names and appids by which entries can be selected."""
    return frozenset(key for entry in entries for key in (entry.appid, entry.name))


def _nothing_left(entries: Sequence[Entry], those: str, tags: Sequence[str]) -> str:
    if not entries:
        return "no account is known yet: `collector run` reads which accounts authorised the platforms"
    if not tags:
        return "all accounts are disabled; set `enabled: true` for one in the configuration"
    known = {tag for entry in entries for tag in entry.tags}
    wanted = " or ".join(f"{tag!r}{_did_you_mean(tag, known - {tag})}" for tag in tags)
    return f"none of {those} has the tag {wanted}{_unread(entries)}"


def _unread(entries: Iterable[Entry]) -> str:
    names = [entry.name for entry in entries if not entry.appid]
    return f"; it may be in {', '.join(names[:MAX_UNREAD])}, which can't be read" if names else ""


def _other_shard(who: str, appid: str, shard: Shard) -> str:
    return f"{who} is in shard {shard_of(appid, shard.count)}/{shard.count}, not in {shard}"


def _those(names: Sequence[str]) -> str:
    return "the accounts named" if names else "the enabled accounts"


def _no_label(egress: Collection[str | None], names: Sequence[str]) -> str:
    labels = " or ".join(repr(label) for label in sorted(filter(None, egress)))
    if None in egress:
        return f"all of {_those(names)} have an egress label{f' other than {labels}' if labels else ''}"
    return f"none of {_those(names)} has the egress label {labels}"


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, [*known])
    return f" (did you mean {' or '.join(close)}?)" if close else ""
