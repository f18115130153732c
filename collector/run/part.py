"""The part of the accounts that a run leases, by its settings and its selection."""

from __future__ import annotations

from collections.abc import Collection
from hashlib import sha256
from json import dumps

from collector.config import Selection, Settings
from collector.model.accounts import is_appid
from collector.model.parts import MAX_APPIDS, Labels, Part
from collector.run.discovery import may_discover


def part_of(settings: Settings, selection: Selection) -> Part:
    """Return the part that holds whatever accounts `selection` may turn out to have.

    Raises `UsageError` where that is none.
    """
    labels = Labels(selection.egress, digest_of_labels(settings)) if selection.egress else None
    appids = _appids(settings, selection)
    return Part(selection.shard, labels, None if appids is None or len(appids) > MAX_APPIDS else frozenset(appids))


def digest_of_labels(settings: Settings) -> str:
    """Return a digest of the egress label of each account, also of those that platforms discover.

    It is the same on all hosts, and in all versions, whose configurations agree about that.
    """
    accounts = sorted((entry.appid, entry.egress or "") for entry in settings.entries if entry.appid)
    platforms = sorted(
        (component.name, settings.egress_of(component) or "", sorted(component.exclude))
        for component in settings.components
        if component.discover
    )
    return sha256(dumps([accounts, platforms]).encode()).hexdigest()


def _appids(settings: Settings, selection: Selection) -> Collection[str] | None:
    """Return the appids that names and tags chose, as far as they are known before any platform's list is read."""
    if not selection.names and not selection.tags:
        return None
    if not may_discover(settings, selection):
        return [entry.appid for entry in selection.of(settings.entries) if entry.appid]
    if selection.has_nickname(settings.entries):
        return None
    named = [entry.appid for entry in settings.entries if not {entry.appid, entry.name}.isdisjoint(selection.names)]
    # A name in the form of an appid may stand for two accounts.
    return {*filter(is_appid, selection.names), *filter(None, named)}
