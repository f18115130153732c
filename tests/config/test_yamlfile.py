"""YAML as it is written: depth, aliases and lines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from collector.config import yamlfile
from collector.errors import ConfigError, Fault

Write = Callable[..., Path]
Faults = Callable[..., tuple[Fault, ...]]

TOO_DEEP = "the nesting is too deep"
TOO_DEEP_FOR_YAML = "this isn't YAML: exceeded maximum nesting depth"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[" * 500 + "]" * 500, TOO_DEEP),
        ("[{a: " * 490 + "x" + "}]" * 490, TOO_DEEP),
        ("- " * 900 + "x", TOO_DEEP),
        ("\n".join(" " * level + "a:" for level in range(900)), TOO_DEEP),
        ("[" * 100_000, TOO_DEEP_FOR_YAML),
        ("- " * 100_000 + "x", TOO_DEEP_FOR_YAML),
        ("? " * 100_000 + "x", TOO_DEEP_FOR_YAML),
        ("\n".join("  " * level + "- a:" for level in range(990)) + "[" * 990, TOO_DEEP),
    ],
)
def test_deep_nesting(faults: Faults, content: str, message: str) -> None:
    """A file of any depth is a fault, and never a crash."""
    (fault,) = faults(content)
    assert fault.message == message


def test_alias_of_itself(faults: Faults) -> None:
    for content in ("a: &a [*a]", "a: &a {x: *a}", "a: &a {*a : x}", "a: &a [[*a]]"):
        assert [fault.message for fault in faults(content)] == ["an alias (`*`) has no anchor (`&`) before it"]


def test_anchor_twice(faults: Faults) -> None:
    fault = Fault("accounts.yaml:2", "an anchor (`&`) appears twice", "Give each anchor a name of its own.")
    assert faults("a: &x 1\nb: &x 2\nc: *x") == (fault,)


def test_alias_lines(write: Write) -> None:
    """An alias has the line where it stands itself, not that of its anchor."""
    document = yamlfile.read(write("a: &a x\nb: &b [y]\nc:\n  - z\n  - *a\n  - *b\n  - *a\nd:\n  *a\n*a : x\n"), {})
    assert document.values == {"a": "x", "b": ["y"], "c": ["z", "x", ["y"], "x"], "d": "x", "x": "x"}
    lines = [document.at(("c", place)).line for place in range(4)]
    assert (lines, document.at(("d",)).line, document.at(("x",)).line) == ([4, 5, 6, 7], 8, 10)


def test_line_of_a_bad_alias(faults: Faults) -> None:
    (fault,) = faults("a: &a x\nb: &b {c: d}\nc:\n  - *a\n  - *b")
    assert (fault.where, fault.message) == ("accounts.yaml:5", "an alias (`*`) stands for more than a list of texts")


def test_bound_on_aliases(write: Write) -> None:
    """A small file can't become a huge configuration."""
    anchor = "a: &a [" + "x, " * 999 + "x" * 99_001 + "]\nb:\n"  # counts 101,000: its texts, and 1 for each
    assert len(yamlfile.read(write(anchor + "- *a\n" * 49), {}).values["b"]) == 49
    with pytest.raises(ConfigError) as caught:
        yamlfile.read(write(anchor + "- *a\n" * 1000), {})
    assert caught.value.faults == (
        Fault(
            "accounts.yaml:52",
            "the aliases (`*`) up to here stand for more than 5,000,000 letters",
            "Put what accounts share under `defaults:`.",
        ),
    )
