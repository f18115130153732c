"""Read a YAML file into texts, lists and mappings with line numbers, variables filled in; and write one.

Every scalar is a text, and the schema converts it. So an all-digit secret stays as it was written, and a
name `no` isn't False. An alias may stand for a text or a list of texts: accounts share the rest through
`defaults`, and no small file can grow without bounds.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from yaml.reader import Reader

from collector.config.variables import VariableError, interpolate
from collector.errors import ConfigError, Fault

Location = tuple[int | str, ...]
"""The path from the top of a file to a value: keys, and indexes in lists."""

_MAX_DEPTH = 16
"""More levels than any configuration needs, and few enough for recursion."""

_MAX_REPEATED_LETTERS = 5_000_000
"""Letters that all aliases of a file may stand for: more than 10,000 accounts need, and little to a machine."""

_NO_FOLDING = 2**31 - 1
"""A line width that no text reaches."""

_DUMP: dict[str, Any] = {"Dumper": yaml.CSafeDumper, "allow_unicode": True, "sort_keys": False, "width": _NO_FOLDING}

_SAFE_KEY = re.compile(r"[A-Za-z][A-Za-z_-]{0,29}")

_HOW_TO_BEGIN = "Begin with the sample: collector config generate accounts.yaml"

_NO_ANCHOR = "an alias (`*`) has no anchor (`&`) before it", "Quote the text if its `*` is meant as such."
_COMPOSER_FAULTS = {
    "found undefined alias": _NO_ANCHOR,
    "second occurrence": ("an anchor (`&`) appears twice", "Give each anchor a name of its own."),
    "but found another document": ("a second document begins", "Put it into a file of its own."),
}
"""Message and remedy by the problems that PyYAML's composer finds in correct YAML."""


class Node(NamedTuple):
    """A value as it is written, and the line of its key, or else its own; lines count from 1."""

    line: int
    value: _Value


_Value = str | list[Node] | dict[str, Node]


@dataclass(frozen=True, slots=True)
class Document:
    """One file: `entries` as written, and `values` with variables filled in, None where that failed.

    `faults` are those of its texts and keys; `mode` is the file's, as `os.stat` returns it.
    """

    path: Path
    mode: int
    entries: dict[str, Node] = field(repr=False)  # secrets may be among them
    values: dict[str, Any] = field(repr=False)
    faults: tuple[Fault, ...]

    def at(self, location: Location) -> Node:
        """Return the node at `location`, or the nearest one above it where it is missing."""
        node = Node(1, self.entries)
        for step in location:
            match node.value, step:
                case dict(entries), str(key) if key in entries:
                    node = entries[key]
                case list(items), int(place):
                    node = items[place]
                case _:
                    break
        return node

    def where(self, location: Location) -> str:
        """Return `FILE:LINE` of `location`, for messages."""
        return f"{self.path}:{self.at(location).line}"

    def sections(self) -> Iterator[tuple[Location, dict[str, Any]]]:
        """Iterate over the mappings at the top of the file, with their locations."""
        for key, value in self.values.items():
            if isinstance(value, dict):
                yield (key,), value

    def mappings(self, key: str) -> Iterator[tuple[Location, dict[str, Any]]]:
        """Iterate over the mappings in the list at `key`, with their locations; nothing where there is no list."""
        items = self.values.get(key)
        for place, item in enumerate(items if isinstance(items, list) else ()):
            if isinstance(item, dict):
                yield (key, place), item


def shown_key(key: str) -> str:
    """Return `key` in backquotes for a message, or "a key" where it may be a misplaced secret."""
    return f"`{key}`" if _SAFE_KEY.fullmatch(key) else "a key"


def read(path: Path, environ: Mapping[str, str]) -> Document:
    """Read one file whose top is a mapping.

    Raises:
        ConfigError: it is unreadable, isn't UTF-8, isn't YAML, or has no mapping at its top.
    """
    raw, mode = _bytes(path)
    text = _text(path, raw)
    composed, walk = _composed(path, text), _Walk(path, text)
    root = walk.node(composed) if composed else Node(1, "")
    if not isinstance(root.value, dict):
        what = "a list" if isinstance(root.value, list) else "a text" if root.value else "nothing"
        raise _broken(path, root.line, f"the file holds {what}, not keys such as `accounts:`", _HOW_TO_BEGIN)
    values = {key: _filled(path, node, environ, walk.faults) for key, node in root.value.items()}
    return Document(path, mode, root.value, values, tuple(walk.faults))


def dumped(values: dict[str, Any]) -> str:
    """Write texts, numbers, lists and mappings as YAML for `read`; what looks like a variable stays a text."""
    return str(yaml.dump(_escaped(values), **_DUMP))


def quoted(text: str) -> str:
    """Quote a text on one line for `read`, in YAML that is put together by hand."""
    return str(yaml.dump(_escaped(text), default_style='"', **_DUMP)).rstrip("\n")


def _escaped(value: Any) -> Any:
    match value:
        case str():
            return value.replace("${", "$${")
        case list():
            return [_escaped(item) for item in value]
        case dict():
            return {key: _escaped(item) for key, item in value.items()}
        case _:
            return value


def single_fault(where: object, message: str, remedy: str) -> ConfigError:
    """Return the error of a configuration with one fault."""
    return ConfigError((Fault(str(where), message, remedy),))


def _broken(path: Path, line: int, message: str, remedy: str) -> ConfigError:
    return single_fault(f"{path}:{line}", message, remedy)


