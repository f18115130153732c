"""Parse YAML into texts, lists and mappings with line numbers, whose aliases and merge keys are resolved."""

from __future__ import annotations

import re
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


def parse(path: Path, text: str) -> Node:
    """Return the top of a file with this `text`; an empty text where there is nothing in it.

    Raises:
        ConfigError: it isn't YAML, or too deep or too large by its aliases.
    """
    composed = _composed(path, text)
    return _Walk(path, text).node(composed) if composed else Node(1, "")


def shown_key(key: str) -> str:
    """Return `key` in backquotes for a message, or "a key" where it may be a misplaced secret."""
    return f"`{key}`" if _SAFE_KEY.fullmatch(key) else "a key"


def broken(path: Path, line: int, message: str, remedy: str) -> ConfigError:
    """Return the error of a file that can't be used from this line on."""
    return ConfigError((Fault(f"{path}:{line}", message, remedy),))


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
    return broken(path, line, *_COMPOSER_FAULTS.get(error.problem, syntax))


def _line(beginning: Any) -> int:
    return int(beginning.start_mark.line) + 1


class _Size(NamedTuple):
    """The letters of a value, and the levels below it."""

    letters: int
    depth: int


class _Walk:
    """Converts PyYAML's nodes to `Node`s, bounding depth and aliases."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._walked: dict[int, Node | None] = {}  # by the id of PyYAML's node; None while it is walked
        self._sizes: dict[int, _Size] = {}  # by the id of a list or a mapping
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
            raise broken(self._path, line, *_NO_ANCHOR)
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
