"""YAML as it is written: forms of files, depth, aliases and lines."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from collector.config import Settings, load, yamlfile
from collector.errors import ConfigError, Fault
from collector.model.accounts import Account, Rate

Write = Callable[..., Path]
Faults = Callable[..., tuple[Fault, ...]]


SECRET = SecretStr("s")

ONE = "accounts: [{name: a, appid: wx0000000000000001, secret: s}]\n"

A = Account("a", "wx0000000000000001", SECRET, Rate(5, 1))


def entry(name: str, number: int, *more: str) -> str:
    return "  - {" + ", ".join([f"name: {name}, appid: wx{number:016x}, secret: s", *more]) + "}\n"


def test_byte_order_mark(loaded: Callable[..., Settings]) -> None:
    assert loaded(b"\xef\xbb\xbf" + ONE.encode()).accounts == (A,)


def test_alias(loaded: Callable[..., Settings]) -> None:
    content = (
        "accounts:\n"
        + entry("a", 1, "tags: &t [x, y]", "since: &s 2025-01-01")
        + entry("b", 2, "tags: *t", "since: *s")
    )
    accounts = loaded(content).accounts
    assert [(account.tags, account.since) for account in accounts] == [(("x", "y"), date(2025, 1, 1))] * 2


GOOD = "accounts: [{name: a, appid: wx0000000000000001, secret: s}]\n"

BROKEN_YAML = "Check indentation (no tabs), colons and quotes here."

BEGIN = "Begin with the sample: collector config generate accounts.yaml"

FILES = [
    ("", "1", "the file holds nothing, not keys such as `accounts:`", BEGIN),
    ("# only a comment\n", "1", "the file holds nothing, not keys such as `accounts:`", BEGIN),
    ("- a\n", "1", "the file holds a list, not keys such as `accounts:`", BEGIN),
    ("\nhello\n", "2", "the file holds a text, not keys such as `accounts:`", BEGIN),
    (b"a: 1\nb: \xff\n", "2", "the file isn't UTF-8 text", "Save it with the encoding UTF-8."),
    ("a: 1\nb: \x07\n", "2", "the file holds a control character", "Remove it."),
    ("a: 1\n---\nb: 2\n", "2", "a second document begins", "Put it into a file of its own."),
    ("run:\n\tworkers: 1\n", "2", "this isn't YAML: found character that cannot start any token", BROKEN_YAML),
    ("run:\n  lookback: 1\n  workers 1\napi:\n", "3", "this isn't YAML: could not find expected ':'", BROKEN_YAML),
    ("a: 1\nb: 'x\n\n", "2", "this isn't YAML: found unexpected end of stream", BROKEN_YAML),
    ("a: 1\n  b: 2", "2", "this isn't YAML: mapping values are not allowed in this context", BROKEN_YAML),
    ("accounts:\n - a\n b: 1", "3", "this isn't YAML: did not find expected '-' indicator", BROKEN_YAML),
    ("a: " + "[" * 5000, "1", "this isn't YAML: exceeded maximum nesting depth", BROKEN_YAML),
    (
        "\na: " + "[" * 20 + "]" * 20,
        "2",
        "the nesting is too deep",
        "See the sample for the form: collector config generate",
    ),
    (
        "a: 1\nb: *c",
        "2",
        "an alias (`*`) has no anchor (`&`) before it",
        "Quote the text if its `*` is meant as such.",
    ),
    (
        "a: &a [*a]",
        "1",
        "an alias (`*`) has no anchor (`&`) before it",
        "Quote the text if its `*` is meant as such.",
    ),
]


@pytest.mark.parametrize(("content", "line", "message", "remedy"), FILES)
def test_bad_file(
    faults: Callable[..., tuple[Fault, ...]], content: str | bytes, line: str, message: str, remedy: str
) -> None:
    """A file of another form is one fault."""
    assert faults(content) == (Fault(f"accounts.yaml:{line}", message, remedy),)


def test_missing_files(write: Callable[..., Path]) -> None:
    """Their faults have no line."""
    write(GOOD)
    Path("folder").mkdir()
    paths = [Path("missing.yaml"), Path("folder"), Path("accounts.yaml/below")]
    with pytest.raises(ConfigError) as caught:
        load(paths, {}, datetime.now(UTC))
    assert caught.value.faults == (
        Fault(
            "accounts.yaml/below",
            "could not read the file: Not a directory",
            "Correct the path, or the disk.",
        ),
        Fault("folder", "this is a directory", "Name the files in it, or `include: DIRECTORY/*.yaml`."),
        Fault("missing.yaml", "there is no such file", f"Correct the path. {BEGIN}"),
    )


def test_key_twice(faults: Callable[..., tuple[Fault, ...]]) -> None:
    assert faults(GOOD + "run:\n  workers: 1\n  workers: 1\n  workers: 1\nrun:\n") == (
        Fault("accounts.yaml:4", "`workers` appears twice, first in line 3", "Keep one of the two."),
        Fault("accounts.yaml:5", "`workers` appears twice, first in line 3", "Keep one of the two."),
        Fault("accounts.yaml:6", "`run` appears twice, first in line 2", "Keep one of the two."),
    )


@pytest.mark.parametrize(
    "content",
    [
        "[" * 500 + "]" * 500,
        "[{a: " * 490 + "x" + "}]" * 490,
        "- " * 900 + "x",
        "\n".join(" " * level + "a:" for level in range(900)),
        "- " * 100_000 + "x",
        "? " * 100_000 + "x",
        "\n".join("  " * level + "- a:" for level in range(990)) + "[" * 990,
    ],
)
def test_deep_nesting(faults: Faults, content: str) -> None:
    """A file of any depth is a fault, and never a crash."""
    (fault,) = faults(content)
    assert fault.message == "the nesting is too deep"


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


SHARED = """\
accounts:
  - &base
    name: a
    appid: wx0000000000000001
    token: &token {url: "http://t", headers: {Authorization: Bearer k}}
    tags: [x]
  - {<<: *base, name: b, appid: wx0000000000000002, tags: [y]}
  - {name: c, appid: wx0000000000000003, token: *token}
