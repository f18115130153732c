"""Shards: a division of the accounts into N parts that every host computes alike, from the appid alone."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256


@dataclass(frozen=True, slots=True)
class Shard:
    """Shard `number` of `count`, counted from 1."""

    number: int
    count: int

    def __contains__(self, appid: object) -> bool:
        return isinstance(appid, str) and shard_of(appid, self.count) == self.number

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def shard_of(appid: str, count: int) -> int:
    """Return the number of the shard, of `count`, that `appid` belongs to: 1 to `count`.

    It never changes: hosts of different versions must agree on it.
    """
    return int.from_bytes(sha256(appid.encode()).digest()[:8], "big") % count + 1
