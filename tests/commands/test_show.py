"""Findings of `show` in a real MongoDB about one account."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from collector.commands.show import SHOWN_DAYS, show
from collector.completeness.datasets import CUMULATE, SUMMARY
from collector.config import Settings
from collector.config.schema import ApiSettings, MongoSettings, RunSettings
from collector.errors import Fault, UsageError
from collector.kinds import WaitKind
from collector.model.accounts import Account, BrokenEntry, Rate, Secret
from collector.model.daily import Daily, Mark, Source
from collector.model.days import NO_DAYS, Days
from collector.model.findings import Break
from collector.model.shown import Shown, ShownDay
from collector.model.standings import Standing
from collector.model.state import AccountState, DatasetState, Trouble
from collector.model.waits import Wait
from collector.store.database import Database
from collector.store.schema import USER_DAILY
from collector.store.state import ACCOUNTS, replacement

NEWEST = date(2026, 11, 23)
NOW = datetime(2026, 11, 24, 2, 30, 10, tzinfo=UTC)
DAY = timedelta(days=1)
FAULT = Fault("accounts.yaml:7", "no secret", "Write one.")

Look = Callable[..., Any]


def _account(name: str, appid: str = "", **more: Any) -> Account:
    return Account(name, appid or f"wx-{name}", Secret("s3cret"), Rate(5, 1), **more)


def _document(day: date, new: int, total: int, **more: Any) -> dict[str, Any]:
    sources = [{"user_source": 1, "new_user": new, "cancel_user": 0}] if new else []
    figures = {"new_user": new, "cancel_user": 0, "net_user": new, "cumulate_user": total, "sources": sources}
    return {"account": "wx-acme", "ref_date": str(day), "name": "acme", **figures, **more}


@pytest.fixture
def look(database: Database, mongod: str) -> Look:
    """Findings about an account by its name, with these accounts, states and documents."""

    async def looked(
        name: str,
        *accounts: Account,
        states: Iterable[AccountState] = (),
        documents: Iterable[Mapping[str, Any]] = (),
        broken: tuple[BrokenEntry, ...] = (),
    ) -> Shown:
        if writes := [replacement(state, 1) for state in states]:
            await database[ACCOUNTS].bulk_write(writes)
        if days := [dict(document) for document in documents]:
            await database[USER_DAILY].insert_many(days)
        mongodb = MongoSettings().model_copy(update={"uri": Secret(mongod), "database": database.name})
        return await show(Settings(mongodb, ApiSettings(), RunSettings(), accounts, broken=broken), name, NOW)

    return looked


def _state(days: Days, **more: Any) -> AccountState:
    datasets = {name: DatasetState(days, last_success=NOW, refreshed_to=NEWEST) for name in (SUMMARY, CUMULATE)}
    return AccountState("wx-acme", "acme", datasets=datasets, **more)


async def test_account_with_all_kinds_of_days(look: Look) -> None:
    """Born in the month, then whole, with a hole, a break, a quiet day, and a void one."""
    born, hole, void = NEWEST - 9 * DAY, NEWEST - 4 * DAY, NEWEST - 6 * DAY
    whole = Days.between(born, NEWEST) - Days.of([hole, void])
    documents = [_document(day, 2, 100 + 2 * (day - born).days) for day in whole]
    documents[-1] |= {"cumulate_user": 500}
    documents[0] |= {"new_user": 0, "net_user": 0, "sources": []}
    state = _state(whole, born=born)
    state = state._replace(
        datasets={name: state.dataset(name)._replace(void=Days.of([void])) for name in (SUMMARY, CUMULATE)}
    )
    shown = await look("acme", _account("acme", since=date(2026, 1, 1)), states=[state], documents=documents)
    assert len(shown.days) == SHOWN_DAYS
    assert shown.days[-1] == ShownDay(Daily(NEWEST, 2, 0, 500, (Source(1, 2, 0),)), Mark.STORED)
    assert [day.mark for day in shown.days[-11:]] == [
        Mark.UNBORN,
        Mark.PROVEN,
        Mark.STORED,
        Mark.STORED,
        Mark.VOID,
        Mark.STORED,
        Mark.MISSING,
        *[Mark.STORED] * 4,
    ]
    assert shown.gaps
    assert shown.gaps.missing == {SUMMARY: Days.of([hole]), CUMULATE: Days.of([hole])}
    assert shown.gaps.breaks == (Break(NEWEST, 118, 500),)
    assert (shown.status.standing, shown.status.missing_days, shown.status.born) == (Standing.OK, 1, born)
    assert shown.newest_published == NEWEST


async def test_error_and_wait(look: Look) -> None:
    trouble = Trouble("api unauthorized", 48001, "r-i-d", "ask for the right", NOW - DAY, NOW)
    wait = Wait(WaitKind.QUOTA, NOW + DAY)
    state = _state(NO_DAYS)
    failing = {SUMMARY: state.dataset(SUMMARY)._replace(last_error=trouble, wait=wait)}
    shown = await look("wx-acme", _account("acme"), states=[state._replace(datasets=failing)])
    assert shown.status.last_error == trouble
    assert shown.status.waits == {SUMMARY: wait}
    assert {day.mark for day in shown.days} == {Mark.UNCOLLECTED, Mark.MISSING}


async def test_account_that_was_never_collected(look: Look) -> None:
    shown = await look("acme", _account("acme", since=NEWEST - DAY))
    assert shown.status.standing is Standing.NEVER_COLLECTED
    assert [day.mark for day in shown.days[-3:]] == [Mark.UNCOLLECTED, Mark.MISSING, Mark.MISSING]


async def test_disabled_account_is_shown(look: Look) -> None:
    shown = await look("acme", _account("acme", enabled=False), documents=[_document(NEWEST, 1, 7)])
    assert not shown.is_enabled
    assert shown.days[-1].figures.cumulate_user == 7


async def test_broken_entry_says_what_is_wrong(look: Look) -> None:
    broken = BrokenEntry("acme", "wx-acme", (FAULT,)), BrokenEntry("accounts.yaml:9", None, (FAULT,))
    shown = await look("acme", _account("other"), broken=broken, documents=[_document(NEWEST, 1, 7)])
    assert shown.status.last_error
    assert shown.status.last_error.errmsg == "accounts.yaml:7: no secret"
    assert shown.days[-1].figures.cumulate_user == 7
    nameless = await look("accounts.yaml:9", _account("other"), broken=broken)
    assert (nameless.days, nameless.gaps) == ((), None)


async def test_name_that_nobody_has(look: Look) -> None:
    with pytest.raises(UsageError, match=r"no account has the name or appid 'acne'.*did you mean acme"):
        await look("acne", _account("acme"))


async def test_name_that_two_entries_have(look: Look) -> None:
    broken = BrokenEntry("acme", "wx-1", (FAULT,)), BrokenEntry("acme", "wx-2", (FAULT,))
    with pytest.raises(UsageError, match="2 accounts have the name 'acme': name one by its appid, wx-1 or wx-2"):
        await look("acme", broken=broken)
    assert (await look("wx-2", broken=broken)).status.account == "wx-2"