"""


def test_alias_of_a_mapping(loaded: Callable[..., Settings]) -> None:
    """A merge key brings what the mapping itself doesn't set."""
    accounts = loaded(SHARED).accounts
    assert [(account.name, account.tags) for account in accounts] == [("a", ("x",)), ("b", ("y",)), ("c", ())]
    assert len({account.token for account in accounts}) == 1


def test_merge_keys(write: Write) -> None:
    """Own keys win wherever they stand, then the first of several mappings; a list may hold mappings of its own."""
    content = (
        "a: &a {x: 1, y: 2}\nb: &b {<<: *a, y: 3, z: 4}\nc: {w: 0, <<: [*a, *b, {v: 5}], x: 6}\nd: &d [*a, [*b]]\ne: *d"
    )
    values = yamlfile.read(write(content), {}).values
    assert values["c"] == {"w": "0", "x": "6", "y": "2", "z": "4", "v": "5"}
    assert values["e"] == [{"x": "1", "y": "2"}, [{"x": "1", "y": "3", "z": "4"}]]


def test_lines_of_merged_keys(write: Write) -> None:
    """They are those of the anchor, where the values are written."""
    document = yamlfile.read(write("a: &a\n  x: 1\nb:\n  <<: *a\n  y: 2\nc: *a\n"), {})
    assert [document.at(location).line for location in (("b", "x"), ("b", "y"), ("c",), ("c", "x"))] == [2, 5, 6, 2]


def test_fault_of_an_anchor(write: Write) -> None:
    """It is one of everything that uses the anchor."""
    document = yamlfile.read(write("a: &a {x: 1, x: 2}\nb: {<<: *a, y: '${Y}'}\nc: [*a, *a]"), {})
    twice = Fault("accounts.yaml:1", "`x` appears twice, first in line 1", "Keep one of the two.")
    unset = Fault("accounts.yaml:2", "the variable Y isn't set", "Set Y in the environment.")
    assert [(location, fault) for _, location, fault in document.faults] == [
        (("a", "x"), twice),
        (("b", "x"), twice),
        (("b", "y"), unset),
        (("c", 0, "x"), twice),
        (("c", 1, "x"), twice),
    ]


def test_depth_of_aliases(faults: Faults) -> None:
    """A chain of aliases is no way around the bound on depth."""
    chain = "\n".join(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 40))
    (fault,) = faults(f"a0: &a0 [x]\n{chain}")
    assert (fault.where, fault.message) == ("accounts.yaml:16", "the nesting is too deep")


@pytest.mark.parametrize("item", ["[{0}, {0}, {0}, {0}, {0}]", "{{a: {0}, b: {0}, c: {0}, d: {0}, e: {0}}}"])
def test_bound_on_nested_aliases(faults: Faults, item: str) -> None:
    """Lists of lists of lists don't grow without bounds either."""
    lines = ["a0: &a0 [xxxxxxxxxx]", *(f"a{n}: &a{n} " + item.format(f"*a{n - 1}") for n in range(1, 14))]
    (fault,) = faults("\n".join(lines))
    assert fault.message == "the aliases (`*`) up to here stand for more than 5,000,000 letters"


def test_bound_on_aliases_of_nothing(faults: Faults) -> None:
    """Even an empty list takes memory."""
    lines = ["a0: &a0 []", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 5)}]" for n in range(1, 8))]
    (fault,) = faults("\n".join(lines))
    assert fault.message == "the aliases (`*`) up to here stand for more than 5,000,000 letters"


def test_bound_on_aliases(write: Write) -> None:
    """A small file can't become a huge configuration."""
    anchor = "a: &a [" + "x, " * 999 + "x" * 98_937 + "]\nb:\n"  # counts 101,000: its texts, 1 for each, and 64
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
