import asyncio
import warnings

import pytest
from pymongo.common import URI_OPTIONS_VALIDATOR_MAP
from pymongo.errors import OperationFailure, PyMongoError, WriteError
from structlog.testing import capture_logs

from collector.errors import DatabaseError
from collector.model.accounts import Secret
from collector.secrets.addresses import mongodb_warnings
from collector.store.database import FIRST_OUTAGE_S, SELECTION_TIMEOUT_MS, Database, open_database, prepare, translated
from collector.store.location import Location
from collector.store.schema import USER_DAILY, VALIDATOR

GOOD = {"account": "wx0123456789abcdef", "ref_date": "2026-11-23", "name": "acme-shoes"}


async def _differences(database: Database) -> list[str]:
    with capture_logs() as logs:
        await prepare(database)
    return [log["what"] for log in logs if log["event"] == "database.differs"]


async def test_validator_and_indexes(database: Database) -> None:
    assert await _differences(database) == []
    options = await database[USER_DAILY].options()
    assert options["validator"] == VALIDATOR
    information = await database[USER_DAILY].index_information()
    assert information.keys() == {"_id_", "account_1_ref_date_1", "ref_date_1", "date_1"}
    assert information["account_1_ref_date_1"]["unique"]


async def test_preparing_again_changes_nothing(database: Database) -> None:
    await prepare(database)
    await database[USER_DAILY].insert_one(dict(GOOD))
    assert await _differences(database) == []
    assert await database[USER_DAILY].count_documents({}) == 1


async def test_preparing_at_the_same_instant(database: Database) -> None:
    with capture_logs() as logs:
        await asyncio.gather(*(prepare(database) for _ in range(8)))
    assert logs == []


async def test_validator_that_differs(database: Database) -> None:
    await database.create_collection(USER_DAILY, validator={"account": {"$exists": True}})
    assert await _differences(database) == [
        "the validator of user_daily differs from this version's, and was left as it is (see docs/mongodb.md)"
    ]
    assert (await database[USER_DAILY].options())["validator"] == {"account": {"$exists": True}}


async def test_index_that_differs(database: Database) -> None:
    """One that only makes queries fast, as somebody has made it for a field of their own, stops no run."""
    await prepare(database)
    await database[USER_DAILY].drop_index("date_1")
    await database[USER_DAILY].create_index("date", sparse=True)
    assert await _differences(database) == [
        "the index date_1 of user_daily differs from this version's, and was left as it is"
    ]
    assert (await database[USER_DAILY].index_information())["date_1"]["sparse"]


async def test_collection_of_another_tool(database: Database) -> None:
    """It gets the indexes, and no validator."""
    await database[USER_DAILY].insert_one({"something": "else"})
    assert len(await _differences(database)) == 1
    assert "account_1_ref_date_1" in await database[USER_DAILY].index_information()


@pytest.mark.parametrize(
    "wrong",
    [
        {"account": None},
        {"ref_date": "23.11.2026"},
        {"name": 5},
        {"new_user": -1},
        {"new_user": 1.5},
        {"cumulate_user": "7"},
        {"net_user": None},
        {"sources": [{"user_source": 0}]},
        {"sources": {}},
    ],
)
async def test_wrong_shape_is_refused(database: Database, wrong: dict[str, object]) -> None:
    await prepare(database)
    with pytest.raises(WriteError):
        await database[USER_DAILY].insert_one(GOOD | wrong)


async def test_more_fields_are_allowed(database: Database) -> None:
    await prepare(database)
    await database[USER_DAILY].insert_one(GOOD | {"net_user": -3, "mine": {"a": 1}})


def test_15_s_for_the_first_answer() -> None:
    assert SELECTION_TIMEOUT_MS / 1000 + FIRST_OUTAGE_S == 15


@pytest.mark.usefixtures("_impatient")
async def test_out_of_reach() -> None:
    """An address that never answered isn't retried for as long as one that did."""
    with pytest.raises(DatabaseError) as failed:
        async with open_database(Location("wechat", Secret("mongodb://user:pa55word@127.0.0.1:1/"))):
            pytest.fail("there is nothing to open")
    assert str(failed.value) == (
        "MongoDB can't be reached (127.0.0.1:1: [Errno 111] Connection refused): check mongodb.uri and that MongoDB "
        "runs there, or leave mongodb.uri out to use a local mongod"
    )


@pytest.mark.parametrize(
    "uri",
    ["mongodb://user:pa:55@word@host:port", "mongodb://", "http://pa55word", "mongodb://h/?tls=true&tlsCAFile=/pa55"],
)
async def test_invalid_uri_is_never_repeated(uri: str) -> None:
    with pytest.raises(DatabaseError) as failed:
        async with open_database(Location("wechat", Secret(uri))):
            pytest.fail("there is nothing to open")
    assert str(failed.value).startswith("mongodb.uri isn't a valid MongoDB address")
    assert "pa55" not in str(failed.value)
    assert failed.value.__context__ is None


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            OperationFailure("Authentication failed.", 18),
            "MongoDB refused the user or the password of mongodb.uri: correct them",
        ),
        (
            OperationFailure("not authorized on wechat", 13),
            "the user of mongodb.uri may not do this: give it the role readWrite on the database",
        ),
        (
            OperationFailure("disk full, full error: {'ok': 0}", 14031),
            "MongoDB's disk is full: make room on it, then run again",
        ),
        (PyMongoError("boom"), "MongoDB failed: boom"),
    ],
)
def test_translated(error: Exception, said: str) -> None:
    with pytest.raises(DatabaseError) as failed, translated():
        raise error
    assert str(failed.value) == said


async def test_options_of_the_address(mongod: str) -> None:
    """An option without effect is told in plain words, once, and its value never."""
    with capture_logs() as logs, warnings.catch_warnings():
        warnings.simplefilter("error")
        async with open_database(Location("test_unused", Secret(f"{mongod}/?foo=l3aked&retryWrites=l3aked&w=1"))):
            pass
    assert logs == [
        {
            "event": "mongodb.uri",
            "log_level": "warning",
            "risk": "an option after its `?` has a value that it can't have, and no effect; correct it",
        }
    ]


def test_options_that_the_driver_knows() -> None:
    """Our list has all that a URI may hold."""
    not_for_uris = {"driver", "server_api", "tz_aware", "unicode_decode_error_handler", "datetime_conversion"}
    known = {
        name: mongodb_warnings(f"mongodb://h/?{name}=1") for name in URI_OPTIONS_VALIDATOR_MAP.keys() - not_for_uris
    }
    assert {name for name, found in known.items() if found} == set()
