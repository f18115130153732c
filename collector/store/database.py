"""Opening the database and its collections: the local mongod or the one that `mongodb.uri` names."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import date
from typing import Any, TypeVar

import stamina
import structlog
from bson.codec_options import CodecOptions, DatetimeConversion
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorDatabase
from pymongo import ASCENDING, IndexModel
from pymongo.errors import (
    CollectionInvalid,
    ConfigurationError,
    ConnectionFailure,
    OperationFailure,
    PyMongoError,
)

from collector.errors import ConfigError, DatabaseError, Fault, OriginError
from collector.model.accounts import Origin, Secret
from collector.secrets.addresses import mongodb_risk
from collector.secrets.reader import Secrets
from collector.store.local import local_mongod
from collector.text import printable

T = TypeVar("T")
log = structlog.get_logger()
Document = dict[str, Any]
Database = AsyncIOMotorDatabase[Document]

SELECTION_TIMEOUT_MS = 5_000
"""Milliseconds until a MongoDB that doesn't answer counts as out of reach."""

MAJORITY_TIMEOUT_MS = 10_000
"""Milliseconds until a write that the majority hasn't acknowledged counts as an outage, and is done again."""

SOCKET_TIMEOUT_MS = 15_000
"""Milliseconds until a MongoDB that says nothing at all counts as gone."""

USER_DAILY = "user_daily"

OUTAGE_S = 45.0
"""Seconds for which a MongoDB that went away is waited for, such as while a replica set elects a primary."""

AS_IT_IS: CodecOptions[Document] = CodecOptions(
    document_class=dict, datetime_conversion=DatetimeConversion.DATETIME_AUTO, unicode_decode_error_handler="replace"
)
"""How documents are read that others may have written: dates and texts beyond Python's are no error."""

MAX_CONNECTIONS = 32
"""Connections to MongoDB; the driver's own limit of 100 would leave no open files for those to WeChat."""

_PASSING = frozenset({6, 7, 24, 89, 91, 112, 133, 189, 262, 365, 9001, 10107, 11600, 11602, 13435, 13436})
"""What a server or mongos says while it elects, starts or ends, or can't reach another."""

_DUPLICATE = 11000
_INDEX_DIFFERS = (85, 86)
_DISK_FULL = 14031

MAX_SHOWN = 50
"""Letters that are shown of a value that others may have stored."""

FAILED_VALIDATION = "failed validation"
"""How MongoDB says that a validator refuses a document."""