def _bytes(path: Path) -> tuple[bytes, int]:
    try:
        with path.open("rb") as file:
            return file.read(), os.fstat(file.fileno()).st_mode
    except FileNotFoundError:
        words = "there is no such file", f"Correct the path. {_HOW_TO_BEGIN}"
    except IsADirectoryError:
        words = "this is a directory", "Name the files in it, or `include: DIRECTORY/*.yaml`."
    except OSError as error:
        words = f"could not read the file: {error.strerror}", "Make it readable for the collector's user."
    raise single_fault(path, *words)


def _text(path: Path, raw: bytes) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _broken(path, line, "the file isn't UTF-8 text", "Save it with the encoding UTF-8.") from None
    # The C loader would stop at the first such character, without a line.
    if unprintable := Reader.NON_PRINTABLE.search(text):
        line = text.count("\n", 0, unprintable.start()) + 1
        raise _broken(path, line, "the file holds a control character", "Remove it.")
    return text


def _filled(path: Path, node: Node, environ: Mapping[str, str], faults: list[Fault]) -> Any:
    match node.value:
        case str(text):
            try:
                return interpolate(text, environ)
            except VariableError as error:
                faults.extend(Fault(f"{path}:{node.line}", *problem) for problem in error.problems)
                return None  # validation goes on, so that this fault hides no other
        case list(items):
            return [_filled(path, item, environ, faults) for item in items]
        case entries:
            return {key: _filled(path, entry, environ, faults) for key, entry in entries.items()}


def _composed(path: Path, text: str) -> Any:
    try:
        # Libyaml refuses more than 1,000 levels, so this recursion in C is bounded.
        return yaml.compose(text, yaml.CBaseLoader)
    except yaml.MarkedYAMLError as error:
        raise _not_yaml(path, text, error) from None


def _not_yaml(path: Path, text: str, error: Any) -> ConfigError:
    # A scanner sees the end of a text too late, and knows where it began; a parser is the other way round.
    mark = error.context_mark if "scanning" in (error.context or "") else error.problem_mark
    # What is missing at the end of a file is reported one line after it.
    line = min(mark.line + 1, max(1, len(text.splitlines())))
    syntax = f"this isn't YAML: {error.problem}", "Check indentation (no tabs), colons and quotes here."
    return _broken(path, line, *_COMPOSER_FAULTS.get(error.problem, syntax))


def _line(beginning: Any) -> int:
    return int(beginning.start_mark.line) + 1


class _Walk:
    """Converts PyYAML's nodes to `Node`s, bounding depth and aliases; `faults` are those of the keys."""

    def __init__(self, path: Path, text: str) -> None:
        self.faults: list[Fault] = []
        self._path = path
        self._walked: dict[int, _Value | None] = {}  # by the id of PyYAML's node; None while it is walked
        self._repeated_letters = 0
        # An alias is the very node of its anchor, with the anchor's line. The events have its own line, in the order
        # of the walk; they are parsed only where there is an alias.
        events = yaml.parse(text, yaml.CBaseLoader)
        self._alias_lines = (_line(event) for event in events if isinstance(event, yaml.AliasEvent))

    def node(self, raw: yaml.Node, line: int = 0, depth: int = 0) -> Node:
        """The `Node` of `raw`, at `line` or else where `raw` begins."""
        is_alias = id(raw) in self._walked
        own_line = next(self._alias_lines) if is_alias else _line(raw)
        line = line or own_line
        if depth > _MAX_DEPTH:
            remedy = "See the sample for the form: collector config generate"
            raise _broken(self._path, line, "the nesting is too deep", remedy)
        if is_alias:
            return Node(line, self._anchored(self._walked[id(raw)], line))
        self._walked[id(raw)] = None
        value = self._walked[id(raw)] = self._value(raw, depth + 1)
        return Node(line, value)

    def _value(self, raw: yaml.Node, depth: int) -> _Value:
        if isinstance(raw, yaml.MappingNode):
            return self._mapping(raw, depth)
        if isinstance(raw, yaml.SequenceNode):
            return [self.node(item, 0, depth) for item in raw.value]
        return str(raw.value)

    def _mapping(self, raw: yaml.MappingNode, depth: int) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        for raw_key, raw_value in raw.value:
            line, key = self.node(raw_key, 0, depth)
            node = self.node(raw_value, line, depth)
            if not isinstance(key, str):
                self._fault(line, "a key is not plain text", "Quote a value that begins with `{` or `[`.")
            elif key == "<<":  # a merge would bring keys without lines of their own
                self._fault(line, "the merge key `<<` isn't supported", "Put what accounts share under `defaults:`.")
            elif key in entries:
                message = f"{shown_key(key)} appears twice, first in line {entries[key].line}"
                self._fault(line, message, "Keep one of the two.")
            else:
                entries[key] = node
        return entries

    def _anchored(self, value: _Value | None, line: int) -> _Value:
        """The value of an alias, unless it is a mapping, nested, part of itself, or too much in sum."""
        if value is None:
            raise _broken(self._path, line, *_NO_ANCHOR)
        if isinstance(value, dict) or not all(isinstance(item, str) or isinstance(item.value, str) for item in value):
            message = "an alias (`*`) stands for more than a list of texts"
            raise _broken(self._path, line, message, "Write it out, or put what accounts share under `defaults:`.")
        # Without a bound a small file could become a huge configuration.
        self._repeated_letters += len(value) + sum(len(item.value) for item in value if isinstance(item, Node))
        if self._repeated_letters > _MAX_REPEATED_LETTERS:
            message = f"the aliases (`*`) up to here stand for more than {_MAX_REPEATED_LETTERS:,} letters"
            raise _broken(self._path, line, message, "Put what accounts share under `defaults:`.")
        return value

    def _fault(self, line: int, message: str, remedy: str) -> None:
        self.faults.append(Fault(f"{self._path}:{line}", message, remedy))
