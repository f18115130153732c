"""Numbers that look random and follow from a key alone."""

from __future__ import annotations

from hashlib import blake2b

_PRECISION = 1 << 32


def _digest(key: tuple[object, ...]) -> bytes:
    return blake2b("\n".join(map(str, key)).encode()).digest()


def hex_digits(length: int, *key: object) -> str:
    """The text of `length` hexadecimal digits, at most 128, that belongs to `key`."""
    return _digest(key).hex()[:length]


class Dice:
    """Throws the same numbers in the same order for the same key; good for some fifty throws (512 bits)."""

    __slots__ = ("_left",)

    def __init__(self, *key: object) -> None:
        self._left = int.from_bytes(_digest(key), "big")

    def below(self, sides: int) -> int:
        """A number from 0 to `sides` - 1."""
        self._left, thrown = divmod(self._left, sides)
        return thrown

    def fraction(self) -> float:
        """A number from 0 up to, but not including, 1."""
        return self.below(_PRECISION) / _PRECISION
