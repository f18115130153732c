"""Read a YAML file into texts, lists and mappings with line numbers, variables filled in; and write one.

Every scalar is a text, and the schema converts it. So an all-digit secret stays as it was written, and a
name `no` isn't False. Aliases and merge keys work as in YAML, up to a size that no configuration needs.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, cast

import yaml
from yaml.reader import Reader

from collector.config.access import LET_READ, user
from collector.config.nodes import Location, Node, broken, parse
from collector.config.variables import VariableError, interpolate
from collector.errors import ConfigError, Fault

_NO_FOLDING = 2**31 - 1
"""A line width that no text reaches."""

_DUMP: dict[str, Any] = {"Dumper": yaml.CSafeDumper, "allow_unicode": True, "sort_keys": False, "width": _NO_FOLDING}

_HOW_TO_BEGIN = "Begin with the sample: collector config generate accounts.yaml"


@dataclass(frozen=True, slots=True)
class Document:
    """One file: its `nodes` as written, and `values` with variables filled in, None where that failed.

    `mode` is the file's, as `os.stat` returns it.
    """

    path: Path
    mode: int
    nodes: dict[str, Node] = field(repr=False)  # secrets may be among them
    values: dict[str, Any] = field(repr=False)
    own_faults: tuple[tuple[Location, Fault], ...] = ()

    @property
    def faults(self) -> list[Located]:
        """The faults of its texts and keys."""
        return [Located(self, location, fault) for location, fault in self.own_faults]

    def at(self, location: Location) -> Node:
        """Return the node at `location`, or the nearest one above it where it is missing."""
        node = Node(1, self.nodes)
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
        accounts, items = self.nodes["accounts"], self.values["accounts"]
        kept = [place for place in range(len(items)) if place not in places]
        accounts = accounts._replace(value=[cast(list[Node], accounts.value)[place] for place in kept])
        nodes, values = {**self.nodes, "accounts": accounts}, {**self.values, "accounts": [items[p] for p in kept]}
        return replace(self, nodes=nodes, values=values)

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


def read(path: Path, environ: Mapping[str, str]) -> Document:
    """Read one file whose top is a mapping.

    Raises:
        ConfigError: it is unreadable, isn't UTF-8, isn't YAML, or has no mapping at its top.
    """
    raw, mode = _bytes(path)
    text = _text(path, raw)
    root = parse(path, text)
    if not isinstance(root.value, dict):
        what = "a list" if isinstance(root.value, list) else "a text" if root.value else "nothing"
        raise broken(path, root.line, f"the file holds {what}, not keys such as `accounts:`", _HOW_TO_BEGIN)
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
        raise broken(path, line, "the file isn't UTF-8 text", "Save it with the encoding UTF-8.") from None
    # The C loader would stop at the first such character, without a line.
    if unprintable := Reader.NON_PRINTABLE.search(text):
        line = text.count("\n", 0, unprintable.start()) + 1
        raise broken(path, line, "the file holds a control character", "Remove it.")
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
