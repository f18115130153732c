"""Open the database and its collections, in a MongoDB or in the local mongod."""

from __future__ import annotations

import re
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import stamina
import structlog
from bson.codec_options import CodecOptions, DatetimeConversion
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorCollection, AsyncIOMotorDatabase
from pymongo import IndexModel, ReadPreference
from pymongo.errors import ConfigurationError, ConnectionFailure, NetworkTimeout, OperationFailure, PyMongoError

from collector.errors import DatabaseError
from collector.model.accounts import Secret
from collector.store.diagnosis import NO_SPACE, full_disk
from collector.store.local import local_mongod, why_away
from collector.store.location import Location
from collector.store.outages import OUTAGES
from collector.store.schema import INDEXES, UNIQUE, USER_DAILY, VALIDATOR
from collector.text import printable

T = TypeVar("T")
log = structlog.get_logger()
Document = dict[str, Any]
Database = AsyncIOMotorDatabase[Document]

SELECTION_TIMEOUT_MS = 5_000
"""Milliseconds after which a MongoDB that doesn't answer counts as out of reach."""

MAJORITY_TIMEOUT_MS = 10_000
"""Milliseconds after which a write that the majority hasn't acknowledged counts as an outage, and is retried."""

SOCKET_TIMEOUT_MS = 15_000
"""Milliseconds without a byte after which a connection to MongoDB counts as broken."""

OUTAGE_S = 45.0
"""Seconds for which calls are retried after an outage began, such as the election of a primary."""

FIRST_OUTAGE_S = 10.0
"""Seconds for which the first call is retried, after `SELECTION_TIMEOUT_MS` of its own: the address may be wrong."""

AS_IT_IS: CodecOptions[Document] = CodecOptions(
    document_class=dict, datetime_conversion=DatetimeConversion.DATETIME_AUTO, unicode_decode_error_handler="replace"
)
"""Codec for documents that others may have written: dates and texts that Python can't hold are no error."""

MAX_CONNECTIONS = 32
"""Connections to MongoDB. The driver's default of 100 would take the open files that connections to WeChat need."""

PASSING = frozenset({6, 7, 24, 43, 64, 89, 91, 112, 133, 189, 262, 365, 9001, 10107, 11600, 11602, 13435, 13436, 16500})
"""Codes of a server or mongos that elects, starts or stops, or can't reach another server, so that a retry may succeed.

In this order: HostUnreachable, HostNotFound, LockTimeout, CursorNotFound, WriteConcernFailed, NetworkTimeout,
ShutdownInProgress, WriteConflict, FailedToSatisfyReadPreference, PrimarySteppedDown, ExceededTimeLimit,
TemporarilyUnavailable, SocketException, NotWritablePrimary, InterruptedAtShutdown, InterruptedDueToReplStateChange,
NotPrimaryNoSecondaryOk, NotPrimaryOrSecondary, TooManyRequests (of Cosmos DB).
"""

_NOT_ALLOWED = 13
_AUTHENTICATION_FAILED = 18
NAMESPACE_EXISTS = 48
_INDEX_DIFFERS = (85, 86)
DUPLICATE = 11000
_DISK_FULL = 14031

MAX_SHOWN = 50
"""Characters shown of a value that others may have stored."""

FAILED_VALIDATION = "failed validation"
"""Part of MongoDB's message when a validator refuses a document."""

_REFUSALS = {
    _NOT_ALLOWED: "the user of mongodb.uri may not do this: give it the role readWrite on the database",
    _AUTHENTICATION_FAILED: "MongoDB refused the user or the password of mongodb.uri: correct them",
}

_LOCAL: list[Path] = []
"""Folders of the local mongods in use by this process, at most one but in tests: what is away then is that server."""


@asynccontextmanager
async def open_database(location: Location, *, must_exist: bool = False) -> AsyncIterator[Database]:
    """Open the database at `location`, and make sure that it answers.

    With `must_exist`, no local database is created. Raises `DatabaseError` where it isn't available: within 15 s,
    unless a local mongod is slow to start.
    """
    async with AsyncExitStack() as stack:
        uri = location.uri
        if uri is None:
            uri = Secret(await stack.enter_async_context(local_mongod(location.data_dir, must_exist=must_exist)))
            _LOCAL.append(location.data_dir)
            stack.callback(_LOCAL.remove, location.data_dir)
        client = _client(uri)
        stack.callback(client.close)
        # Whatever the URI says: by a secondary that lags, a day would look missing, and a lease free.
        database = client.get_database(location.database, read_preference=ReadPreference.PRIMARY)
        await outlasting(lambda: database.command("ping"), timeout_s=FIRST_OUTAGE_S)
        yield database


