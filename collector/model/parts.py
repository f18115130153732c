"""Parts of the accounts: what a run may ask for and write. Two runs may be at work at once if theirs are disjoint.

Which account has which egress label depends on the configuration, and a platform's accounts stand in none. So disjoint
are only parts that no account can be in both of, whatever the platforms' lists have; all others overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import gcd
from typing import Any

from collector.model.shards import Shard

MAX_APPIDS = 1_000
"""Appids that a part lists at most. A run that chose more of them has the part of all accounts."""

MAX_SHOWN = 3
"""Appids of a part that a message names."""


@dataclass(frozen=True, slots=True)
class Labels:
    """The accounts with one of these egress labels; None stands for those without one.

    `digest` stands for the configuration that gave each account its label: those of another one are unknown here.
    """

    labels: frozenset[str | None]
    digest: str

    def may_share(self, other: Labels) -> bool:
        """Return True where other labels may have the same accounts, since two configurations give them."""
        return self.digest != other.digest and self.labels.isdisjoint(other.labels)

    def __str__(self) -> str:
        return "egress " + ", ".join(sorted(label or "-" for label in self.labels))


@dataclass(frozen=True, slots=True)
class Part:
    """The accounts that are in each of the dimensions given; all accounts where none is."""

    shard: Shard | None = None
    egress: Labels | None = None
    appids: frozenset[str] | None = None

    def is_disjoint(self, other: Part) -> bool:
        """Return True if it is certain that no account is in both parts: by one of their dimensions."""
        return (
            _are_disjoint_shards(self.shard, other.shard)
            or _are_disjoint_labels(self.egress, other.egress)
            or _are_disjoint_lists(self.appids, other.appids)
            or _has_none_of(self.shard, other.appids)
            or _has_none_of(other.shard, self.appids)
        )

    def __str__(self) -> str:
        dimensions = [str(each) for each in (self.shard and f"shard {self.shard}", self.egress) if each]
        if self.appids is not None:
            shown = [*sorted(self.appids)[:MAX_SHOWN], *(["…"] if len(self.appids) > MAX_SHOWN else [])]
            dimensions.append(f"{len(self.appids)} chosen ({', '.join(shown)})")
        return ", ".join(dimensions) or "all accounts"


ALL = Part()


def to_document(part: Part) -> dict[str, Any]:
    """Return a part as MongoDB keeps it: a key for each dimension."""
    document: dict[str, Any] = {}
    if part.shard:
        document["shard"] = {"number": part.shard.number, "count": part.shard.count}
    if part.egress:
        labels = sorted(part.egress.labels, key=lambda label: label or "")
        document["egress"] = {"labels": labels, "digest": part.egress.digest}
    if part.appids is not None:
        document["appids"] = sorted(part.appids)
    return document


def from_document(document: object) -> Part:
    """Return the part that a document holds: all accounts where it is damaged or has what this version doesn't know."""
    if isinstance(document, dict) and document.keys() <= _READ.keys():
        with suppress(TypeError, ValueError):
            return Part(**{name: _READ[name](kept) for name, kept in document.items()})
    return ALL


def _shard(document: object) -> Shard:
    match document:
        case {"number": int(number), "count": int(count), **more} if 1 <= number <= count and not more:
            return Shard(number, count)
    raise ValueError("no shard")


def _labels(document: object) -> Labels:
    match document:
        case {"labels": [*labels], "digest": str(digest), **more} if labels and not more:
            return Labels(frozenset(None if label is None else _text(label) for label in labels), digest)
    raise ValueError("no labels")


def _appids(document: object) -> frozenset[str]:
    match document:
        case [*appids]:
            return frozenset(map(_text, appids))
    raise ValueError("no list of appids")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


_READ: Mapping[str, Callable[[object], Any]] = {"shard": _shard, "egress": _labels, "appids": _appids}


def _are_disjoint_shards(one: Shard | None, other: Shard | None) -> bool:
    # An account of both has a hash that leaves K - 1 divided by N, and K' - 1 divided by N': such numbers exist
    # exactly where K and K' leave the same divided by the greatest common divisor.
    return one is not None and other is not None and (one.number - other.number) % gcd(one.count, other.count) != 0


def _are_disjoint_labels(one: Labels | None, other: Labels | None) -> bool:
    return one is not None and other is not None and one.digest == other.digest and one.labels.isdisjoint(other.labels)


def _are_disjoint_lists(one: frozenset[str] | None, other: frozenset[str] | None) -> bool:
    return one is not None and other is not None and one.isdisjoint(other)


def _has_none_of(shard: Shard | None, appids: frozenset[str] | None) -> bool:
    return shard is not None and appids is not None and not any(appid in shard for appid in appids)
