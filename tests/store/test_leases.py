import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext
from datetime import UTC, datetime, timedelta
from itertools import repeat
from typing import Any, TypeVar

import pytest
import structlog.testing
import time_machine
from motor.motor_asyncio import AsyncIOMotorCollection
from pymongo import ReturnDocument
from pymongo.errors import AutoReconnect
from support import Advance

from collector.errors import DatabaseError, LeaseHeldError
from collector.model.parts import ALL, Labels, Part, to_document
from collector.model.shards import Shard
from collector.store import lease_document
from collector.store.database import Database, Document
from collector.store.held import Held, LeaseTimes
from collector.store.lease_document import LEASES, release
from collector.store.leases import MAX_TRIES, lease, live_runs

RUN, OTHER = "20261124T023010Z-aaaaaa", "20261124T023011Z-bbbbbb"
SOON_S = 10
"""Seconds after which a waiting test has failed."""

OUTAGE = AutoReconnect("connection closed")
FAR = datetime(2100, 1, 1)  # noqa: DTZ001 - as MongoDB gives it, in UTC
LONG_AGO = datetime(2000, 1, 1)  # noqa: DTZ001 - likewise

Taking = Callable[..., AbstractAsyncContextManager[Held]]
Calls = asyncio.Queue[None]
T = TypeVar("T")

FIRST, SECOND = Part(Shard(1, 2)), Part(Shard(2, 2))


@pytest.fixture
def taking(database: Database) -> Taking:
    """Take the lease of a run."""

    def take(run: str = RUN, part: Part = ALL, **options: Any) -> AbstractAsyncContextManager[Held]:
        return lease(database, run, "run", part, **options)

    return take


async def _stored(database: Database) -> Document:
    return await database[LEASES].find_one() or {}


async def _leases(database: Database) -> list[Document]:
    leases: list[Document] = (await _stored(database)).get("leases", [])
    return leases


async def _next(events: asyncio.Queue[T]) -> T:
    return await asyncio.wait_for(events.get(), SOON_S)


async def _lost(held: Held) -> str:
    """Wait until the lease is lost, and return why."""
    async with asyncio.timeout(SOON_S):
        while not held.is_lost:  # noqa: ASYNC110 - it sets no event
            await asyncio.sleep(0)
    with pytest.raises(DatabaseError) as error:
        held.check()
    return str(error.value)


def _lease(run: str, expires: datetime, **changed: object) -> Document:
    """A lease of `run`, on another host, until `expires`."""
    held: Document = {"run": run, "command": "backfill", "host": "elsewhere", "pid": 4711, "expires": expires}
    return held | {"since": datetime(2026, 11, 24, 2, 30, 10), **changed}  # noqa: DTZ001 - as MongoDB gives it


async def _put(database: Database, *leases: Document) -> None:
    """Put these leases there, as this version does."""
    numbered = [{"epoch": epoch} | each for epoch, each in enumerate(leases)]
    document = {"_id": "run", "epoch": len(leases), "leases": numbered} | leases[-1]
    await database[LEASES].replace_one({"_id": "run"}, document, upsert=True)


async def _put_of_earlier_version(database: Database, *leases: Document) -> None:
    """Put the one lease there that versions before parts knew."""
    await database[LEASES].replace_one({"_id": "run"}, leases[-1], upsert=True)


FORMS = pytest.mark.parametrize("put", [_put, _put_of_earlier_version], ids=["this version", "earlier version"])
Put = Callable[..., Awaitable[None]]


def _calls(monkeypatch: pytest.MonkeyPatch, name: str, troubles: Iterable[Exception | None] = ()) -> Calls:
    """Return a queue that gets an item for each call of that name as it ends.

    The first calls raise one of `troubles` each, or hang where that is None.
    """
    whole = getattr(AsyncIOMotorCollection, name)
    ended: Calls = asyncio.Queue()
    left = iter(troubles)

    async def call(self: object, *args: object, **options: object) -> object:
        for trouble in left:
            ended.put_nowait(None)
            if trouble:
                raise trouble
            await asyncio.Event().wait()
        try:
            return await whole(self, *args, **options)
        finally:
            ended.put_nowait(None)

    monkeypatch.setattr(AsyncIOMotorCollection, name, call)
    return ended