async def prepare(database: Database) -> None:
    """Create the collection `user_daily` with its validator, and its indexes, where they are missing.

    The validator of an existing collection is never changed: one that differs is only logged.
    """
    if await outlasting(lambda: _prepared(database)) != VALIDATOR:
        what = f"the validator of {USER_DAILY} differs from this version's, and was left as it is (see docs/mongodb.md)"
        log.warning("database.differs", what=what)


async def find_days(database: Database, account: str, days: Iterable[date]) -> dict[date, Document]:
    """Return the stored documents of an account's `days`, by day, as far as there are any."""
    wanted = {"account": account, "ref_date": {"$in": [str(day) for day in days]}}
    shown = {"_id": False, "ref_date": True, "cumulate_user": True}  # other fields may hold values that Python can't
    found = await outlasting(lambda: database[USER_DAILY].find(wanted, shown).to_list(None))
    return {date.fromisoformat(document["ref_date"]): document for document in found}


async def rename(database: Database, account: str, name: str) -> None:
    """Write an account's new name into its documents; where a validator refuses one of them, only log that."""
    # Documents of other tools keep theirs: ours have a text as `ref_date`.
    ours = {"account": account, "ref_date": {"$type": "string"}}
    try:
        await outlasting(lambda: database[USER_DAILY].update_many(ours, {"$set": {"name": name}}))
    except DatabaseError as error:
        # An old document that a new validator refuses must not end the run of all accounts.
        if FAILED_VALIDATION not in str(error):
            raise
        log.warning("name.refused", account=account, name=name, reason=str(error))


@contextmanager
def translated() -> Iterator[None]:
    """Turn PyMongo's errors into `DatabaseError` with a message that never contains the URI."""
    try:
        yield
    except PyMongoError as error:
        message = _explained(error)
    else:
        return
    raise DatabaseError(message)  # outside the handlers, so that no traceback shows PyMongo's text


async def outlasting(call: Callable[[], Awaitable[T]], *, timeout_s: float | None = None) -> T:
    """Return what `call` returns, retrying it for `timeout_s` seconds (`OUTAGE_S` by default) while MongoDB is away.

    Raises `DatabaseError` when it stays away, or refuses.
    """
    with translated():
        try:
            return await call()
        except PyMongoError as error:
            if not _passes(error):
                raise
        # The first try stands outside stamina: each of its contexts is garbage that only a search for cycles finds.
        timeout_s = OUTAGE_S if timeout_s is None else timeout_s
        retrying = stamina.AsyncRetryingCaller(attempts=None, timeout=timeout_s, wait_initial=0.2, wait_max=5)
        with OUTAGES.waiting(timeout_s):
            return await retrying(_passes, call)


def _passes(error: Exception) -> bool:
    if isinstance(error, ConnectionFailure):
        return not any(map(why_away, _LOCAL))  # nobody restarts a local mongod that has ended
    return isinstance(error, OperationFailure) and error.code in PASSING


def _client(uri: Secret) -> AsyncIOMotorClient[Document]:
    try:
        with warnings.catch_warnings(record=True) as ignored:
            warnings.simplefilter("always", UserWarning)
            client: AsyncIOMotorClient[Document] = AsyncIOMotorClient(
                uri.get_secret_value(),
                appname="wechat-collector",
                serverSelectionTimeoutMS=SELECTION_TIMEOUT_MS,
                connectTimeoutMS=SELECTION_TIMEOUT_MS,
                socketTimeoutMS=SOCKET_TIMEOUT_MS,
                maxPoolSize=MAX_CONNECTIONS,
                w="majority",
                wTimeoutMS=MAJORITY_TIMEOUT_MS,
            )
        # Unknown options are told before. The driver's own text may repeat a value.
        if any("Unknown option" not in str(each.message) for each in ignored):
            risk = "an option after its `?` has a value that it can't have, and no effect; correct it"
            log.warning("mongodb.uri", risk=risk)
    except (ValueError, OSError, PyMongoError):
        pass  # and raise below, without a cause: their texts repeat parts of the URI, perhaps the password
    else:
        return client
    raise DatabaseError(
        "mongodb.uri isn't a valid MongoDB address, or names a file that can't be read. A password with @ : / % in it "
        "must be percent-encoded: see docs/mongodb.md"
    )


