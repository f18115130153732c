"""Find the configuration's files, read them all, and join them into `Settings`."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import reduce
from pathlib import Path
from typing import Any, TypeVar

from collector.config import advice, consistency, yamlfile
from collector.config.forms import Section
from collector.config.schema import AccountsFile, ApiSettings, ConfigFile, Defaults, MongoSettings, RunSettings
from collector.config.validation import validate
from collector.config.yamlfile import Document, single_fault
from collector.errors import ConfigError, Fault
from collector.model.accounts import Account, Component, FromComponent
from collector.model.days import FIRST_DAY, beijing_day

_SectionT = TypeVar("_SectionT", bound=Section)


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole configuration. `accounts` holds the disabled ones too, in the order of the files.

    `defaults` are the fields of an account that sets nothing itself. `warnings` are sentences for the user, each with
    file and line. `files` are those that were named, without the ones that they include.
    """

    mongodb: MongoSettings
    api: ApiSettings
    run: RunSettings
    accounts: tuple[Account, ...]
    warnings: tuple[str, ...] = ()
    components: tuple[Component, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=lambda: dict(Defaults()))
    files: tuple[Path, ...] = field(default=(), compare=False)

    def account_of(self, appid: str, name: str, component: str) -> Account:
        """Return an account that a platform discovered: `defaults` apply, and its token comes from that platform."""
        given = {"name": name, "appid": appid, "token": FromComponent(component)}
        return _account(self.defaults, given, self.components)

    def egress_of(self, component: Component) -> str | None:
        """Return the egress label of the accounts that a platform discovers."""
        return component.egress or self.defaults.get("egress")

    @property
    def egress_labels(self) -> frozenset[str]:
        """All egress labels that are written in the files."""
        written = self.defaults.get("egress"), *(each.egress for each in self.components)
        return frozenset(filter(None, (*written, *(each.egress for each in self.accounts))))


def find(given: Sequence[Path], environ: Mapping[str, str], cwd: Path) -> tuple[Path, ...]:
    """Return the files to read: those given, else `$COLLECTOR_CONFIG`, else the first at a usual place.

    A file that was named is returned even where it is missing: `load` raises its fault.

    Raises:
        ConfigError: nothing was named, and no usual place has a file.
    """
    if given:
        return tuple(given)
    if named := environ.get("COLLECTOR_CONFIG"):
        return (Path(named),)
    home = environ.get("XDG_CONFIG_HOME") or (environ.get("HOME") and Path(environ["HOME"], ".config"))
    users = [Path(home, "collector", "accounts.yaml")] if home else []
    places = [cwd / "accounts.yaml", *users, Path("/etc/collector/accounts.yaml")]
    for place in places:
        if os.path.exists(place):  # noqa: PTH110 (Path.exists raises where a parent folder is forbidden)
            return (place,)
    message = f"no configuration was found; looked for {', '.join(map(str, places))}"
    remedy = "Write one with collector config generate accounts.yaml, or name a file with --config."
    raise single_fault("accounts.yaml", message, remedy)


def load(paths: Sequence[Path], environ: Mapping[str, str], now: datetime) -> Settings:
    """Read `paths` and the files that they include. Later files win key by key, and accounts add up.

    A `since` after `now` is a fault.

    Raises:
        ConfigError: all faults of all files, in the order of files and lines.
    """
    reading = _Reading(environ, beijing_day(now))
    for path in paths:
        reading.add(path, ConfigFile)
    # An unread file may define what another one refers to. An included file defines nothing of that kind.
    complete = ConfigFile not in reading.unread
    faults = {*reading.faults, *consistency.faults(reading.documents, complete=complete)}
    if not reading.unread and not consistency.any_account(reading.documents):
        remedy = "Add one under `accounts:`, or name more files with `include:`."
        faults.add(Fault(str(paths[0]), "no account is configured", remedy))
        faults.update(reading.unmatched)  # the likely reason
    if faults:
        raise ConfigError(in_order(faults))
    settings = _settings(reading.files, [f"{fault.where}: {fault.message}: correct it" for fault in reading.unmatched])
    return replace(settings, files=tuple(path.absolute() for path in paths))


def in_order(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    """Sort faults by files and lines."""
    return tuple(sorted(faults, key=_place))


def _place(fault: Fault) -> tuple[str, int, str]:
    file, _, line = fault.where.rpartition(":")
    return (file, int(line), fault.message) if line.isdecimal() else (fault.where, 0, fault.message)


class _Reading:
    """The files read so far, each once, and their faults.

    `documents` are all that are YAML, `files` the valid ones among them, `unread` the kinds of those that are
    neither. `unmatched` are the patterns of `include` that no file matches: faults where no account is left.
    """

    def __init__(self, environ: Mapping[str, str], today: date) -> None:
        self.documents: list[Document] = []
        self.files: list[tuple[Document, AccountsFile]] = []
        self.unread: list[type[AccountsFile]] = []
        self.faults: list[Fault] = []
        self.unmatched: list[Fault] = []
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
            self.unread.append(kind)
            self.faults += error.faults
            return
        self.documents.append(document)
        self.faults += document.faults
        file = validate(kind, document, self._today)
        if isinstance(file, tuple):
            self.faults += file
        else:
            self.files.append((document, file))
        if kind is ConfigFile:
            self._include(document)

    def _include(self, document: Document) -> None:
        # From the values, not from the valid file: a fault elsewhere must not hide those of the included files.
        pattern = document.values.get("include")
        if not isinstance(pattern, str) or not pattern or "\0" in pattern:
            return
        folder = document.path.parent
        # Path.glob refuses absolute patterns and matches hidden files, such as those of an editor.
        names = sorted(glob.glob(pattern, root_dir=folder, recursive=True))  # noqa: PTH207 (see above)
        for name in names:
            self.add(folder / name, AccountsFile)
        if not names:
            where, what = document.where(("include",)), f"no file matches the pattern of `include`, {pattern}"
            self.unmatched.append(Fault(where, what, "Correct it, or write the files."))


def _settings(files: list[tuple[Document, AccountsFile]], warnings: list[str]) -> Settings:
    tops = [file for _, file in files if isinstance(file, ConfigFile)]
    defaults = dict(_merged([file.defaults for file in tops]))
    components = tuple(Component(**dict(entry)) for file in tops for entry in file.components)
    accounts = tuple(_account(defaults, _given(entry), components) for _, file in files for entry in file.accounts)
    return Settings(
        mongodb=_merged([file.mongodb for file in tops]),
        api=_merged([file.api for file in tops]),
        run=_merged([file.run for file in tops]),
        accounts=accounts,
        warnings=(*warnings, *advice.warnings([document for document, _ in files], accounts)),
        components=components,
        defaults=defaults,
    )


def _merged(sections: list[_SectionT]) -> _SectionT:
    return reduce(lambda merged, later: merged.model_copy(update=_given(later)), sections)


def _given(section: Section) -> dict[str, Any]:
    return {key: getattr(section, key) for key in section.model_fields_set}


def _account(defaults: Mapping[str, Any], given: Mapping[str, Any], components: Iterable[Component]) -> Account:
    account = Account(**{"secret": None, **defaults, **given})
    if isinstance(account.token, FromComponent) and "egress" not in given:
        # Where the platform's calls aren't let out, neither an account in a file nor one in the list gets its token.
        own = next((each.egress for each in components if each.name == account.token.name), None)
        account = replace(account, egress=own or account.egress)
    return replace(account, since=FIRST_DAY) if account.since and account.since < FIRST_DAY else account