def _not_released(why: str) -> dict[str, object]:
    return {"event": "lease.not_released", "log_level": "info", "why": why, "free_after_seconds": 60}


async def test_document_while_a_run_works(database: Database, taking: Taking) -> None:
    """It names the run at work, for earlier versions too; its lease is deleted when the run ends."""
    async with taking(part=FIRST) as held:
        document = await _stored(database)
        (mine,) = document.pop("leases")
        assert document == mine | {"_id": "run"}
        since, expires = mine.pop("since"), mine.pop("expires")
        assert mine == {
            "run": RUN,
            "epoch": held.epoch,
            "command": "run",
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "part": {"shard": {"number": 1, "count": 2}},
        }
        assert expires - since == timedelta(seconds=60)
        assert abs(since.replace(tzinfo=UTC) - datetime.now(UTC)) < timedelta(seconds=SOON_S)
    assert await _stored(database) == {"_id": "run", "epoch": held.epoch, "leases": [], "expires": None}


@FORMS
async def test_held_by_another_run(database: Database, taking: Taking, put: Put) -> None:
    await put(database, _lease(OTHER, FAR))
    before = await _stored(database)
    with pytest.raises(LeaseHeldError) as refused:
        async with taking():
            pytest.fail("it isn't free")
    assert str(refused.value) == (
        f"another run is at work: backfill {OTHER} on elsewhere (pid 4711) for all accounts since 2026-11-24 10:30:10 "
        "Beijing time. Wait for it, or start with --wait. If it was killed, its lease ends within 60 seconds"
    )
    assert before.items() <= (await _stored(database)).items()


@FORMS
async def test_expired_lease_is_taken(database: Database, taking: Taking, put: Put) -> None:
    await put(database, _lease(OTHER, datetime.now(UTC) - timedelta(seconds=1)))
    async with taking():
        assert [each["run"] for each in await _leases(database)] == [RUN]


@FORMS
async def test_own_lease_is_taken_again(database: Database, taking: Taking, put: Put) -> None:
    """A run whose answer was lost asks again: its lease counts from then on."""
    soon = datetime.now(UTC) + timedelta(seconds=5)
    await put(database, _lease(RUN, soon))
    async with taking():
        (mine,) = await _leases(database)
        assert mine["expires"].replace(tzinfo=UTC) > soon + timedelta(seconds=30)


# Parts


async def test_disjoint_parts_at_once(database: Database, taking: Taking) -> None:
    """Each run's lease is its own, from the beginning to the end."""
    async with taking(OTHER, SECOND) as other:
        async with taking(RUN, FIRST) as held:
            assert [each["run"] for each in await _leases(database)] == [OTHER, RUN]
            assert (await _stored(database))["run"] == RUN
            assert await live_runs(database) == [OTHER, RUN]
        assert held.epoch > other.epoch
        assert [each["run"] for each in await _leases(database)] == [OTHER]
        assert (await _stored(database))["run"] == OTHER
        other.check()
    assert await live_runs(database) == []


@pytest.mark.parametrize(
    ("label", "digest", "is_told"), [("sh", "two", True), ("hk", "two", False), ("hk", "one", False)]
)
async def test_refusal_for_labels_of_another_configuration(
    database: Database, taking: Taking, label: str, digest: str, is_told: bool
) -> None:
    other = Part(egress=Labels(frozenset({label}), digest))
    await _put(database, _lease(OTHER, FAR, part=to_document(other)))
    with pytest.raises(LeaseHeldError, match=rf" for egress {label} since ") as refused:
        async with taking(part=Part(egress=Labels(frozenset({"hk"}), "one"))):
            pytest.fail("it isn't free")
    what = "Its configuration gives accounts other egress labels: use the same on all hosts. "
    assert (what in str(refused.value)) is is_told


