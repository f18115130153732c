"""A few schedules of two shards, the short form of those of `make chaos`; and their judge."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import cast

import pytest
from chaos.host import Collector
from chaos.runs import LOST_S, Run, late_calls, wrong_calls
from chaos.schedules import Deed, draw, schedules
from chaos.storm import Outcome

from collector.sandbox import Call
from collector.sandbox.api import SUMMARY

SEEDS = (3, 14, 24)
APPIDS = ("wx1", "wx2")


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    async def play() -> list[Outcome]:
        return [outcome async for outcome in schedules(SEEDS)]

    return asyncio.run(play())


def test_documents_are_the_truth_and_no_account_is_shared(outcomes: list[Outcome]) -> None:
    assert {outcome.seed: outcome.differences for outcome in outcomes} == {seed: [] for seed in SEEDS}
    assert all(outcome.documents > 100 for outcome in outcomes)


def test_every_deed_was_done(outcomes: list[Outcome]) -> None:
    """Runs were killed and halted, refused and taken over, and some have lost their lease."""
    done = sum((outcome.faults for outcome in outcomes), Counter[str]())
    assert {*Deed, "run ended with -9", "run ended with 1", "run ended with 11"} <= {
        what for what in done if done[what]
    }


def test_schedule_of_a_seed_is_always_the_same() -> None:
    assert draw(7) == draw(7)
    assert draw(7) != draw(8)


def _run(name: str, *calls: tuple[float, str], pause: tuple[float, float] | None = None) -> Run:
    made = [Call(at_s, appid, SUMMARY, "", "", 200, 0, None) for at_s, appid in calls]
    return Run(name, 1, cast(Collector, None), made, [pause] if pause else [])


def test_calls_of_two_runs_in_turn() -> None:
    runs = [_run("a", (1, "wx1"), (3, "wx1"), (1, "other")), _run("b", (2, "wx2"), (4, "wx1"), (2, "other"))]
    assert wrong_calls(runs, APPIDS) == []


def test_account_of_two_runs_at_once() -> None:
    runs = [_run("a", (1, "wx1"), (3, "wx1")), _run("b", (2, "wx1"))]
    assert wrong_calls(runs, APPIDS) == ["wx1 was asked by the runs a and b at once"]


@pytest.mark.parametrize(("pause_s", "before_s", "late"), [(LOST_S + 1, 1, 2), (LOST_S - 1, 1, 0), (LOST_S + 1, 99, 0)])
def test_calls_after_a_halt(pause_s: float, before_s: float, late: int) -> None:
    """Those of a run that was at work, and for so long that its lease may be another's."""
    run = _run("a", (before_s, "wx1"), (100, "wx1"), (101, "wx2"), pause=(2, 2 + pause_s))
    assert len(late_calls(run)) == late
    assert wrong_calls([run], APPIDS) == (["run a made 2 calls after it was halted"] if late else [])


def test_call_that_was_on_its_way() -> None:
    """A run may be halted just as it sends a call, which then comes late."""
    late = _run("a", (1, "wx1"), (12, "wx1"), pause=(2, 11))
    assert wrong_calls([late, _run("b", (10, "wx1"), (13, "wx1"))], APPIDS) == []
