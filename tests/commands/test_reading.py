"""Facts about accounts for reports, by their entries and states."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from collector.commands.reading import facts_by_appid, read_facts
from collector.completeness.datasets import CUMULATE, SUMMARY
from collector.completeness.plan import Target
from collector.config import Selection, Settings
from collector.config.schema import ApiSettings, MongoSettings, RunSettings
from collector.errors import Fault
from collector.model.accounts import Account, BrokenEntry, Component, Entry, Rate, Secret
from collector.model.days import BEIJING, Days
from collector.model.state import AccountState, Authorizer, DatasetState, Trouble
from collector.report.figures.account import Facts
from collector.store.database import Database
from collector.store.state import ACCOUNTS, replacement

NEWEST = date(2026, 11, 23)
SINCE = date(2026, 1, 1)
BORN = date(2026, 3, 1)
NOW = datetime(2026, 11, 24, tzinfo=BEIJING)
TARGET = Target(NEWEST, 7)
ENTRY = Account("acme", "wx1", Secret("s"), Rate(5, 1), since=SINCE, tags=("retail",))


def _facts(entry: Entry, *unusable: str, **summary: Any) -> Facts:
    covered = Days.between(BORN, summary.pop("newest", NEWEST))
    known = DatasetState(covered, refreshed_to=NEWEST, last_success=NOW)
    datasets = {SUMMARY: known._replace(**summary), CUMULATE: known}
    state = AccountState("wx1", "old name", born=BORN, datasets=datasets)
    return facts_by_appid([entry], {"wx1": state}, unusable, TARGET)["wx1"]


def test_facts_are_those_of_entry_and_state() -> None:
    void = Days.of([date(2026, 5, 5)])
    assert _facts(ENTRY, void=void) == Facts("wx1", "acme", ("retail",), BORN, BORN, void, newest=NEWEST)


def test_account_without_a_state_is_expected_from_its_since() -> None:
    assert facts_by_appid([ENTRY], {}, (), TARGET)["wx1"] == Facts("wx1", "acme", ("retail",), SINCE)


def test_failing_accounts() -> None:
    """Those with an error since the last success, a broken entry, or a state that can't be used."""
    broken = BrokenEntry("acme", "wx1", (Fault("accounts.yaml:1", "no secret", "Write one."),))
    assert _facts(ENTRY, last_error=Trouble("refused", 48001, None, "", NOW, NOW)).failing
    assert _facts(broken).failing
    assert _facts(ENTRY, "wx1").failing
    assert not _facts(ENTRY, "wx2").failing


def test_silent_account() -> None:
    assert _facts(ENTRY, newest=NEWEST - timedelta(days=14)).silent
    assert not _facts(ENTRY, newest=NEWEST - timedelta(days=13)).silent


async def test_facts_of_stored_states(database: Database) -> None:
    """One that can't be used is failing. An account that a platform has discovered is there; one that left isn't."""
    found = AccountState("wx2", "found", authorizer=Authorizer("agency", "Found"))
    await database[ACCOUNTS].bulk_write([replacement(state, 1) for state in (found, AccountState("wx3", "left"))])
    await database[ACCOUNTS].insert_one({"_id": "wx1", "version": 99})
    platform = Component("agency", "wxagency", discover=True)
    settings = Settings(MongoSettings(), ApiSettings(), RunSettings(), (ENTRY,), components=(platform,))
    facts = await read_facts(database, settings, Selection(), TARGET)
    assert [(each.account, each.name, each.failing) for each in facts.values()] == [
        ("wx1", "acme", True),
        ("wx2", "Found", False),
    ]


def test_entry_without_an_appid_has_no_account() -> None:
    broken = BrokenEntry("accounts.yaml:1", None, (Fault("accounts.yaml:1", "no appid", "Write one."),))
    assert facts_by_appid([broken], {}, (), TARGET) == {}