async def _prepared(database: Database) -> Any:
    """Return the validator of `user_daily`, which is there with its indexes then."""
    found = await database.list_collections(filter={"name": USER_DAILY})
    options = [collection.get("options", {}) async for collection in found]
    if not options:
        await _create(database)
    await _index(database)
    return options[0].get("validator") if options else VALIDATOR


async def _create(database: Database) -> None:
    try:
        await database.create_collection(USER_DAILY, validator=VALIDATOR, check_exists=False)
    except OperationFailure as error:
        if error.code != NAMESPACE_EXISTS:  # another run was quicker
            raise


async def _index(database: Database) -> None:
    """Create the indexes; where one that only makes queries fast differs, log that.

    Raises `DatabaseError` with the remedy where documents or an index stand in the way of the unique one.
    """
    for index in INDEXES:
        try:
            await _build(database[USER_DAILY], index)
        except OperationFailure as error:
            if error.code not in (DUPLICATE, *_INDEX_DIFFERS):
                raise
            if index is UNIQUE:
                raise DatabaseError(_in_the_way(error)) from None
            what = (
                f"the index {index.document['name']} of {USER_DAILY} differs from this version's, and was left as it is"
            )
            log.warning("database.differs", what=what)


def _in_the_way(error: OperationFailure) -> str:
    """Return why the unique index can't be created, and the remedy."""
    if error.code == DUPLICATE:
        key = (error.details or {}).get("keyValue", {})
        day = ", ".join(printable(key.get(name), MAX_SHOWN) for name in ("account", "ref_date"))
        return (
            f"two documents of {USER_DAILY} have the same account and ref_date ({day}), so its unique index can't "
            "be made: delete one of them, or name a database of the collector's own in mongodb.database"
        )
    return (
        f"the index account_1_ref_date_1 of {USER_DAILY} isn't unique, or has other options: drop it, and the next run "
        "makes it anew"
    )


async def _build(collection: AsyncIOMotorCollection[Document], index: IndexModel) -> None:
    """Create the index, however long that takes."""
    is_logged = False
    while True:
        try:
            await collection.create_indexes([index])
        except NetworkTimeout:
            # The server goes on building, and whoever asks for the same index waits for it.
            if not is_logged:
                name = index.document["name"]
                what = f"MongoDB builds the index {name} of {collection.name}: the run goes on when it is ready"
                log.warning("database.indexing", what=what)
            is_logged = True
        else:
            return


def _explained(error: PyMongoError) -> str:
    if isinstance(error, ConnectionFailure | ConfigurationError):  # the latter for names that DNS doesn't know
        if _LOCAL:
            hangs = f"the local mongod of {_LOCAL[0]} doesn't answer ({_short(error)}): run again"
            return why_away(_LOCAL[0]) or hangs
        return (
            f"MongoDB can't be reached ({_short(error)}): check mongodb.uri and that MongoDB runs there, or leave "
            "mongodb.uri out to use a local mongod"
        )
    if not isinstance(error, OperationFailure):
        return f"MongoDB failed: {_short(error)}"
    if error.code == _DISK_FULL or NO_SPACE in str(error):
        disk = (_LOCAL and full_disk(_LOCAL[0])) or "MongoDB's disk is full"
        return f"{disk}: make room on it, then run again"
    # A server without a user in the URI gives the same code as one whose user lacks a role.
    if error.code == _NOT_ALLOWED and "requires authentication" in str(error):
        return "mongodb.uri names no user, and this MongoDB asks for one: mongodb://USER:PASSWORD@HOST/…"
    return _REFUSALS.get(error.code or 0) or f"MongoDB refused: {_short(error)}"


def _short(error: Exception) -> str:
    """Return the first clause of PyMongo's text: the rest is the whole topology, and may hold stored values."""
    return printable(re.split(r" \(configured timeouts|, Timeout:|, full error", str(error), maxsplit=1)[0], 300)
