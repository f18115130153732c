"""Read a YAML file into texts, lists and mappings with line numbers, variables filled in; and write one.

Every scalar is a text, and the schema converts it. So an all-digit secret stays as it was written, and a
name `no` isn't False. Aliases and merge keys work as in YAML, up to a size that no configuration needs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, cast

import yaml
from yaml.reader import Reader

from collector.config.access import LET_READ, user
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

_MERGE = "<<"

_SAFE_KEY = re.compile(rf"{_MERGE}|[A-Za-z][A-Za-z_-]{{0,29}}")

_HOW_TO_BEGIN = "Begin with the sample: collector config generate accounts.yaml"

_NO_ANCHOR = "an alias (`*`) has no anchor (`&`) before it", "Quote the text if its `*` is meant as such."
_COMPOSER_FAULTS = {
    "found undefined alias": _NO_ANCHOR,
    "second occurrence": ("an anchor (`&`) appears twice", "Give each anchor a name of its own."),
    "but found another document": ("a second document begins", "Put it into a file of its own."),
}
"""Message and remedy by the problems that PyYAML's composer finds in correct YAML."""


class Node(NamedTuple):
    """A value as it is written, and the line of its key, or else its own; lines count from 1.

    What an alias or a merge key stands for keeps the lines of its anchor. `faults` are those of the value's keys.
    """

    line: int
    value: _Value
    faults: tuple[Fault, ...] = ()


_Value = str | list[Node] | dict[str, Node]


@dataclass(frozen=True, slots=True)
class Document:
    """One file: `entries` as written, and `values` with variables filled in, None where that failed.

    `mode` is the file's, as `os.stat` returns it.
    """

    path: Path
    mode: int
    entries: dict[str, Node] = field(repr=False)  # secrets may be among them
    values: dict[str, Any] = field(repr=False)
    own_faults: tuple[tuple[Location, Fault], ...] = ()

    @property
    def faults(self) -> list[Located]:
        """The faults of its texts and keys."""
        return [Located(self, location, fault) for location, fault in self.own_faults]

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

    def located(self, location: Location, message: str, remedy: str) -> Located:
        """Return a fault of the value at `location`."""
        return Located(self, location, Fault(self.where(location), message, remedy))

    def without(self, places: Collection[int]) -> Document:
        """Return the document without the accounts at these `places` of their list."""
        if not places:
            return self
        node, items = self.entries["accounts"], self.values["accounts"]
        kept = [place for place in range(len(items)) if place not in places]
        nodes = node._replace(value=[cast(list[Node], node.value)[place] for place in kept])
        entries, values = {**self.entries, "accounts": nodes}, {**self.values, "accounts": [items[p] for p in kept]}
        return replace(self, entries=entries, values=values)

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


class Located(NamedTuple):
    """A fault, and the value that it is about."""

    document: Document
    location: Location
    fault: Fault


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
    filling = _Filling(path, environ)
    return Document(path, mode, root.value, filling.filled((), root), tuple(filling.faults))


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
    except PermissionError:
        words = f"the file can't be read by user {user()}", LET_READ
    except OSError as error:
        words = f"could not read the file: {error.strerror}", "Correct the path, or the disk."
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


