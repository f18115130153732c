"""The replica set is a real one: it replaces a lost primary, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import pytest_asyncio
from chaos.replicas import Member, ReplicaSet, replica_set
from pymongo import WriteConcern

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def started() -> AsyncIterator[ReplicaSet]:
    """One set for all tests of the module, in their common loop."""
    async with replica_set() as replicas:
        yield replicas


@pytest_asyncio.fixture(loop_scope="module")
async def replicas(started: ReplicaSet) -> ReplicaSet:
    """The recovered set, without any data."""
    await started.recover()
    await (await started.primary()).admin.drop_database("test")
    return started


async def _insert(replicas: ReplicaSet, value: int) -> None:
    await (await replicas.database("test"))["values"].insert_one({"_id": value})


async def _found(replicas: ReplicaSet) -> list[int]:
    values = (await replicas.database("test"))["values"].find().sort("_id")
    return [each["_id"] async for each in values]


async def test_killed_primary_is_replaced(replicas: ReplicaSet) -> None:
    """A killed primary has a successor, and follows it once it is back."""
    await _insert(replicas, 1)
    killed = await replicas.primary()
    await killed.kill()
    assert await replicas.primary() is not killed
    await _insert(replicas, 2)
    await replicas.recover()
    assert (await killed.hello())["secondary"] or (await killed.hello())["isWritablePrimary"]
    assert await _found(replicas) == [1, 2]


async def test_step_down(replicas: ReplicaSet) -> None:
    before = await (await replicas.primary()).hello()
    await replicas.step_down()
    assert (await (await replicas.primary()).hello())["electionId"] != before["electionId"]


async def test_unreplicated_write_is_rolled_back(replicas: ReplicaSet) -> None:
    """A write counts only with the acknowledgement of a majority."""
    await _insert(replicas, 1)
    alone = (await replicas.database("test")).get_collection("values", write_concern=WriteConcern(1))
    beheading = asyncio.create_task(replicas.behead(0.5))
    await asyncio.sleep(0.25)
    await alone.insert_one({"_id": 2})
    await beheading
    await replicas.recover()
    assert await _found(replicas) == [1]


async def test_unreachable_primary_is_replaced(replicas: ReplicaSet) -> None:
    lost = await replicas.primary()
    refusing = asyncio.create_task(lost.link.refuse(30))
    async with asyncio.timeout(20):
        while await replicas.find_primary() in (lost, None):  # noqa: ASYNC110 - other processes set no event
            await asyncio.sleep(0.02)
    refusing.cancel()


async def test_concurrent_starts_are_one_process(replicas: ReplicaSet) -> None:
    member = replicas.members[0]
    await asyncio.gather(member.kill(), member.kill(), member.start(), member.start())
    process = member.process
    await replicas.recover()
    assert member.process is process


async def test_failed_set_leaves_nothing() -> None:
    members: list[Member] = []
    with suppress(ZeroDivisionError):
        async with replica_set() as replicas:
            members += replicas.members
            pids = [member.process.pid for member in members if member.process]
            raise ZeroDivisionError
    assert len(pids) == len(members)
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert not members[0].folder.parent.exists()
