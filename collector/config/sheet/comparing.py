"""Compare a sheet of accounts with the folder that it is the master of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from collector.config.loading import in_order
from collector.config.sheet import folder, rows
from collector.config.sheet.columns import KEYS
from collector.config.sheet.folder import Entry
from collector.config.sheet.rows import Row
from collector.config.show import MASK
from collector.errors import Fault
from collector.model.changes import Change, Changes, KeyChange

_HIDDEN = ("secret", "proxy")
"""Keys whose values a diff doesn't show."""

_Result = Change | Fault | Entry
"""Of a sound row: the change of its file, the reason why there is none, or the entry that is right as it is."""

_Secret = tuple[Path, str | None] | None
"""The file of a secret, and the secret where it is to be written."""


def compared(sheet: Path, into: Path, secrets_dir: Path | None, today: date, *, update: bool) -> Changes:
    """Compare a sheet with the files in the folder `into`.

    With `secrets_dir` secrets go to files of their own there. Without `update` nothing that exists may change. No
    `since` may be after `today`, which is Beijing's.

    Raises:
        ConfigError: the sheet or the folder can't be read.
        UsageError: an extra is missing.
    """
    listed = rows.read(sheet, today)
    entries, faults = folder.read(into)
    there = {entry.appid: entry for entry in entries}
    secrets = secrets_dir and secrets_dir.absolute()
    results: list[_Result] = []
    for row in listed:
        faults += row.faults
        if not row.faults:
            results.append(_result(row, there.get(str(row.appid)), into, secrets, update=update))
    faults += [result for result in results if isinstance(result, Fault)]
    changes, taken = _with_free_names([result for result in results if isinstance(result, Change)], entries)
    gone = _gone(entries, listed) if update else []
    is_decided = all(row.appid for row in listed)
    return Changes(
        new=tuple(change for change in changes if change.appid not in there),
        changed=tuple(change for change in changes if change.appid in there),
        gone=tuple(_disabled(entry) for entry in gone if entry.is_own and is_decided),
        undecided=() if is_decided else tuple(entry.name for entry in gone),
        faults=in_order([*faults, *taken, *(_by_hand(entry) for entry in gone if not entry.is_own and is_decided)]),
        kept=tuple(path for result in results if isinstance(result, Entry) for path in result.own_files),
        total=sum(entry.is_own and entry.is_enabled for entry in entries),
    )


def _result(row: Row, entry: Entry | None, into: Path, secrets: Path | None, *, update: bool) -> _Result:
    old = entry.values if entry else {}
    new, appid = _values(row, old), str(row.appid)
    secret: _Secret = None
    if isinstance(text := row.values.get("secret"), str):
        was = entry.secret_file if entry else None
        # With --secrets-dir the secret of a file that import wrote moves there; others stay where they are.
        place = secrets / appid if secrets and (entry is None or entry.is_own) else was
        try:
            new["secret"], secret = _secret(text, place, None if place != was else old.get("secret"))
        except OSError as error:
            remedy = "Let this user read it, or import as a user who can."
            return Fault(row.where, f"could not read {place}, which has the secret: {error.strerror}", remedy)
    keys = tuple(_differences(old, new, is_secret_new=bool(secret and secret[1])))
    if entry is None:
        return Change(row.where, str(new["name"]), appid, folder.path_of(into, appid), folder.content(new), (), secret)
    if not keys:
        return entry
    if not (update and entry.is_own):
        return _refusal(row, entry, [change.key for change in keys])
    return Change(row.where, str(new["name"]), appid, entry.path, folder.content(new), keys, secret)


def _values(row: Row, old: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of an account after the import."""
    # Without a column for that, the sheet enables whom it lists.
    new = {key: value for key, value in {**old, "enabled": None, **row.values}.items() if value}
    if new.get("enabled") == "true":  # what a file means that says nothing
        del new["enabled"]
    if "secret" in old:
        new.setdefault("secret", old["secret"])  # an empty cell takes no secret away
    return new


def _secret(text: str, place: Path | None, written: Any) -> tuple[Any, _Secret]:
    """Return the value of the key `secret`, as it is `written` where it stays, and its file. Raises `OSError`."""
    if place is None:
        return text, None
    try:
        is_there = place.read_text(encoding="utf-8", errors="replace").strip() == text
    except FileNotFoundError:
        is_there = False
    return written or {"file": str(place)}, (place, None if is_there else text)


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], *, is_secret_new: bool) -> Iterator[KeyChange]:
    for key in KEYS:
        before, after = old.get(key), new.get(key)
        if key == "enabled":  # in a file perhaps in another form of YAML's, or not at all
            before, after = (str(value or "true").lower() for value in (before, after))
        if before != after or (key == "secret" and is_secret_new):
            yield KeyChange(key, _shown(key, before), _shown(key, after))


def _shown(key: str, value: Any) -> str | None:
    match value:
        case None:
            return None
        case {"file": str(path)}:
            return f"file {path}"
        case [*tags] if key not in _HIDDEN:
            return ", ".join(map(str, tags))
        case _:
            return MASK if key in _HIDDEN else str(value)


def _refusal(row: Row, entry: Entry, keys: Sequence[str]) -> Fault:
    if entry.is_own:
        remedy = "See what changes, and write it, with --update."
        return Fault(row.where, f"{entry.path} has other values for this account: {_in_words(keys)}", remedy)
    remedy = "Make the change there by hand, or move the account out of that file."
    message = f"{entry.where}, which import didn't write as it is, has other values: {_in_words(keys)}"
    return Fault(row.where, message, remedy)


def _in_words(keys: Iterable[str]) -> str:
    return ", ".join(f"`{key}`" for key in keys)


def _with_free_names(changes: list[Change], entries: Sequence[Entry]) -> tuple[list[Change], list[Fault]]:
    """Leave out changes that give an account the name of another one that keeps it: both would fail."""
    faults: list[Fault] = []
    while True:
        written = {change.appid for change in changes}
        owners = {entry.name: entry for entry in entries if entry.appid not in written}
        taken = [change for change in changes if change.name in owners]
        if not taken:
            return changes, faults
        for change in taken:
            what = f"`name` is taken by the account at {owners[change.name].where}"
            faults.append(Fault(change.where, what, "Give each account its own `name`, or remove that one."))
        changes = [change for change in changes if change.name not in owners]  # one left out keeps its old name


def _gone(entries: Sequence[Entry], listed: Sequence[Row]) -> list[Entry]:
    """Return the enabled accounts that the sheet ruled and no longer lists. A row with faults still lists its own."""
    appids = {row.appid for row in listed}
    return [entry for entry in entries if entry.is_ruled and entry.is_enabled and entry.appid not in appids]


def _disabled(entry: Entry) -> Change:
    content = folder.content({**entry.values, "enabled": "false"})
    return Change(entry.where, entry.name, entry.appid, entry.path, content)


def _by_hand(entry: Entry) -> Fault:
    message = "the account isn't in the sheet any more, and import didn't write this file as it is"
    return Fault(entry.where, message, "Write `enabled: false` there, or rename the file if it isn't the sheet's.")
