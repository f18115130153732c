"""Batches of accounts, and their queue."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.cluster.batches import MAX_IN_BATCH, Batch, BatchQueue, split
from collector.model.accounts import Account, Rate, Secret
from collector.model.shards import Shard


def _account(number: int, egress: str | None = None) -> Account:
    return Account(f"a{number}", f"wx{number:016x}", Secret("x"), Rate(5, 1), egress=egress)


LABELS = st.sampled_from([None, "hk", "sh"])


@given(st.lists(LABELS, max_size=700), st.integers(1, 64), st.booleans())
def test_each_account_is_in_one_batch(labels: Sequence[str | None], slots: int, by_label: bool) -> None:
    accounts = [_account(number, label) for number, label in enumerate(labels)]
    batches = split(accounts, slots, by_label=by_label)
    assert sorted(each.appid for batch in batches for each in batch.accounts) == [each.appid for each in accounts]
    assert [batch.number for batch in batches] == list(range(len(batches)))
    for batch in batches:
        assert batch.accounts
        assert {each.egress for each in batch.accounts} == {batch.label} if by_label else batch.label is None


@pytest.mark.parametrize(("accounts", "slots", "batches"), [(5, 4, 1), (60, 4, 6), (1_000, 4, 16), (20_000, 4, 80)])
def test_number_of_batches(accounts: int, slots: int, batches: int) -> None:
    """A few for each slot, but neither tiny ones nor ones of many hundreds."""
    made = split([_account(number) for number in range(accounts)], slots, by_label=True)
    assert len(made) == batches
    assert max(len(batch.accounts) for batch in made) < 1.5 * MAX_IN_BATCH


def test_accounts_of_one_shard() -> None:
    """They are spread as evenly as all accounts are."""
    accounts = [_account(number) for number in range(4_000) if f"wx{number:016x}" in Shard(3, 4)]
    sizes = [len(batch.accounts) for batch in split(accounts, 4, by_label=True)]
    assert len(sizes) == 16
    assert max(sizes) - min(sizes) <= 1


def _batches(*labels: str | None) -> list[Batch]:
    return [Batch(number, label, [_account(number, label)]) for number, label in enumerate(labels)]


async def test_daily_job_comes_before_history() -> None:
    first, second = batches = _batches(None, None)
    queue = BatchQueue(batches)
    assert await queue.get([None]) is first
    queue.done(first, [first.accounts[0].appid])
    assert await queue.get([None]) is second
    queue.done(second, [])
    assert await queue.get([None]) is first
    assert (first.history, first.asked) == (frozenset([first.accounts[0].appid]), first.accounts)
    queue.done(first, [])
    assert queue.is_done
    assert await queue.get([None]) is None


async def test_history_from_the_beginning() -> None:
    """Where waits are ignored, the daily job and history are one job."""
    account = _account(0)
    batch = Batch(0, None, [account], frozenset([account.appid]))
    queue = BatchQueue([batch])
    assert await queue.get([None]) is batch
    queue.done(batch, [])
    assert queue.is_done


async def test_label() -> None:
    """A worker waits for batches with its label, and no longer than there may be some."""
    first, second = batches = _batches("hk", "sh")
    queue = BatchQueue(batches)
    assert await queue.get(["sh"]) is second
    waiting = asyncio.create_task(queue.get(["sh"]))
    assert await queue.get(["hk"]) is first
    queue.done(first, [])
    await asyncio.sleep(0)
    assert not waiting.done()
    queue.done(second, [])
    assert await waiting is None


async def test_batch_comes_back_first() -> None:
    first, *_ = batches = _batches(None, None)
    queue = BatchQueue(batches)
    assert await queue.get([None]) is first
    queue.put_back(first)
    assert await queue.get([None]) is first


async def test_attempts_are_those_of_a_job() -> None:
    """A batch that was done has all its attempts again for its history."""
    (batch,) = _batches(None)
    queue = BatchQueue([batch])
    assert await queue.get([None]) is batch
    batch.attempts = 2
    queue.put_back(batch)
    assert (await queue.get([None]), batch.attempts) == (batch, 2)
    queue.done(batch, [batch.accounts[0].appid])
    assert batch.attempts == 0


async def test_worker_that_is_gone_waits_no_longer() -> None:
    (first,) = batches = _batches(None)
    queue, is_wanted = BatchQueue(batches), True
    assert await queue.get([None]) is first
    waiting = asyncio.create_task(queue.get([None], lambda: is_wanted))
    await asyncio.sleep(0)
    is_wanted = False
    queue.wake()
    assert await waiting is None
    queue.put_back(first)
    assert not queue.is_done


async def test_newer_day() -> None:
    """Its daily job comes for all batches: for those at work once they are back, and before any history."""
    done, at_work, in_history = batches = _batches(None, None, None)
    queue = BatchQueue(batches)
    for batch in batches:
        assert await queue.get([None]) is batch
    queue.done(done, [])
    queue.done(in_history, [in_history.accounts[0].appid])
    assert (queue.has_history, queue.has_daily) == (True, False)
    queue.begin_day()
    assert [await queue.get([None]), await queue.get([None])] == [done, in_history]
    assert (in_history.history, queue.waiting) == (None, [])
    queue.done(at_work, [at_work.accounts[0].appid])
    assert await queue.get([None]) is at_work
    assert at_work.history is None
    queue.done(at_work, [at_work.accounts[0].appid])
    assert at_work.history


@pytest.mark.parametrize("daily_too", [True, False])
async def test_stop(daily_too: bool) -> None:
    first, second, third = batches = _batches(None, None, None)
    queue = BatchQueue(batches)
    assert [await queue.get([None]), await queue.get([None])] == [first, second]
    queue.stop(daily_too=daily_too)
    queue.done(first, [first.accounts[0].appid])
    queue.put_back(second)
    assert queue.waiting == ([] if daily_too else [third])


async def test_given_up() -> None:
    first, second = batches = _batches(None, None)
    queue = BatchQueue(batches)
    assert await queue.get([None]) is first
    queue.give_up([first, second])
    queue.begin_day()
    assert queue.is_done
    await queue.wait_until_done(10)


def test_history_asks_for_its_accounts_alone() -> None:
    accounts = [_account(1), _account(2)]
    batch = Batch(0, None, accounts, history=frozenset([accounts[1].appid]))
    assert batch.asked == [accounts[1]]
