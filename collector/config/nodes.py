"""Parse YAML into texts, lists and mappings with line numbers, whose aliases and merge keys are resolved."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

import yaml

from collector.errors import ConfigError, Fault

Location = tuple[int | str, ...]
"""The path from the top of a file to a value: keys, and indexes in lists."""

_MAX_DEPTH = 16
"""More levels than any configuration needs, and few enough for recursion."""

_MAX_REPEATED_LETTERS = 5_000_000
"""Letters that all aliases of a file may stand for: more than 10,000 accounts need, and little to a machine."""

_COLLECTION_LETTERS = 64
"""Letters as which a list or a mapping counts beside its content: even an empty one takes memory."""

_MERGE = "<<"

_SAFE_KEY = re.compile(rf"{_MERGE}|[A-Za-z][A-Za-z_-]{{0,29}}")

_NO_ANCHOR = "an alias (`*`) has no anchor (`&`) before it", "Quote the text if its `*` is meant as such."
_TWO_ANCHORS = "an anchor (`&`) appears twice", "Give each anchor a name of its own."
_TWO_DOCUMENTS = "a second document begins", "Put it into a file of its own."


class Node(NamedTuple):
    """A value as it is written, and the line of its key, or else its own; lines count from 1.

    What an alias or a merge key stands for keeps the lines of its anchor. `faults` are those of the value's keys.
    """

    line: int
    value: _Value
    faults: tuple[Fault, ...] = ()


_Value = str | list[Node] | dict[str, Node]


def parse(path: Path, text: str) -> Node:
    """Return the top of a file with this `text`; an empty text where there is nothing in it.

    Raises:
        ConfigError: it isn't YAML, or too deep or too large by its aliases.
    """
    try:
        return _Reading(path, text).top()
    except yaml.MarkedYAMLError as error:
        raise _not_yaml(path, text, error) from None


def shown_key(key: str) -> str:
    """Return `key` in backquotes for a message, or "a key" where it may be a misplaced secret."""
    return f"`{key}`" if _SAFE_KEY.fullmatch(key) else "a key"


def broken(path: Path, line: int, message: str, remedy: str) -> ConfigError:
    """Return the error of a file that can't be used from this line on."""
    return ConfigError((Fault(f"{path}:{line}", message, remedy),))


def _not_yaml(path: Path, text: str, error: Any) -> ConfigError:
    # A scanner sees the end of a text too late, and knows where it began; a parser is the other way round.
    mark = error.context_mark if "scanning" in (error.context or "") else error.problem_mark
    # What is missing at the end of a file is reported one line after it.
    line = min(mark.line + 1, max(1, len(text.splitlines())))
    remedy = "Check indentation (no tabs), colons and quotes here."
    return broken(path, line, f"this isn't YAML: {error.problem}", remedy)


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


class _Size(NamedTuple):
    """The letters of a value, and the levels below it."""

    letters: int
    depth: int


class _Reading:
    """Makes `Node`s of PyYAML's events, one by one, and bounds depth and aliases.

    PyYAML's own tree of a file would take three times the memory.
    """

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._events: Iterator[yaml.Event] = yaml.parse(text, yaml.CBaseLoader)
        self._anchors: dict[str, Node | None] = {}  # None while it is read
        self._sizes: dict[int, _Size] = {}  # by the id of a list or a mapping
        self._repeated_letters = 0

    def top(self) -> Node:
        """Return the one document of the file."""
        next(self._events)  # begin of the stream
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return Node(1, "")
        top = self._node(next(self._events))
        next(self._events)  # end of the document
        if not isinstance(following := next(self._events), yaml.StreamEndEvent):
            raise broken(self._path, _line(following), *_TWO_DOCUMENTS)
        return top

    def _node(self, event: Any, line: int = 0, depth: int = 0) -> Node:
        """Return the `Node` that begins with `event`, at `line` or else where the event is."""
        line = line or _line(event)
        self._bound(depth, line)
        name = event.anchor
        if isinstance(event, yaml.AliasEvent):
            if (anchored := self._anchors.get(name)) is None:
                raise broken(self._path, _line(event), *_NO_ANCHOR)
            return self._repeated(anchored, line, depth)
        if name is None:
            return self._begun(event, line, depth + 1)
        if name in self._anchors:
            raise broken(self._path, _line(event), *_TWO_ANCHORS)
        self._anchors[name] = None
        node = self._anchors[name] = self._begun(event, line, depth + 1)
        return node

    def _begun(self, event: Any, line: int, depth: int) -> Node:
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(line, depth)
        if isinstance(event, yaml.SequenceStartEvent):
            return Node(line, [self._node(item, 0, depth) for item in self._until(yaml.SequenceEndEvent)])
        return Node(line, str(event.value))

    def _until(self, end: type[yaml.Event]) -> Iterator[yaml.Event]:
        while not isinstance(event := next(self._events), end):
            yield event

    def _mapping(self, begin: int, depth: int) -> Node:
        entries: dict[str, Node] = {}
        faults: list[Fault] = []
        for event in self._until(yaml.MappingEndEvent):
            line, key, _ = self._node(event, 0, depth)
            node = self._node(next(self._events), line, depth)
            if not isinstance(key, str):
                faults.append(
                    self._fault(line, "a key is not plain text", "Quote a value that begins with `{` or `[`.")
                )
            elif key in entries:
                message = f"{shown_key(key)} appears twice, first in line {entries[key].line}"
                fault = self._fault(line, message, "Keep one of the two.")
                entries[key] = entries[key]._replace(faults=(*entries[key].faults, fault))
            else:
                entries[sys.intern(key)] = node  # all accounts have the same keys
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

    def _repeated(self, node: Node, line: int, depth: int) -> Node:
        """Return what an alias at `line` stands for, unless that is too deep, or too much in sum."""
        size = self._size_of(node.value)
        # Without bounds a small file could become a huge configuration, or a deep one.
        self._bound(depth + size.depth, line)
        self._repeated_letters += size.letters
        if self._repeated_letters > _MAX_REPEATED_LETTERS:
            message = f"the aliases (`*`) up to here stand for more than {_MAX_REPEATED_LETTERS:,} letters"
            raise broken(self._path, line, message, "Put what accounts share under `defaults:`.")
        return node._replace(line=line)

    def _size_of(self, value: _Value) -> _Size:
        """Return the size of a value with all that its own aliases stand for."""
        if isinstance(value, str):
            return _Size(1 + len(value), 0)
        if id(value) not in self._sizes:
            keys, items = (sum(map(len, value)), value.values()) if isinstance(value, dict) else (0, value)
            sizes = [self._size_of(item.value) for item in items]
            letters = _COLLECTION_LETTERS + keys + sum(size.letters for size in sizes)
            self._sizes[id(value)] = _Size(letters, 1 + max((size.depth for size in sizes), default=0))
        return self._sizes[id(value)]

    def _bound(self, depth: int, line: int) -> None:
        if depth > _MAX_DEPTH:
            remedy = "See the sample for the form: collector config generate"
            raise broken(self._path, line, "the nesting is too deep", remedy)

    def _fault(self, line: int, message: str, remedy: str) -> Fault:
        return Fault(f"{self._path}:{line}", message, remedy)
