"""The comparison notices a missing, an extra and a changed document, and the search finds a leaked secret."""

from __future__ import annotations

import inspect
from datetime import date, timedelta

import pytest
from chaos.compare import crashes, differences, everything_stored, leaks, loose_ends, secrets_of
from support import Documents, truth

from collector.model.days import ONE_DAY, Window
from collector.run import lookup
from collector.sandbox import World
from collector.store.database import Database

WORLD = World(seed=5, size=3)
SINCE, NEWEST = date(2026, 10, 1), date(2026, 11, 23)
APPID = WORLD.accounts[0].appid
KEY = (APPID, "2026-10-20")
SECRETS = secrets_of(WORLD)


@pytest.fixture
def documents() -> Documents:
    """The documents of a storm that lost nothing."""
    return truth(WORLD, Window(SINCE, NEWEST))


def _told(documents: Documents) -> list[str]:
    return differences(documents, WORLD, SINCE, NEWEST)


def test_the_truth_has_no_differences(documents: Documents) -> None:
    assert len(documents) == 3 * len(Window(SINCE, NEWEST))
    assert _told(documents) == []


def test_missing_document(documents: Documents) -> None:
    del documents[KEY]
    assert _told(documents) == [f"{APPID} 2026-10-20: missing"]


@pytest.mark.parametrize("day", ["2026-11-24", "2026-08-01"])
def test_extra_document(documents: Documents, day: str) -> None:
    """A day that isn't published yet, or long before the wanted ones, is wrong even with the right figures."""
    document = truth(WORLD, [date.fromisoformat(day)])[APPID, day]
    documents[APPID, day] = document
    assert _told(documents) == [f"{APPID} {day}: extra: {document}"]


def test_unknown_account(documents: Documents) -> None:
    documents["wx0", "2026-10-20"] = {"account": "wx0"}
    assert _told(documents) == ["wx0 2026-10-20: extra: {'account': 'wx0'}"]


def test_changed_figure(documents: Documents) -> None:
    total = documents[KEY]["cumulate_user"]
    documents[KEY] = documents[KEY] | {"cumulate_user": total + 1}
    assert _told(documents) == [f"{APPID} 2026-10-20: cumulate_user is {total + 1} instead of {total}"]


def test_missing_and_extra_field(documents: Documents) -> None:
    total = documents[KEY]["cumulate_user"]
    documents[KEY] = {name: value for name, value in documents[KEY].items() if name != "cumulate_user"} | {"odd": 1}
    assert _told(documents) == [
        f"{APPID} 2026-10-20: cumulate_user is None instead of {total}, odd is 1 instead of None"
    ]


def test_earlier_days_may_be_partial(documents: Documents) -> None:
    """Days before the wanted ones may be incomplete, but not wrong."""
    before = str(SINCE - ONE_DAY)
    whole = truth(WORLD, Window(SINCE - timedelta(days=3), NEWEST))[APPID, before]
    documents[APPID, before] = {name: whole[name] for name in ("account", "ref_date", "name", "cumulate_user")}
    assert _told(documents) == []
    documents[APPID, before] = whole | {"cumulate_user": 1}
    assert _told(documents) == [f"{APPID} {before}: cumulate_user is 1 instead of {whole['cumulate_user']}"]


def test_first_day_may_be_quiet() -> None:
    """The day before the first wanted one may prove that this one is quiet."""
    account, day = next(
        (account.appid, day)
        for account in WORLD.accounts
        for day in Window(SINCE, NEWEST)
        if not WORLD.summary(account.appid, day)
    )
    documents = truth(WORLD, Window(day, NEWEST))
    assert differences(documents, WORLD, day, NEWEST) == []
    documents |= {key: each for key, each in truth(WORLD, Window(day - ONE_DAY, NEWEST)).items() if key[1] >= str(day)}
    assert documents[account, str(day)]["sources"] == []
    assert differences(documents, WORLD, day, NEWEST) == []


async def test_lease_and_open_run_are_loose_ends(database: Database) -> None:
    assert await loose_ends(database) == []
    await database["leases"].insert_one({"_id": "run", "leases": [{"run": "r1"}]})
    await database["runs"].insert_many([{"_id": "r1", "status": "running"}, {"_id": "r2", "status": "ok", "ended": 1}])
    assert await loose_ends(database) == [
        "a lease is left: {'run': 'r1'}",
        "a run is open in the ledger: r1",
    ]


@pytest.mark.parametrize("what", SECRETS)
def test_planted_secret_is_found(what: str) -> None:
    texts = {"3.log": f"at work with {SECRETS[what]}!", "3.out": "fine"}
    assert f"the {what} is in 3.log" in leaks(texts, SECRETS)


def test_tokens_and_tickets_are_found() -> None:
    """Tokens of any source and newer tickets are found by their form."""
    token = "17_" + "aB3-_" * 20
    texts = {
        "1.out": f"?access_token={token}&x",
        "2.out": WORLD.verify_ticket(7),
        "3.out": WORLD.refresh_token("wx", 9),
    }
    assert leaks(texts, SECRETS) == [
        "a ticket is in 2.out",
        "a refresh token is in 3.out",
        "a token is in 1.out",
    ]


def test_identifiers_are_no_leak() -> None:
    """Appids, run ids and rids may be printed."""
    told = f"{APPID} client-00001 20261124T023010Z-1f9a3c rid: 0a1b2c3d-0a1b2c3d-0a1b2c3d http://127.0.0.1:4000"
    assert leaks({"1.log": told}, SECRETS) == []


async def test_database_is_searched(database: Database) -> None:
    secret = SECRETS["platform's secret"]
    await database["accounts"].insert_one({"_id": APPID, "user_summary": {"last_error": {"errmsg": secret}}})
    assert leaks({"the database": await everything_stored(database)}, SECRETS) == [
        "the platform's secret is in the database"
    ]


@pytest.mark.parametrize("form", ["[warning] authorizer.left account=a", '{"event": "authorizer.left"}'])
def test_dropped_account_is_told(form: str) -> None:
    """No account leaves its platform in a storm, so none may be dropped."""
    assert crashes(form) == ["the log has 'authorizer.left'"]
    assert '"authorizer.left"' in inspect.getsource(lookup)


def test_traceback_is_a_crash() -> None:
    """A traceback is a crash, except the one that Python prints after a second signal."""
    traceback = 'Traceback (most recent call last):\n  File "x.py", line 1, in f\n'
    assert crashes(f"[warning] account.crashed\n{traceback}KeyError: 1") != []
    assert crashes(f"Exception ignored in: <module 'threading'>\n{traceback}KeyboardInterrupt: ") == []
    assert crashes("mongodb.away") == []
