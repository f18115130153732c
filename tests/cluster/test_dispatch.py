"""Orders: what a worker is told about a batch."""

from __future__ import annotations

from datetime import date
from math import inf
from time import monotonic
from types import SimpleNamespace
from typing import Any

import pytest

from collector.cluster.batches import Batch
from collector.cluster.dispatch import Dispatch
from collector.cluster.engine import Member
from collector.cluster.messages import Order, RunInfo
from collector.commands.work import Job
from collector.completeness.plan import Target
from collector.model.accounts import Account, FromComponent, Rate, Secret
from collector.runtime import Stop
from collector.store.held import LeaseTimes
from collector.wechat.component import Handover

TARGET = Target(date(2026, 11, 23), 7)
CONFIGURED = Account("a", "wx0000000000000001", Secret("x"), Rate(5, 1))
DISCOVERED = Account("b", "wx0000000000000002", None, Rate(5, 1), token=FromComponent("agency"))


HANDOVER = Handover("agency", Secret("token"), 7_200, {DISCOVERED.appid: Secret("refresh token")})


async def _hand_over(_: object) -> Handover:
    return HANDOVER


@pytest.fixture
def dispatch() -> Dispatch:
    settings = SimpleNamespace(accounts=[CONFIGURED])
    run: Any = SimpleNamespace(settings=settings, job=Job(TARGET), stop=Stop(), last_turn_s=-inf)
    session: Any = SimpleNamespace(components={"agency": SimpleNamespace(hand_over=_hand_over)})
    return Dispatch(run, session, RunInfo("run", 1, LeaseTimes()))


async def _order(dispatch: Dispatch, batch: Batch) -> Order:
    return await dispatch.order(batch, 7, Member("tcp://worker", frozenset([None]), 2), TARGET)


async def test_accounts(dispatch: Dispatch) -> None:
    """Those of the worker's own configuration go by their appid alone, others with their platform's tokens."""
    order = await _order(dispatch, Batch(3, None, [CONFIGURED, DISCOVERED]))
    assert (order.batch, order.epoch, order.slots, order.history) == (3, 7, 2, False)
    assert order.configured == [CONFIGURED.appid]
    assert order.discovered == [(DISCOVERED.appid, "b", "agency")]
    assert order.handovers == [HANDOVER]
    history = await _order(dispatch, Batch(3, None, [CONFIGURED, DISCOVERED], frozenset([CONFIGURED.appid])))
    assert (history.history, history.configured, history.discovered, history.handovers) == (
        True,
        order.configured,
        [],
        [],
    )


async def test_pace_of_the_last_job_goes_on(dispatch: Dispatch) -> None:
    batch = Batch(3, None, [CONFIGURED])
    assert (await _order(dispatch, batch)).idle_s == inf
    dispatch.ended_s[3] = monotonic() - 5
    assert 5 <= (await _order(dispatch, batch)).idle_s < 15


async def test_pace_of_a_lost_worker_goes_on(dispatch: Dispatch) -> None:
    """It may have made calls until its claim was lost, which is 15 s before the claim expired."""
    assert (await _order(dispatch, Batch(3, None, [CONFIGURED], attempts=1))).idle_s == 15