class _Filling:
    """Fills variables into a file's nodes; `faults` are those of all nodes, with their locations."""

    def __init__(self, path: Path, environ: Mapping[str, str]) -> None:
        self.faults: list[tuple[Location, Fault]] = []
        self._path = path
        self._environ = environ

    def filled(self, location: Location, node: Node) -> Any:
        """Return the value of `node`; None where that failed, so that this fault hides no other."""
        self.faults += [(location, fault) for fault in node.faults]
        match node.value:
            case str(text):
                try:
                    return interpolate(text, self._environ)
                except VariableError as error:
                    where = f"{self._path}:{node.line}"
                    self.faults += [(location, Fault(where, *problem)) for problem in error.problems]
                    return None
            case list(items):
                return [self.filled((*location, place), item) for place, item in enumerate(items)]
            case entries:
                return {key: self.filled((*location, key), entry) for key, entry in entries.items()}


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
    """Converts PyYAML's nodes to `Node`s, bounding depth and aliases."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._walked: dict[int, Node | None] = {}  # by the id of PyYAML's node; None while it is walked
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
        self._bound(depth, line)
        if is_alias:
            return self._anchored(self._walked[id(raw)], line, depth)
        self._walked[id(raw)] = None
        node = self._walked[id(raw)] = self._converted(raw, line, depth + 1)
        return node

    def _converted(self, raw: yaml.Node, line: int, depth: int) -> Node:
        if isinstance(raw, yaml.MappingNode):
            return self._mapping(raw, line, depth)
        if isinstance(raw, yaml.SequenceNode):
            return Node(line, [self.node(item, 0, depth) for item in raw.value])
        return Node(line, str(raw.value))

    def _mapping(self, raw: yaml.MappingNode, begin: int, depth: int) -> Node:
        entries: dict[str, Node] = {}
        faults: list[Fault] = []
        for raw_key, raw_value in raw.value:
            line, key, _ = self.node(raw_key, 0, depth)
            node = self.node(raw_value, line, depth)
            if not isinstance(key, str):
                faults.append(
                    self._fault(line, "a key is not plain text", "Quote a value that begins with `{` or `[`.")
                )
            elif key in entries:
                message = f"{shown_key(key)} appears twice, first in line {entries[key].line}"
                fault = self._fault(line, message, "Keep one of the two.")
                entries[key] = entries[key]._replace(faults=(*entries[key].faults, fault))
            else:
                entries[key] = node
        return self._merged(Node(begin, entries, tuple(faults)))

    def _merged(self, node: Node) -> Node:
        """Return a mapping with the keys that `<<` gives it beside its own, which win; of several the first wins."""
        entries, faults = dict(cast(dict[str, Node], node.value)), [*node.faults]
        given = entries.pop(_MERGE, None)
        if given is None:
            return node
        for mapping in given.value if isinstance(given.value, list) else [given]:
            if isinstance(mapping.value, dict):
                entries = mapping.value | entries
                faults += mapping.faults
            else:
                remedy = "Write `<<: *NAME`, or `<<: [*NAME, *OTHER]`."
                faults.append(self._fault(mapping.line, "`<<` merges something else than mappings", remedy))
        return Node(node.line, entries, (*faults, *given.faults))

    def _anchored(self, node: Node | None, line: int, depth: int) -> Node:
        """Return what an alias at `line` stands for, unless it is a part of itself, or too much in sum."""
        if node is None:
            raise _broken(self._path, line, *_NO_ANCHOR)
        self._repeat(node, line, depth)
        return node._replace(line=line)

    def _repeat(self, node: Node, line: int, depth: int) -> None:
        # Without bounds a small file could become a huge configuration, or a deep one.
        self._bound(depth, line)
        below: Iterable[Node] = ()
        match node.value:
            case str(text):
                letters = len(text)
            case list(items):
                letters, below = 0, items
            case entries:
                letters, below = sum(map(len, entries)), entries.values()
        self._repeated_letters += 1 + letters
        if self._repeated_letters > _MAX_REPEATED_LETTERS:
            message = f"the aliases (`*`) up to here stand for more than {_MAX_REPEATED_LETTERS:,} letters"
            raise _broken(self._path, line, message, "Put what accounts share under `defaults:`.")
        for each in below:
            self._repeat(each, line, depth + 1)

    def _bound(self, depth: int, line: int) -> None:
        if depth > _MAX_DEPTH:
            remedy = "See the sample for the form: collector config generate"
            raise _broken(self._path, line, "the nesting is too deep", remedy)

    def _fault(self, line: int, message: str, remedy: str) -> Fault:
        return Fault(f"{self._path}:{line}", message, remedy)
