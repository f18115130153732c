"""Pseudo-random numbers that depend on a key alone."""

from __future__ import annotations

from hashlib import blake2b

_PRECISION = 1 << 32


def _digest(key: tuple[object, ...]) -> bytes:
    # Neither `hash` nor `random`: a world must be the same in each process and each version of Python.
    return blake2b("\n".join(map(str, key)).encode()).digest()


def hex_digits(length: int, *key: object) -> str:
    """Return `length` hexadecimal digits, at most 128, for `key`."""
    return _digest(key).hex()[:length]


class Dice:
    """A sequence of numbers, always the same for the same key; 512 bits, enough for some fifty throws."""

    __slots__ = ("_left",)

    def __init__(self, *key: object) -> None:
        self._left = int.from_bytes(_digest(key), "big")

    def below(self, sides: int) -> int:
        """Return a number from 0 to `sides` - 1."""
        self._left, thrown = divmod(self._left, sides)
        return thrown

    def fraction(self) -> float:
        """Return a number from 0 up to, but not including, 1."""
        return self.below(_PRECISION) / _PRECISION
