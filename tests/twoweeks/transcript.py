"""Transcript of a day: each command with what it prints, as a person reads it, beside the text that is expected.

`TWO_WEEKS=write` writes the expected texts anew; read what `git diff` shows before you commit it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from difflib import unified_diff
from pathlib import Path

DAYS = Path(__file__).parent / "days"
_WRITES = os.environ.get("TWO_WEEKS") == "write"

_MAX_LINES = 36
_SHOWN = 14
"""Lines of each end that are kept of an output with more than `_MAX_LINES`; of the others the number is held."""

_VARYING = (
    (r"\b\d+\.\d s\b", "N s"),
    (r"\bseconds=\d+\.\d+", "seconds=N"),
    (r"(?<=\d\d:\d\d:)\d\d\b", "NN"),
    (r"(?<=\d\d:\d\d  )\d:\d\d(?= )", "M:SS"),
    (r"(?<=\d{8}T\d{4})\d\dZ-[0-9a-f]{6}", "00Z-xxxxxx"),
    (r"(?<=\(pid )\d+(?=\))", "PID"),
    (r"\b[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}\b", "RID"),
    (r"(?<=127\.0\.0\.1:)\d{5}", "50000"),
    (r"\bon \S+ (?=\(pid )", "on collector-1 "),
    (r"(?<=\bsince )\d{4}-\d\d-\d\d \d\d:\d\d:NN", "DAY HH:MM:NN"),  # of a lease: MongoDB's clock isn't moved
    (r"(?<=until=2026-\d\d-\d\dT)\d\d:\d\d", "HH:MM"),  # pauses have a jitter
    (r"(?<=12:20 Beijing time, 20 hours ago: ok, )1[37]0\b", "130 or 170"),  # two shards end at the same time
)
"""Patterns of what differs from one play to the next, and what stands for it."""


_COUNTS = (
    (r" windows_left=\d+", ""),
    (r"\b(ok|skipped|days|calls|token_calls)=\d+", r"\1=N"),
    (r"(?<![=\d,])[\d,]+ (ok|skipped|days|data calls|token calls)\b", r"N \1"),
    (r"(?m)^! .* mongodb\.away .*\n", ""),  # a call may meet a mongod that has yet to end, or one that has ended
    (r"(?m)^! collector: stopping: .*\n", ""),  # a run that ends at once says nothing
)
_COLOURS = re.compile(r"\x1b\[([\d;]*)m")
_COLOUR_NAMES = {"0": "/", "31": "red", "32": "green", "33": "yellow", "2": "dim"}


class Transcript:
    """Transcript of a day; `places` are paths and names of this play, with the words that replace them."""

    def __init__(self, title: str, places: dict[str, str]) -> None:
        self._parts = [title]
        self.places = places

    def add(self, prompt: str, out: str, err: str, code: int, *, counts_vary: bool = False) -> None:
        """Add a command with its output; lines of stderr are marked with `! `.

        Where `counts_vary`, as they do after a kill, they aren't held.
        """
        errors = [f"! {line}" for line in err.splitlines()]
        lines = [prompt, *_shortened(errors), *_shortened(out.splitlines()), f"(exit {code})"]
        varying = (*_VARYING, *_COUNTS) if counts_vary else _VARYING
        self._parts.append(self._steady("\n".join(line.rstrip() for line in lines), varying))

    def note(self, text: str) -> None:
        """Add what happened meanwhile, in words."""
        self._parts.append(f"# {text}")

    def hold(self, name: str) -> None:
        """Compare with the expected text of `name`. Raises `AssertionError` with the difference."""
        file, seen = DAYS / f"{name}.txt", "\n\n".join(self._parts) + "\n"
        if _WRITES:
            file.write_text(seen)
        expected = file.read_text()
        difference = unified_diff(expected.splitlines(), seen.splitlines(), file.name, "this play", lineterm="")
        assert seen == expected, "\n".join(difference)

    def _steady(self, text: str, varying: Sequence[tuple[str, str]]) -> str:
        for found, word in self.places.items():
            text = text.replace(found, word)
        for pattern, word in varying:
            text = re.sub(pattern, word, text)
        return _COLOURS.sub(lambda code: f"<{_COLOUR_NAMES[code[1]]}>", text)


def _shortened(lines: list[str]) -> list[str]:
    if len(lines) <= _MAX_LINES:
        return lines
    return [*lines[:_SHOWN], f"… {len(lines) - 2 * _SHOWN} lines …", *lines[-_SHOWN:]]
