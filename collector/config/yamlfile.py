"""Read a YAML file into texts, lists and mappings that know their lines, with variables filled in; and write one.

Every scalar is a text: what it means is the schema's business. So an all-digit secret stays as it was
written, and a name `no` isn't False. An alias may stand for a text or a list of texts: accounts share
the rest through `defaults`, and no small file can grow without bounds.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from yaml.reader import Reader

from collector.config.variables import VariableError, interpolate
from collector.errors import ConfigError, Fault

Location = tuple[int | str, ...]
"""The way from the top of a file to a value: keys, and places in lists counted from 0."""

_MAX_DEPTH = 16
"""Deeper than any configuration, and shallow enough for recursion."""

_MOST_REPEATED = 5_000_000
"""Letters that all aliases of a file may stand for: more than 10,000 accounts need, and nothing to a machine."""

_NO_FOLD = 2**31 - 1
"""The width of a line that no text is broken at."""

_SAFE_KEY = re.compile(r"[A-Za-z][A-Za-z_-]{0,29}")

_HOW_TO_BEGIN = "Begin with the sample: collector config generate accounts.yaml"


class Node(NamedTuple):
    """A value as it is written, and the line where it, or the key that leads to it, stands (from 1)."""

    line: int
    value: str | list[Node] | dict[str, Node]


@dataclass(frozen=True, slots=True)
class Document:
    """One file: `entries` as written, `values` the same with variables filled in, None where one couldn't be.

    `faults` are those of its texts and keys; `mode` is the file's, as `os.stat` gives it.
    """

    path: Path
    mode: int
    entries: dict[str, Node] = field(repr=False)  # secrets may be among them
    values: dict[str, Any] = field(repr=False)
    faults: tuple[Fault, ...]

    def at(self, location: Location) -> Node:
        """The node at `location`, or the nearest one above it where it is missing."""
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
        """`FILE:LINE` of `location`, for messages."""
        return f"{self.path}:{self.at(location).line}"

    def sections(self) -> Iterator[tuple[Location, dict[str, Any]]]:
        """The mappings at the top of the file, with their locations."""
        for key, value in self.values.items():
            if isinstance(value, dict):
                yield (key,), value

    def mappings(self, key: str) -> Iterator[tuple[Location, dict[str, Any]]]:
        """The mappings in the list at `key`, with their locations; nothing where there is no list."""
        items = self.values.get(key)
        for place, item in enumerate(items if isinstance(items, list) else ()):
            if isinstance(item, dict):
                yield (key, place), item


def shown_key(key: str) -> str:
    """`key` for a message, or, where a slip may have put a secret in its place, words in its stead."""
    return f"`{key}`" if _SAFE_KEY.fullmatch(key) else "a key"


def read(path: Path, environ: Mapping[str, str]) -> Document:
    """Read one file whose top is a mapping.

    Raises:
        ConfigError: it can't be read, isn't UTF-8, isn't YAML, or is no mapping at the top.
    """
    raw, mode = _bytes(path)
    composer = _Composer(path, _text(path, raw))
    root = composer.root()
    if not isinstance(root.value, dict):
        what = "a list" if isinstance(root.value, list) else "a text" if root.value else "nothing"
        raise _broken(path, root.line, f"the file holds {what}, not keys such as `accounts:`", _HOW_TO_BEGIN)
    faults = composer.faults
    values = {key: _filled(path, node, environ, faults) for key, node in root.value.items()}
    return Document(path, mode, root.value, values, tuple(faults))


def dumped(values: dict[str, Any]) -> str:
    """Texts, numbers, lists and mappings as YAML that `read` understands; what looks like a variable stays a text."""
    return yaml.dump(_escaped(values), Dumper=yaml.CSafeDumper, allow_unicode=True, sort_keys=False, width=_NO_FOLD)


def quoted(text: str) -> str:
    """A text in double quotes on one line, as `read` understands it, for a file that is written by hand."""
    dumped: str = yaml.dump(
        _escaped(text), Dumper=yaml.CSafeDumper, allow_unicode=True, default_style='"', width=_NO_FOLD
    )
    return dumped.rstrip("\n")


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


def _broken(path: Path, line: int, message: str, remedy: str) -> ConfigError:
    return ConfigError((Fault(f"{path}:{line}", message, remedy),))


def _bytes(path: Path) -> tuple[bytes, int]:
    try:
        with path.open("rb") as file:
            return file.read(), os.fstat(file.fileno()).st_mode
    except FileNotFoundError:
        fault = Fault(str(path), "there is no such file", f"Correct the path. {_HOW_TO_BEGIN}")
    except IsADirectoryError:
        fault = Fault(str(path), "this is a directory", "Name the files in it, or `include: DIRECTORY/*.yaml`.")
    except OSError as error:
        fault = Fault(str(path), f"the file can't be read: {error.strerror}", "Let the collector's user read it.")
    raise ConfigError((fault,))


def _text(path: Path, raw: bytes) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _broken(path, line, "the file isn't UTF-8 text", "Save it with the encoding UTF-8.") from None
    if unprintable := Reader.NON_PRINTABLE.search(text):
        line = text.count("\n", 0, unprintable.start()) + 1
        raise _broken(path, line, "the file holds a control character", "Take it out.")
    return text


def _filled(path: Path, node: Node, environ: Mapping[str, str], faults: list[Fault]) -> Any:
    match node.value:
        case str(text):
            try:
                return interpolate(text, environ)
            except VariableError as error:
                faults.extend(Fault(f"{path}:{node.line}", *problem) for problem in error.problems)
                return None
        case list(items):
            return [_filled(path, item, environ, faults) for item in items]
        case entries:
            return {key: _filled(path, entry, environ, faults) for key, entry in entries.items()}


class _Composer:
    """Builds nodes from the parser's events.

    PyYAML's own composer would do, but the objects that it makes for each scalar cost five times as much.
    """

    def __init__(self, path: Path, text: str) -> None:
        self.faults: list[Fault] = []
        self._path = path
        self._last_line = max(1, len(text.splitlines()))
        self._next: Callable[[], Any] = yaml.CBaseLoader(text).get_event
        self._anchors: dict[str | None, Node] = {}
        self._repeated = 0

    def root(self) -> Node:
        """The one document of the stream; an empty text where there is none."""
        try:
            self._next()  # the stream begins
            if isinstance(self._next(), yaml.StreamEndEvent):
                return Node(1, "")
            root = self._node(self._next())
            self._next()  # the document ends
            after = self._next()
        except yaml.MarkedYAMLError as error:
            raise self._not_yaml(error) from None
        if not isinstance(after, yaml.StreamEndEvent):
            line = after.start_mark.line + 1
            raise _broken(self._path, line, "a second document begins", "Put it into a file of its own.")
        return root

    def _not_yaml(self, error: yaml.MarkedYAMLError) -> ConfigError:
        # A scanner sees the end of a text too late, and knows where it began; a parser is the other way round.
        scanning = "scanning" in (error.context or "")
        mark: Any = error.context_mark if scanning else error.problem_mark
        message = f"this isn't YAML: {error.problem}"
        line = min(mark.line + 1, self._last_line)  # what is missing at the end is missed after it
        return _broken(self._path, line, message, "Check indentation (no tabs), colons and quotes here.")

    def _node(self, event: Any, line: int = 0, depth: int = 0) -> Node:
        line = line or event.start_mark.line + 1
        if depth > _MAX_DEPTH:
            remedy = "See the sample for the form: collector config generate"
            raise _broken(self._path, line, "the nesting is too deep", remedy)
        if isinstance(event, yaml.AliasEvent):
            return Node(line, self._anchored(event.anchor, line))
        value: str | list[Node] | dict[str, Node]
        if isinstance(event, yaml.ScalarEvent):
            value = event.value
        elif isinstance(event, yaml.SequenceStartEvent):
            value = [self._node(item, 0, depth + 1) for item in self._until(yaml.SequenceEndEvent)]
        else:
            value = self._mapping(depth + 1)
        node = Node(line, value)
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _anchored(self, anchor: str | None, line: int) -> str | list[Node] | dict[str, Node]:
        if anchor not in self._anchors:
            message = "an alias (`*`) has no anchor (`&`) before it"
            raise _broken(self._path, line, message, "Quote the text if its `*` is meant as such.")
        value = self._anchors[anchor].value
        if isinstance(value, dict) or not all(isinstance(item, str) or isinstance(item.value, str) for item in value):
            message = "an alias (`*`) stands for more than a list of texts"
            raise _broken(self._path, line, message, "Write it out, or put what accounts share under `defaults:`.")
        self._repeat(value, line)
        return value

    def _repeat(self, value: str | list[Node], line: int) -> None:
        """Count what an alias stands for, so that a small file can't become a large configuration."""
        self._repeated += len(value) + sum(len(item.value) for item in value if isinstance(item, Node))
        if self._repeated > _MOST_REPEATED:
            message = f"the aliases (`*`) up to here stand for more than {_MOST_REPEATED:,} letters"
            raise _broken(self._path, line, message, "Put what accounts share under `defaults:`.")

    def _until(self, end: type[yaml.Event]) -> Iterator[yaml.Event]:
        while not isinstance(event := self._next(), end):
            yield event

    def _mapping(self, depth: int) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        for event in self._until(yaml.MappingEndEvent):
            line, key = self._node(event, 0, depth)
            node = self._node(self._next(), line, depth)
            if not isinstance(key, str):
                self._fault(line, "a key is no plain text", "Quote a value that begins with `{` or `[`.")
            elif key == "<<":
                self._fault(line, "the merge key `<<` isn't supported", "Put what accounts share under `defaults:`.")
            elif key in entries:
                message = f"{shown_key(key)} stands twice, first in line {entries[key].line}"
                self._fault(line, message, "Keep one of the two.")
            else:
                entries[key] = node
        return entries

    def _fault(self, line: int, message: str, remedy: str) -> None:
        self.faults.append(Fault(f"{self._path}:{line}", message, remedy))