async def test_refusal_names_what_overlaps(database: Database, taking: Taking) -> None:
    await _put(database, *(_lease(f"r{n}", FAR, part=to_document(Part(Shard(n, 4)))) for n in (1, 2, 4)))
    with pytest.raises(
        LeaseHeldError, match=r"^another run is at work: backfill r2 .* for shard 2/4 .*, and 1 more run\. "
    ):
        async with taking(part=SECOND):
            pytest.fail("it isn't free")
    async with taking(part=Part(Shard(3, 4))):
        assert len(await _leases(database)) == 4


async def test_wait_is_for_what_overlaps(database: Database, taking: Taking, advance: Advance) -> None:
    """A run that begins later on another part holds up nobody."""

    async def wait() -> list[str]:
        async with taking(part=FIRST, wait_s=600):
            return await live_runs(database)

    async with taking(OTHER, FIRST) as held:
        waiting = asyncio.create_task(wait())
        await database[LEASES].find_one()
        async with taking("third", SECOND):
            await release(database, held.epoch)
            await advance(2)
            assert await asyncio.wait_for(waiting, SOON_S) == ["third", RUN]


@pytest.mark.parametrize(("theirs", "refused"), [(SECOND, False), (FIRST, True)])
async def test_lease_taken_in_between(
    database: Database, taking: Taking, monkeypatch: pytest.MonkeyPatch, theirs: Part, refused: bool
) -> None:
    """Another run takes its lease after this one has seen that its own part is free."""
    take = lease_document.take
    async with AsyncExitStack() as stack:

        async def late(*arguments: Any) -> int | None:
            monkeypatch.undo()
            await stack.enter_async_context(taking(OTHER, theirs))
            return await take(*arguments)

        monkeypatch.setattr(lease_document, "take", late)
        with pytest.raises(LeaseHeldError) if refused else nullcontext():
            await stack.enter_async_context(taking(RUN, FIRST))
        assert await live_runs(database) == ([OTHER] if refused else [OTHER, RUN])


async def test_many_take_disjoint_parts_at_once(taking: Taking) -> None:
    many = 24
    all_there = asyncio.Barrier(many)

    async def work(number: int) -> int:
        async with taking(f"run-{number}", Part(Shard(number, many))) as held:
            await all_there.wait()
            held.check()
            return held.epoch

    async with asyncio.timeout(SOON_S):
        epochs = await asyncio.gather(*map(work, range(1, many + 1)))
    assert len(set(epochs)) == many


