"""Clients of an agency with all that a report must not paper over, and their figures in plain Python.

The documents are those of 2026-08-01 to 2026-11-10, whose newest published day is the last one.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from typing import Any

from collector.config import Settings
from collector.config.schema import ApiSettings, MongoSettings, RunSettings
from collector.model.accounts import Account, Rate, Secret
from collector.model.days import Days
from collector.model.state import AccountState, DatasetState
from collector.store.database import Database
from collector.store.schema import USER_DAILY
from collector.store.state import ACCOUNTS, replacement

SINCE, NEWEST = date(2026, 8, 1), date(2026, 11, 10)
OCTOBER = (date(2026, 10, 1), date(2026, 10, 31))
BORN = date(2026, 10, 11)
LAST_OF_SILENT = date(2026, 9, 20)
BREAK = date(2026, 10, 15)
NO_SUMMARY = [date(2026, 10, day) for day in (5, 6, 7)]
NOTHING = date(2026, 10, 20)
PROVEN, CAME = date(2026, 10, 12), date(2026, 10, 13)
UNKNOWN_CODE = 4

WHOLE, HOLES, BROKEN, YOUNG, SILENT = (f"wx000000000000000{number}" for number in range(1, 6))
NAMES = {WHOLE: "品牌服务号", HOLES: "门店<b>公众号", BROKEN: "broken & co", YOUNG: "新号", SILENT: "老号"}
TAGS = {WHOLE: ("零售",), HOLES: ("零售",), BROKEN: ("food",), YOUNG: ("food",), SILENT: ("food",)}

Document = dict[str, Any]


def documents() -> list[Document]:
    """Return the documents of all accounts, of each the oldest first."""
    return [document for number, account in enumerate(NAMES) for document in _documents(account, number)]


def _documents(account: str, seed: int) -> Iterator[Document]:
    rng, total = random.Random(seed), 0 if account == YOUNG else 2_000 * (seed + 1)
    for day in days_between(BORN if account == YOUNG else SINCE, LAST_OF_SILENT if account == SILENT else NEWEST):
        is_quiet = account == HOLES and day in {PROVEN, CAME}
        codes = [0] if is_quiet else sorted(rng.sample([0, 1, 17, 30, 161, UNKNOWN_CODE], 4))
        sources = [
            {"user_source": code, "new_user": 0 if is_quiet else rng.randrange(40), "cancel_user": 0}
            | ({} if is_quiet else {"cancel_user": rng.randrange(20)})
            for code in codes
        ]
        new, lost = (sum(source[key] for source in sources) for key in ("new_user", "cancel_user"))
        total += new - lost + (100 if account == BROKEN and day == BREAK else 0)
        if account == HOLES and day == NOTHING:
            continue
        document: Document = {"account": account, "ref_date": str(day), "name": "-", "cumulate_user": total}
        if account != HOLES or day not in NO_SUMMARY:
            sums = {"new_user": new, "cancel_user": lost, "net_user": new - lost}
            document |= sums | {"sources": [] if account == HOLES and day == PROVEN else sources}
        yield document


async def stored(database: Database, uri: str) -> Settings:
    """Store the documents and the states of all accounts, and return the settings."""
    found = documents()
    await database[USER_DAILY].insert_many([dict(document) for document in found])
    await database[ACCOUNTS].bulk_write([replacement(_state(account, found), 1) for account in NAMES])
    accounts = tuple(
        Account(name, appid, Secret("s"), Rate(5, 1), since=SINCE, tags=TAGS[appid]) for appid, name in NAMES.items()
    )
    mongodb = MongoSettings().model_copy(update={"uri": Secret(uri), "database": database.name})
    return Settings(mongodb, ApiSettings(), RunSettings(), accounts)


def _state(account: str, found: Iterable[Document]) -> AccountState:
    own = [document for document in found if document["account"] == account]
    datasets = {
        name: DatasetState(
            covered=Days.of(date.fromisoformat(document["ref_date"]) for document in own if field in document),
            refreshed_to=NEWEST,
        )
        for name, field in (("user_summary", "new_user"), ("user_cumulate", "cumulate_user"))
    }
    return AccountState(account, NAMES[account], born=BORN if account == YOUNG else None, datasets=datasets)


def days_between(begin: date, end: date) -> list[date]:
    """Return all days from one to another."""
    return [begin + timedelta(number) for number in range((end - begin).days + 1)]


def of(accounts: Sequence[str], begin: date, end: date) -> list[Document]:
    """Return the documents of some accounts from one day to another."""
    wanted = {str(day) for day in days_between(begin, end)}
    return [each for each in documents() if each["account"] in accounts and each["ref_date"] in wanted]


def total(account: str, day: date) -> int | None:
    """Return the total of an account on a day; 0 before its birth, None where it isn't stored."""
    if account == YOUNG and day < BORN:
        return 0
    return next((each["cumulate_user"] for each in of([account], day, day)), None)


def summed(found: Iterable[Document], field: str) -> int:
    """Return the sum of a field, of the documents that have it."""
    return sum(document.get(field, 0) for document in found)