_COUNT = {"bsonType": ["int", "long"], "minimum": 0}
VALIDATOR: Mapping[str, Any] = {
    "$jsonSchema": {
        "bsonType": "object",
        "required": ["account", "ref_date", "name"],
        "properties": {
            "account": {"bsonType": "string", "minLength": 1},
            "ref_date": {"bsonType": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
            "name": {"bsonType": "string", "minLength": 1},
            "new_user": _COUNT,
            "cancel_user": _COUNT,
            "net_user": {"bsonType": ["int", "long"]},
            "cumulate_user": _COUNT,
            "sources": {
                "bsonType": "array",
                "items": {
                    "bsonType": "object",
                    "required": ["user_source", "new_user", "cancel_user"],
                    "properties": {"user_source": _COUNT, "new_user": _COUNT, "cancel_user": _COUNT},
                },
            },
            "fetched_at": {"bsonType": "object"},
        },
    }
}
"""What MongoDB itself asks of a document of `user_daily`; more fields are allowed."""

INDEXES = (
    IndexModel([("account", ASCENDING), ("ref_date", ASCENDING)], unique=True),
    IndexModel([("ref_date", ASCENDING)]),
)

_NOT_AUTHENTICATED = 18
_NOT_ALLOWED = 13
_NAMESPACE_EXISTS = 48
_BOTH_WAYS_OUT = "check mongodb.uri and that MongoDB runs there, or leave mongodb.uri out to use a local mongod"


@asynccontextmanager
async def open_database(uri: Origin | None, name: str) -> AsyncIterator[Database]:
    """The database `name` at `uri`, answering and ready to be written; without a `uri`, of a local mongod.

    Raises `DatabaseError` when it can't be had: within 10 s, but for a local mongod that is slow to start; and
    `ConfigError` when the `uri` can't be read where it lives.
    """
    async with AsyncExitStack() as stack:
        if uri is None:
            uri = Secret(await stack.enter_async_context(local_mongod()))
        address = await _read(uri)
        if address is not uri and (risk := mongodb_risk(address.get_secret_value())):
            log.warning("mongodb.uri", risk=risk)  # one that stands in the configuration is warned about there
        client = _client(address)
        stack.callback(client.close)
        database = client[name]
        with translated():
            await database.command("ping")
        yield database


async def prepare(database: Database) -> list[str]:
    """Create what `user_daily` lacks: the collection with its validator, and its indexes.

    A collection that stands is never changed; returns a sentence for each difference worth knowing.
    """
    with translated():
        found = await database.list_collections(filter={"name": USER_DAILY})
        options = [collection.get("options", {}) async for collection in found]
        if not options:
            await _create(database)
        await _index(database)
    if options and options[0].get("validator") != VALIDATOR:
        return [f"the validator of {USER_DAILY} isn't this version's; it is left as it is (see docs/mongodb.md)"]
    return []


async def find_days(database: Database, account: str, days: Iterable[date]) -> dict[date, Document]:
    """The stored documents of an account's `days`, by day; those that aren't stored are left out."""
    wanted = {"account": account, "ref_date": {"$in": [str(day) for day in days]}}
    shown = {"_id": False, "ref_date": True, "cumulate_user": True}
    found = await outlasting(lambda: database[USER_DAILY].find(wanted, shown).to_list(None))
    return {date.fromisoformat(document["ref_date"]): document for document in found}


@contextmanager
def translated() -> Iterator[None]:
    """Turn PyMongo's errors into `DatabaseError` in plain words, which never hold the URI."""
    try:
        yield
    except (ConnectionFailure, ConfigurationError) as error:  # the latter for names that DNS doesn't know
        message = f"MongoDB can't be reached ({_short(error)}): {_BOTH_WAYS_OUT}"
    except OperationFailure as error:
        message = _refused(error)
    except PyMongoError as error:
        message = f"MongoDB failed: {_short(error)}"
    else:
        return
    raise DatabaseError(message)


async def outlasting(call: Callable[[], Awaitable[T]]) -> T:
    """What `call` gives, which is repeated while MongoDB is away, for `OUTAGE_S` seconds after its first failure.

    Raises `DatabaseError` when it stays away, or refuses.
    """
    with translated():
        try:
            return await call()
        except PyMongoError as error:
            if not _passes(error):
                raise
        # A context of stamina is garbage that only a search for cycles finds, so it enters with the first trouble.
        log.warning("mongodb.away", waiting_s=OUTAGE_S)
        async for attempt in stamina.retry_context(
            on=_passes, attempts=None, timeout=OUTAGE_S, wait_initial=0.2, wait_max=5
        ):
            with attempt:
                return await call()
    raise AssertionError("the last attempt returns or raises")


def _passes(error: Exception) -> bool:
    return isinstance(error, ConnectionFailure) or (isinstance(error, OperationFailure) and error.code in _PASSING)


async def _read(uri: Origin) -> Secret:
    try:
        return await Secrets().read(uri)
    except OriginError as error:
        raise ConfigError((Fault("mongodb.uri", error.errmsg, error.remedy),)) from None


def _client(uri: Secret) -> AsyncIOMotorClient[Document]:
    try:
        return AsyncIOMotorClient(
            uri.get_secret_value(),
            appname="wechat-collector",
            serverSelectionTimeoutMS=SELECTION_TIMEOUT_MS,
            connectTimeoutMS=SELECTION_TIMEOUT_MS,
            socketTimeoutMS=SOCKET_TIMEOUT_MS,
            maxPoolSize=MAX_CONNECTIONS,
            w="majority",
            wTimeoutMS=MAJORITY_TIMEOUT_MS,
        )
    except (ValueError, OSError, PyMongoError):  # their texts repeat parts of the URI, which may be the password
        pass
    raise DatabaseError(
        "mongodb.uri isn't of a form that MongoDB takes, or names a file that can't be read. A password with @ : / % "
        "in it must be percent-encoded: see docs/mongodb.md"
    )


async def _index(database: Database) -> None:
    """Make the indexes, or say what keeps them from being made."""
    try:
        await database[USER_DAILY].create_indexes(list(INDEXES))
    except OperationFailure as error:
        if error.code == _DUPLICATE:
            key = (error.details or {}).get("keyValue", {})
            which = ", ".join(printable(key.get(name), MAX_SHOWN) for name in ("account", "ref_date"))
            raise DatabaseError(
                f"two documents of {USER_DAILY} have the same account and ref_date ({which}), so its unique index "
                "can't be made: delete one of them, or name a database of the collector's own in mongodb.database"
            ) from None
        if error.code in _INDEX_DIFFERS:
            raise DatabaseError(
                f"the index account_1_ref_date_1 of {USER_DAILY} isn't unique, or has other options: drop it, and the "
                "next run makes it anew"
            ) from None
        raise


async def _create(database: Database) -> None:
    try:
        await database.create_collection(USER_DAILY, validator=VALIDATOR)
    except CollectionInvalid:  # another run was quicker
        return
    except OperationFailure as error:
        if error.code != _NAMESPACE_EXISTS:
            raise


def _refused(error: OperationFailure) -> str:
    if error.code == _NOT_AUTHENTICATED:
        return "MongoDB doesn't take the user or the password of mongodb.uri"
    if error.code == _DISK_FULL:
        return "MongoDB's disk is full: make room on it, then run again"
    if error.code == _NOT_ALLOWED and "requires authentication" in str(error):
        return "mongodb.uri names no user, and this MongoDB asks for one: mongodb://USER:PASSWORD@HOST/…"
    if error.code == _NOT_ALLOWED:
        return "the user of mongodb.uri may not do this: give it the role readWrite on the database"
    return f"MongoDB refused: {_short(error)}"


def _short(error: Exception) -> str:
    """The first clause of PyMongo's text, which goes on with the whole topology, and may hold what others stored."""
    text = str(error).partition(" (configured timeouts")[0].partition(", Timeout:")[0].partition(", full error")[0]
    return printable(text, 300)