async def test_document_that_always_changes(
    database: Database, taking: Taking, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[bool] = []

    async def take(*_: object) -> None:
        tried.append(False)

    monkeypatch.setattr(lease_document, "take", take)
    with pytest.raises(DatabaseError, match=r"^the collection leases changes all the time, or is damaged: "):
        async with taking():
            pytest.fail("nobody has taken it")
    assert len(tried) == MAX_TRIES


DAMAGES: list[tuple[Document, bool]] = [
    ({"leases": "none"}, True),
    ({"leases": 7, "run": OTHER, "expires": FAR}, False),
    ({"leases": ["odd", None, {}]}, True),
    ({"leases": [{"run": OTHER, "expires": "tomorrow"}]}, True),
    ({"leases": [{"expires": FAR}]}, False),
    ({"leases": [{"run": 7, "expires": FAR, "since": 7, "part": "half", "pid": {"a": 1}}]}, False),
    ({"leases": [{"run": OTHER, "expires": FAR, "part": {"shard": {"number": 2, "count": 2}, "planet": 1}}]}, False),
    ({"leases": [], "epoch": "odd", "other": {"$a.b": 1}}, True),
]


@pytest.mark.parametrize(("document", "is_free"), DAMAGES)
async def test_damaged_document(database: Database, taking: Taking, document: Document, is_free: bool) -> None:
    """A lease that can't be read is for all accounts, if it isn't expired."""
    await database[LEASES].insert_one({"_id": "run"} | document)
    with nullcontext() if is_free else pytest.raises(LeaseHeldError):
        async with taking(part=FIRST):
            assert await live_runs(database) == [RUN]


# Epochs


async def test_epochs_grow(database: Database, taking: Taking) -> None:
    """Whatever becomes of the document, and if the server's clock goes back."""
    epochs = []
    for what in (None, "deleted", "ahead"):
        if what == "deleted":
            await database[LEASES].delete_many({})
        if what == "ahead":
            await database[LEASES].update_one({}, {"$inc": {"epoch": 10**9}})
            epochs.append((await _stored(database))["epoch"])
        async with taking() as held:
            epochs.append(held.epoch)
    assert epochs == sorted(set(epochs))
    assert abs(epochs[0] / 1000 - datetime.now(UTC).timestamp()) < SOON_S
    assert epochs[-1] == epochs[-2] + 1


# Versions before parts, by their own commands


async def _taken_by_earlier_version(database: Database, run: str) -> bool:
    is_free = {"$or": [{"$lte": ["$expires", "$$NOW"]}, {"$eq": ["$run", run]}]}
    times = {"since": "$$NOW", "expires": {"$add": ["$$NOW", 60_000]}}
    taken = {"$mergeObjects": [{"$literal": _lease(run, FAR, _id="run")}, times]}
    holder = await database[LEASES].find_one_and_update(
        {"_id": "run"},
        [{"$replaceWith": {"$cond": [is_free, taken, "$$ROOT"]}}],
        upsert=True,
        return_document=ReturnDocument.AFTER,
    )
    assert holder is not None
    assert {"run", "command", "host", "pid", "since"} <= holder.keys()
    return bool(holder["run"] == run)


async def _renewed_by_earlier_version(database: Database, run: str) -> bool:
    expires = {"$add": ["$$NOW", 60_000]}
    renewed = await database[LEASES].update_one({"_id": "run", "run": run}, [{"$set": {"expires": expires}}])
    return renewed.matched_count == 1


async def test_earlier_version_is_kept_out(database: Database, taking: Taking) -> None:
    """Also by the run that lasts longest, and no longer than that."""
    async with taking(OTHER, SECOND):
        async with taking(part=FIRST):
            assert not await _taken_by_earlier_version(database, "old")
        assert not await _taken_by_earlier_version(database, "old")
    assert await _taken_by_earlier_version(database, "old")
    with pytest.raises(LeaseHeldError, match="for all accounts since"):
        async with taking(part=FIRST):
            pytest.fail("it isn't free")
    await database[LEASES].delete_one({"_id": "run", "run": "old"})
    async with taking(part=FIRST):
        pass


async def test_earlier_version_takes_what_expired(database: Database, taking: Taking, advance: Advance) -> None:
    """The run that was halted finds out at its next renewal."""
    async with taking(part=FIRST) as held:
        expired = {"expires": LONG_AGO, "leases.0.expires": LONG_AGO}
        await database[LEASES].update_one({}, {"$set": expired})
        assert await _taken_by_earlier_version(database, "old")
        await advance(15)
        await _lost(held)
    assert (await _stored(database))["run"] == "old"


async def test_earlier_version_that_was_halted(database: Database, taking: Taking) -> None:
    """It can't renew what a run of this version has taken over."""
    assert await _taken_by_earlier_version(database, "old")
    await database[LEASES].update_one({}, {"$set": {"expires": LONG_AGO}})
    async with taking(part=FIRST):
        assert not await _renewed_by_earlier_version(database, "old")
        await database[LEASES].delete_one({"_id": "run", "run": "old"})
        assert await live_runs(database) == [RUN]


async def test_earlier_version_renews_in_between(
    database: Database, taking: Taking, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lease, seen expired, is renewed before it is taken over."""
    take = lease_document.take

    async def late(*arguments: Any) -> int | None:
        assert await _renewed_by_earlier_version(database, "old")
        return await take(*arguments)

    assert await _taken_by_earlier_version(database, "old")
    await database[LEASES].update_one({}, {"$set": {"expires": LONG_AGO}})
    monkeypatch.setattr(lease_document, "take", late)
    with pytest.raises(LeaseHeldError):
        async with taking(part=FIRST):
            pytest.fail("it isn't free")


# Waiting and renewing


async def test_host_clock_ahead_takes_nothing(taking: Taking) -> None:
    """The server's clock decides, so a host whose clock is ahead can't take a lease that is held."""
    async with taking(OTHER):
        with time_machine.travel(datetime.now(UTC) + timedelta(days=1)), pytest.raises(LeaseHeldError):
            async with taking():
                pytest.fail("it isn't free")


async def test_one_of_many_gets_it(taking: Taking) -> None:
    """Many runs try at the same instant."""
    many = 30
    all_tried = asyncio.Event()
    tried: list[bool] = []

    async def attempt(number: int) -> None:
        try:
            async with taking(f"run-{number}"):
                tried.append(True)
                await all_tried.wait()
        except LeaseHeldError:
            tried.append(False)
        if len(tried) == many:
            all_tried.set()

    async with asyncio.timeout(SOON_S):
        await asyncio.gather(*map(attempt, range(many)))
    assert sorted(tried) == [False] * (many - 1) + [True]


async def test_waiting_until_it_is_free(
    database: Database, taking: Taking, advance: Advance, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _put(database, _lease(OTHER, FAR))
    tries = _calls(monkeypatch, "find_one_and_update")

    async def wait() -> str:
        async with taking(wait_s=600):
            return str((await _stored(database))["run"])

    with structlog.testing.capture_logs() as logs:
        waiting = asyncio.create_task(wait())
        for _ in range(3):
            await _next(tries)
            await advance(2)
        await database[LEASES].delete_one({})
        await advance(2)
        assert await asyncio.wait_for(waiting, SOON_S) == RUN
    told = {"run": OTHER, "host": "elsewhere", "pid": 4711, "part": "all accounts", "seconds": 600}
    assert logs == [{"event": "lease.waiting", "log_level": "warning", **told}]


async def test_waiting_in_vain(
    database: Database, taking: Taking, advance: Advance, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _put(database, _lease(OTHER, FAR))
    tries = _calls(monkeypatch, "find_one_and_update")

    async def wait() -> None:
        async with taking(wait_s=600, times=LeaseTimes(poll_s=400)):
            pytest.fail("it isn't free")

    waiting = asyncio.create_task(wait())
    for seconds in (400, 200):
        await _next(tries)
        assert not waiting.done()
        await advance(seconds)
    with pytest.raises(LeaseHeldError):
        await asyncio.wait_for(waiting, SOON_S)


async def test_renewed_every_15_s(
    database: Database, taking: Taking, advance: Advance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each run renews its own lease alone."""
    async with taking(OTHER, SECOND), taking(part=FIRST) as held:
        before = await _stored(database)
        for place in (0, 1):
            await database[LEASES].update_one({}, {"$set": {f"leases.{place}.expires": FAR if place else LONG_AGO}})
        renewals = _calls(monkeypatch, "update_one")
        for _ in range(8):
            await advance(15)
            await _next(renewals)
            await _next(renewals)
        after = await _stored(database)
        assert not held.is_lost
    earlier, later = before.pop("leases"), after.pop("leases")
    assert all(
        timedelta(0) <= renewed["expires"] - taken["expires"] < timedelta(seconds=SOON_S)
        for taken, renewed in zip([before, *earlier], [after, *later], strict=True)
    )
    for each in (before, after, *earlier, *later):
        del each["expires"]
    assert (after, later) == (before, earlier)


@pytest.mark.parametrize("by", ["another run", "another run of an earlier version", "somebody who deleted it"])
async def test_taken_away(database: Database, taking: Taking, advance: Advance, by: str) -> None:
    async with taking() as held:
        match by:
            case "another run":
                await _put(database, _lease(OTHER, FAR, epoch=held.epoch + 1))
            case "another run of an earlier version":
                await _put_of_earlier_version(database, _lease(OTHER, FAR))
            case _:
                await database[LEASES].delete_one({})
        there = await _stored(database)
        await advance(15)
        error = await _lost(held)
        await advance(60)
        await _stored(database)
    assert error == (
        "this run lost the lease: the run was halted for too long, or somebody deleted the lease. Another run may be "
        "at work, so nothing more is written: run again"
    )
    assert await _stored(database) == there, "the end of a run leaves the lease of another alone"


async def test_lost_after_45_s_out_of_reach(taking: Taking, advance: Advance, monkeypatch: pytest.MonkeyPatch) -> None:
    async with taking() as held:
        renewals = _calls(monkeypatch, "update_one", repeat(OUTAGE))
        for seconds in (15, 5, 20):
            await advance(seconds)
            await _next(renewals)
        assert not held.is_lost
        await advance(5)
        error = await _lost(held)
    assert error == (
        "this run lost the lease: it couldn't be renewed in time (MongoDB can't be reached (connection closed): check "
        "mongodb.uri and that MongoDB runs there, or leave mongodb.uri out to use a local mongod). Another run may be "
        "at work, so nothing more is written: run again"
    )


async def test_short_outage_loses_nothing(
    database: Database, taking: Taking, advance: Advance, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with taking() as held:
        await database[LEASES].update_one({}, {"$set": {"leases.0.expires": LONG_AGO}})
        renewals = _calls(monkeypatch, "update_one", [OUTAGE] * 14)
        for seconds in (15, *repeat(2, 14)):
            await advance(seconds)
            await _next(renewals)
        assert (await _leases(database))[0]["expires"] > LONG_AGO
        assert not held.is_lost


async def test_lost_after_45_s_without_answer(
    taking: Taking, advance: Advance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the trouble at hand, not an outage that had ended by then."""
    async with taking() as held:
        renewals = _calls(monkeypatch, "update_one", [OUTAGE])
        for seconds in (15, 2):
            await advance(seconds)
            await _next(renewals)
        renewals = _calls(monkeypatch, "update_one", [None])
        await advance(15)
        await _next(renewals)
        await advance(25)
        assert not held.is_lost
        await advance(5)
        error = await _lost(held)
    assert "couldn't be renewed in time (MongoDB doesn't answer, or the run was halted)" in error


async def test_mistake_in_the_renewal(taking: Taking, advance: Advance, monkeypatch: pytest.MonkeyPatch) -> None:
    async with taking() as held:
        _calls(monkeypatch, "update_one", [ZeroDivisionError()])
        await advance(15)
        assert "its renewal failed (ZeroDivisionError)" in await _lost(held)


async def test_cancelled_run_releases_it(database: Database, taking: Taking) -> None:
    """Others needn't wait until it expires."""
    inside = asyncio.Event()

    async def work() -> None:
        async with taking():
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await asyncio.wait_for(inside.wait(), SOON_S)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await _leases(database) == []


async def test_error_of_the_run_is_raised(database: Database, taking: Taking) -> None:
    with pytest.raises(ZeroDivisionError):
        async with taking():
            raise ZeroDivisionError
    assert await _leases(database) == []


async def test_failed_release_is_only_logged(
    database: Database, taking: Taking, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lease expires by itself."""
    with structlog.testing.capture_logs() as logs:
        async with taking():
            _calls(monkeypatch, "update_one", [OUTAGE])
    assert logs == [_not_released("AutoReconnect")]
    assert (await _stored(database))["run"] == RUN


async def test_release_is_bounded_in_time(taking: Taking, monkeypatch: pytest.MonkeyPatch) -> None:
    """A MongoDB that doesn't answer doesn't hold up the end of a run."""
    with structlog.testing.capture_logs() as logs:
        async with taking(times=LeaseTimes(release_s=0.01)):
            _calls(monkeypatch, "update_one", [None])
    assert logs == [_not_released("TimeoutError")]


async def test_mongodb_out_of_reach(taking: Taking, monkeypatch: pytest.MonkeyPatch) -> None:
    _calls(monkeypatch, "find_one_and_update", repeat(OUTAGE))
    with pytest.raises(DatabaseError, match=r"^MongoDB can't be reached \(connection closed\)"):
        async with taking():
            pytest.fail("there is nothing to take")
