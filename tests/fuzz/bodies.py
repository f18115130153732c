"""Hostile bodies: from random bytes to answers that are wrong in one place alone.

One source of randomness makes them all: a seeded `random.Random` where thousands are wanted, hypothesis' own where
a failing one is to be shrunk.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import TypeVar

T = TypeVar("T")

NEWEST = date(2026, 11, 23)
DAYS = [NEWEST - timedelta(days=back) for back in range(7)]
"""The days that are asked for, newest first."""

PAYLOADS = Path(__file__).parent.parent / "payloads"
RECORDED = [json.dumps(json.loads(path.read_text())["response"]).encode() for path in sorted(PAYLOADS.glob("*.json"))]
"""The bodies that people recorded in production."""

NUMBERS = [
    *("NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1e-400", "-0", "-0.0", "0.0", "1.0", "1e2", "1E0", "0x10"),
    *("01", "+1", "1_000", ".5", "5.", "--1", "1" * 400, "1" * 5000, "0." + "1" * 5000, "1" * 20),
    *("9223372036854775807", "9223372036854775808", "18446744073709551615", "18446744073709551616"),
    *("-1", "-9223372036854775809", "10000000000", "10000000001"),
]
TEXTS = [
    *(
        '"\x00"',
        '"\x1b[31m"',
        '"\n"',
        r'"\ud800"',
        r'"\udfff\ud800"',
        r'"\u0000"',
        '"1"',
        '"１"',
        '"',
        r'"\x41"',
        "'1'",
    ),
    *('"12"', '""', '"今天"', '"\ufeff"', '"\u202e"'),
]
OTHERS = ["true", "false", "null", "True", "None", "", "/* */ 1", "{}", "[]", "[1]", '{"n": 1}', '{"$gt": ""}', "1 1"]
KEYS = [
    *("$set", "$ref", "$id", "$db", "$where", "$", "$$NOW", "a.b", ".", "", "\0", "x\0y", "_id", "__proto__", "账户"),
    *(
        "\ud800",
        "new_user",
        "new_user\0",
        "user_source",
        "ref_date",
        "errcode",
        "list",
        "account",
        "fetched_at",
        "name",
    ),
]
OTHER_DAYS = [
    *("2014-11-30", "2014-12-01", "2026-11-24", "2026-11-16", "2026-11-31", "2026-W48-1", "20261123", "0001-01-01"),
    *("9999-12-31", "今天", "２０２６-11-23", "2026-11-23 ", "2026-11-23T00:00:00"),
]
ERRCODES = [
    "0",
    "0",
    '"0"',
    "-1",
    "48001",
    '"48001"',
    '"00"',
    "0.0",
    "null",
    "true",
    "[]",
    "{}",
    '""',
    "1" * 12,
    "45009",
]

ENCODINGS: list[Callable[[bytes], bytes]] = [
    lambda body: codecs.BOM_UTF8 + body,
    lambda body: body.decode(errors="replace").encode("utf-16"),
    lambda body: body.decode(errors="replace").encode("utf-16-le"),
    lambda body: body.decode(errors="replace").encode("utf-32"),
    lambda body: body.decode(errors="replace").encode("gbk", errors="replace"),
    lambda body: body[: len(body) // 2],
    lambda body: body[:-1],
    lambda body: body + body,
    lambda body: body + b"\0",
    lambda body: b"\n \t" + body + b"\r\n",
    lambda body: b")]}',\n" + body,
    lambda body: b"callback(" + body + b")",
    lambda body: body.replace(b'"', b"'"),
    lambda body: body.replace(b"}", b",}"),
    lambda body: body.replace(b" ", b"\x00"),
    lambda body: body.replace(b'"', b'"\xff', 1),
    lambda body: body.replace(b'"', b'"\xed\xa0\x80', 1),
]
SPLINTERS = [b'"', b"}", b"]", b",", b":", b"0", b"-", b"e9", b".", b"null", b"\\", b"\x00", b"\xff", b"[" * 2000]


class HostileBodies:
    """Generator of hostile bodies; the same `random` makes the same bodies."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def value(self, depth: int = 3) -> str:
        """Return any JSON, or something like it."""
        kind = self._random.randrange(10)
        if kind < 2 and depth:
            return self.object({self.key(): self.value(depth - 1) for _ in range(self._random.randrange(4))})
        if kind == 2 and depth:
            return "[" + ", ".join(self.value(depth - 1) for _ in range(self._random.randrange(4))) + "]"
        if kind == 3:
            return self._one(OTHERS)
        return self._one(NUMBERS[:20] + TEXTS[:12]) if kind == 4 else self._sound()

    def key(self) -> str:
        """Return the name of an unknown field."""
        return self._one(KEYS) if self._chance(0.7) else f"k{self._random.randrange(100)}"

    def object(self, fields: dict[str, str]) -> str:
        """Return an object with its keys in any order, now and then with one of them twice."""
        pairs = list(fields.items())
        self._random.shuffle(pairs)
        if pairs and self._chance(0.05):
            pairs.append((pairs[0][0], self.value(1)))
        return "{" + ", ".join(f"{json.dumps(key)}: {value}" for key, value in pairs) + "}"

    def row(self, names: Sequence[str]) -> str:
        """Return a row with a day and counts under `names`; now and then one of them is odd or missing."""
        fields = {name: str(self._random.choice([0, 1, 5, 40, 10_000_000_000])) for name in names}
        fields["ref_date"] = f'"{self._random.choice(DAYS)}"'
        if self._chance(0.08):
            fields["ref_date"] = json.dumps(self._one(OTHER_DAYS))
        if self._chance(0.08):
            fields[self._one(list(fields))] = self.value()
        if self._chance(0.05):
            del fields[self._one(list(fields))]
        more = {self.key(): self._sound() if self._chance(0.8) else self.value() for _ in range(self._few())}
        return self.object(more | fields)

    def answer(self, names: Sequence[str], key: str = "list") -> bytes:
        """Return the body of an answer, which may be valid."""
        rows = "[" + ", ".join(self.row(names) for _ in range(self._few())) + "]"
        fields = {key: self.value() if self._chance(0.05) else rows}
        if self._chance(0.15):
            fields["errcode"], fields["errmsg"] = self._one(ERRCODES), self.value(1)
        if self._chance(0.1):
            fields["base_resp"] = f'{{"{self._one(["errcode", "ret"])}": {self._one(ERRCODES)}}}'
        if self._chance(0.1):
            fields |= {self.key(): self.value() for _ in range(self._few())}
        body = self.object(fields).encode(errors="surrogatepass")
        if self._chance(0.1):
            return self._one(ENCODINGS)(body)
        return self.mutated(body) if self._chance(0.15) else body

    def mutated(self, body: bytes) -> bytes:
        """Return `body` with a few bytes removed, added or repeated, in one place or more."""
        for _ in range(1 + self._random.randrange(3)):
            at = self._random.randrange(len(body) + 1)
            put = self._one(SPLINTERS) if self._chance(0.7) else body[at : at + self._random.randrange(20)]
            body = body[:at] + put + body[at + self._random.randrange(4) :]
        return body

    def summary(self) -> bytes:
        """Return a body in answer to the call for the summary."""
        return self._recorded() or self.answer(("user_source", "new_user", "cancel_user"))

    def cumulate(self) -> bytes:
        """Return a body in answer to the call for the totals."""
        return self._recorded() or self.answer(("cumulate_user",))

    def _recorded(self) -> bytes | None:
        return self.mutated(self._one(RECORDED)) if self._chance(0.1) else None

    def _sound(self) -> str:
        return self._one(["0", "1", "-7", "2.5", '"text"', "true", "null", '"\\u8d26"', "[1, [2]]", '{"a": {"b": 1}}'])

    def _few(self) -> int:
        return self._random.choice([0, 1, 1, 2, 2, 3, 5])

    def _chance(self, of: float) -> bool:
        return self._random.random() < of

    def _one(self, choices: Sequence[T]) -> T:
        return self._random.choice(choices)


def nested(depth: int, inner: str = "") -> str:
    """Return a list in a list, `depth` times."""
    return "[" * depth + inner + "]" * depth
