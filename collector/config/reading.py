"""Read all files, and tell whom their faults concern: everybody, one entry of `accounts:`, or one included file."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from collector.config import consistency, yamlfile
from collector.config.access import LET_READ, forbidden, matching, user
from collector.config.forms import Section
from collector.config.schema import AccountEntry, AccountsFile, ConfigFile
from collector.config.validation import validate
from collector.config.yamlfile import Document, Located
from collector.errors import ConfigError, Fault

_STAND_INS = {"name": "?", "appid": f"wx{0:016x}"}
"""Values of the fields that every entry must have, for one in which they can't be read."""

Fields = Mapping[str, Any]
"""The fields that a section sets, validated."""


@dataclass(frozen=True, slots=True)
class Broken:
    """An entry of `accounts:` that can't be used, with the `fields` that can be read; or an included file or folder."""

    where: str
    faults: frozenset[Fault]
    fields: Fields = field(default_factory=dict, repr=False)


@dataclass(slots=True)
class Read:
    """All that was read: the tops of the main files, the fields of the sound accounts, and what can't be used.

    `faults` concern everybody. `documents` are without the broken entries. `unmatched` are the patterns of `include`
    that no file matches. `is_complete` is False where a main file can't be read.
    """

    documents: list[Document] = field(default_factory=list)
    tops: list[ConfigFile] = field(default_factory=list)
    accounts: list[Fields] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)
    faults: set[Fault] = field(default_factory=set)
    unmatched: list[Fault] = field(default_factory=list)
    is_complete: bool = True

    @property
    def all_faults(self) -> set[Fault]:
        """Those that concern everybody, and those of single entries and files."""
        return self.faults.union(*(broken.faults for broken in self.broken))


@dataclass(frozen=True, slots=True)
class _File:
    """A file: its top without the accounts, None where that has faults, and the readable fields of each account."""

    document: Document
    top: AccountsFile | None
    entries: Sequence[Fields]
    faults: Sequence[Located]
    is_main: bool


def read(paths: Sequence[Path], environ: Mapping[str, str], today: date) -> Read:
    """Read `paths` and the files that they include, each once. No `since` may be after `today`, which is Beijing's."""
    reading = _Reading(environ, today)
    for path in paths:
        reading.add(path, ConfigFile)
    found = reading.found
    located: dict[Path, list[Located]] = defaultdict(list)
    # An unread file may define what another one refers to. An included file defines nothing of that kind.
    for each in consistency.faults([file.document for file in reading.files], complete=found.is_complete):
        located[each.document.path].append(each)
    for file in reading.files:
        _sort(file, [*file.faults, *located[file.document.path]], found)
    return found


class _Reading:
    """The files read so far; `found` has what concerns no single value of them."""

    def __init__(self, environ: Mapping[str, str], today: date) -> None:
        self.files: list[_File] = []
        self.found = Read()
        self._environ = environ
        self._today = today
        self._seen: set[str] = set()

    def add(self, path: Path, kind: type[AccountsFile]) -> None:
        """Read `path` as a `kind`, and the files that it includes."""
        real = os.path.realpath(path)  # a file may be included under several names, or include itself
        if real in self._seen:
            return
        self._seen.add(real)
        try:
            document = yamlfile.read(path, self._environ)
        except ConfigError as error:
            if kind is ConfigFile:
                self.found.faults.update(error.faults)
                self.found.is_complete = False
            else:
                self.found.broken.append(Broken(str(path), frozenset(error.faults)))
            return
        self.files.append(self._validated(document, kind))
        if kind is ConfigFile:
            self._include(document)

    def _validated(self, document: Document, kind: type[AccountsFile]) -> _File:
        accounts = document.values.get("accounts")
        items = accounts if isinstance(accounts, list) else []
        # The accounts one by one, so that a fault of one leaves the others as they are.
        values = document.values | {"accounts": []} if items else document.values
        top, faults = validate(kind, values, document, (), self._today)
        entries, unread = list[Fields](), _keys_with_faults(document.faults)
        for place, item in enumerate(items):
            entry, found = validate(AccountEntry, item, document, ("accounts", place), self._today)
            faults += found
            if entry and place not in unread:
                entries.append(fields_of(entry))
            else:
                keys = unread[place] | _keys_with_faults(found)[place]
                entries.append(self._readable(item, document, place, keys))
        return _File(document, top, entries, [*document.faults, *faults], kind is ConfigFile)

    def _readable(self, item: object, document: Document, place: int, unread: AbstractSet[str]) -> Fields:
        """Return the fields of a broken entry but for those `unread`."""
        values = {key: item[key] for key in item if key not in unread} if isinstance(item, dict) else {}
        entry, _ = validate(AccountEntry, _STAND_INS | values, document, ("accounts", place), self._today)
        return {key: value for key, value in fields_of(entry).items() if key in values} if entry else {}

    def _include(self, document: Document) -> None:
        # From the values, not from the valid file: a fault elsewhere must not hide those of the included files.
        pattern, folder = document.values.get("include"), document.path.parent
        if not isinstance(pattern, str) or not pattern or "\0" in pattern:
            return
        paths, closed = matching(pattern, folder), forbidden(pattern, folder)
        for path in paths:
            if not any(parent in closed for parent in path.parents):
                self.add(path, AccountsFile)
        for path in closed:
            fault = Fault(str(path), f"the folder can't be read by user {user()}", LET_READ)
            self.found.broken.append(Broken(str(path), frozenset({fault})))
        if not paths and not closed:
            where, what = document.where(("include",)), f"no file matches the pattern of `include`, {pattern}"
            self.found.unmatched.append(Fault(where, what, "Correct it, or write the files."))


def _keys_with_faults(faults: Iterable[Located]) -> defaultdict[int, set[str]]:
    """Return the keys with faults of each account, by its place in the list."""
    keys: defaultdict[int, set[str]] = defaultdict(set)
    for each in faults:
        match each.location:
            case ("accounts", int(place), str(key), *_):
                keys[place].add(key)
    return keys


def _sort(file: _File, faults: Iterable[Located], found: Read) -> None:
    """Add a file's accounts and faults to what was found."""
    own, outside = _by_account(faults)
    shared = {each.fault for each in outside}
    if file.is_main:
        found.faults |= shared
        shared = set()
    elif any(each.location[:1] == ("accounts",) for each in outside) or (outside and not file.entries):
        # Nobody knows which accounts the file is for.
        found.broken.append(Broken(str(file.document.path), frozenset(shared.union(*own.values()))))
        return
    broken = {place: own[place] | shared for place in range(len(file.entries)) if own[place] or shared}
    for place, fields in enumerate(file.entries):
        if place in broken:
            where = file.document.where(("accounts", place))
            found.broken.append(Broken(where, frozenset(broken[place]), fields))
        else:
            found.accounts.append(fields)
    found.documents.append(file.document.without(broken))
    if isinstance(file.top, ConfigFile):
        found.tops.append(file.top)


def _by_account(faults: Iterable[Located]) -> tuple[defaultdict[int, set[Fault]], list[Located]]:
    """Return the faults of each account, by its place in the list, and those outside of the accounts."""
    own, outside = defaultdict[int, set[Fault]](set), list[Located]()
    for each in faults:
        match each.location:
            case ("accounts", int(place), *_):
                own[place].add(each.fault)
            case _:
                outside.append(each)
    return own, outside


def fields_of(section: Section) -> dict[str, Any]:
    """Return the fields that a section sets."""
    return {key: getattr(section, key) for key in section.model_fields_set}
