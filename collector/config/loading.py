"""Find the configuration's files, read them all, and join them into `Settings`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import reduce
from pathlib import Path
from typing import Any, TypeVar

from collector.config import advice, consistency
from collector.config.access import is_forbidden, user
from collector.config.forms import Section
from collector.config.reading import Broken, Read, fields_of, read
from collector.config.schema import ApiSettings, Defaults, MongoSettings, RunSettings
from collector.config.yamlfile import single_fault
from collector.errors import ConfigError, Fault
from collector.model.accounts import Account, BrokenEntry, Component, Entry, FromComponent
from collector.model.days import FIRST_DAY, beijing_day
from collector.model.language import Language

_SectionT = TypeVar("_SectionT", bound=Section)


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole configuration. `accounts` holds the disabled ones too, in the order of the files.

    `broken` are the entries and included files that can't be used; whatever they are for fails, and nothing else.
    `defaults` are the fields of an account that sets nothing itself. `warnings` are sentences for the user, each with
    file and line. `files` are those that were named, without the ones that they include. `language` is that of reports,
    where it is set.
    """

    mongodb: MongoSettings
    api: ApiSettings
    run: RunSettings
    accounts: tuple[Account, ...]
    warnings: tuple[str, ...] = ()
    components: tuple[Component, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=lambda: dict(Defaults()))
    broken: tuple[BrokenEntry, ...] = ()
    files: tuple[Path, ...] = field(default=(), compare=False)
    language: Language | None = None

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All that the files list: the sound accounts, then what can't be used."""
        return *self.accounts, *self.broken

    def check(self) -> None:
        """Raise `ConfigError` with the faults of all broken entries, if there are any."""
        if self.broken:
            raise ConfigError(in_order({fault for entry in self.broken for fault in entry.faults}))

    @property
    def appids(self) -> frozenset[str]:
        """The appids that the files name, of broken entries too."""
        return frozenset(entry.appid for entry in self.entries if entry.appid)

    @property
    def are_appids_known(self) -> bool:
        """True unless a broken entry may be for any account: a file that can't be read, or an entry without appid."""
        return all(entry.appid for entry in self.broken)

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
        return frozenset(filter(None, (*written, *(each.egress for each in self.entries))))


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
    looked = [f"{place} (can't be read by user {user()})" if is_forbidden(place) else str(place) for place in places]
    message = f"no configuration was found; looked for {', '.join(looked)}"
    remedy = "Write one with collector config generate accounts.yaml, or name a file with --config."
    raise single_fault("accounts.yaml", message, remedy)


def load(paths: Sequence[Path], environ: Mapping[str, str], now: datetime) -> Settings:
    """Read `paths` and the files that they include. Later files win key by key, and accounts add up.

    A `since` after `now` is a fault. An account with a fault, and an included file that can't be used, become a
    `BrokenEntry`.

    Raises:
        ConfigError: all faults of all files, in the order of files and lines, where one concerns everybody, or no
            account is left.
    """
    found = read(paths, environ, beijing_day(now))
    if found.is_complete and not found.broken and not consistency.any_account(found.documents):
        remedy = "Add one under `accounts:`, or name more files with `include:`."
        found.faults.add(Fault(str(paths[0]), "no account is configured", remedy))
        found.faults.update(found.unmatched)  # the likely reason
    discovers = any(component.discover for top in found.tops for component in top.components)
    if found.faults or not (found.accounts or discovers):
        raise ConfigError(in_order(found.all_faults))
    return replace(_settings(found), files=tuple(path.absolute() for path in paths))


def in_order(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    """Sort faults by files and lines."""
    return tuple(sorted(faults, key=_place))


def _place(fault: Fault) -> tuple[str, int, str]:
    file, _, line = fault.where.rpartition(":")
    return (file, int(line), fault.message) if line.isdecimal() else (fault.where, 0, fault.message)


def _settings(found: Read) -> Settings:
    tops = found.tops
    defaults = dict(_merged([top.defaults for top in tops]))
    components = tuple(Component(**dict(entry)) for top in tops for entry in top.components)
    accounts = tuple(_account(defaults, fields, components) for fields in found.accounts)
    unmatched = [f"{fault.where}: {fault.message}: correct it" for fault in found.unmatched]
    return Settings(
        mongodb=_merged([top.mongodb for top in tops]),
        api=_merged([top.api for top in tops]),
        run=_merged([top.run for top in tops]),
        accounts=accounts,
        # What several accounts share by an alias is told once.
        warnings=tuple(dict.fromkeys([*unmatched, *advice.warnings(found.documents, accounts)])),
        components=components,
        defaults=defaults,
        broken=tuple(_broken_entry(defaults, broken, components) for broken in found.broken),
        language=next((top.language for top in reversed(tops) if top.language), None),
    )


def _merged(sections: list[_SectionT]) -> _SectionT:
    return reduce(lambda merged, later: merged.model_copy(update=fields_of(later)), sections)


def _account(defaults: Mapping[str, Any], given: Mapping[str, Any], components: Iterable[Component]) -> Account:
    account = Account(**{"secret": None, **defaults, **given})
    if isinstance(account.token, FromComponent) and "egress" not in given:
        # Where the platform's calls aren't let out, neither an account in a file nor one in the list gets its token.
        own = next((each.egress for each in components if each.name == account.token.name), None)
        account = replace(account, egress=own or account.egress)
    return replace(account, since=FIRST_DAY) if account.since and account.since < FIRST_DAY else account


def _broken_entry(defaults: Mapping[str, Any], broken: Broken, components: Iterable[Component]) -> BrokenEntry:
    fields = {"name": broken.where, "appid": None, **broken.fields}
    known = _account(defaults, fields, components)
    return BrokenEntry(
        broken.fields.get("name") or known.appid or broken.where,
        known.appid,
        in_order(broken.faults),
        known.tags,
        known.egress,
        known.since,
        known.enabled,
    )
