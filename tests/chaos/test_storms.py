"""A few storms with fixed seeds, the short form of `make chaos`: in the end the stored data are the truth."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from pathlib import Path

import pytest
from chaos import processes
from chaos.__main__ import storms
from chaos.host import TESTS
from chaos.plan import Way, What, draw
from chaos.report import line, table
from chaos.storm import Outcome

from collector.sandbox import Fault

SEEDS = (764, 894, 150, 59)


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    async def run() -> list[Outcome]:
        return [outcome async for outcome in storms(map(draw, SEEDS))]

    return asyncio.run(run())


def test_documents_and_state_are_the_truth(outcomes: list[Outcome]) -> None:
    assert {outcome.seed: outcome.differences for outcome in outcomes} == {seed: [] for seed in SEEDS}
    assert all(outcome.documents > 100 for outcome in outcomes)


def test_no_secret_or_token_leaks(outcomes: list[Outcome]) -> None:
    assert {outcome.seed: outcome.leaks for outcome in outcomes} == {seed: [] for seed in SEEDS}


def test_every_kind_of_fault_occurred(outcomes: list[Outcome]) -> None:
    occurred = sum((outcome.faults for outcome in outcomes), Counter[str]())
    wanted = {*What, *(f"wechat: {fault}" for fault in Fault), "wechat: account broken"}
    assert wanted - occurred.keys() == set()
    assert any(kind.startswith("token server") for kind in occurred)


def test_accounts_differ() -> None:
    """Some accounts are slow, have proxies of their own, or are found in a platform's list."""
    plans = [draw(seed) for seed in SEEDS]
    assert any(plan.slow for plan in plans)
    assert any(plan.proxied for plan in plans)
    assert any(plan.discovers and Way.COMPONENT in plan.ways for plan in plans)


async def test_stopped_storm_leaves_nothing(tmp_path: Path) -> None:
    environ = {**os.environ, "PYTHONPATH": str(TESTS), "TMPDIR": str(tmp_path)}
    command = (sys.executable, "-m", "chaos", "--storms", "1", "--schedules", "0")
    process = await processes.start(command, env=environ, stderr=asyncio.subprocess.PIPE)
    async with asyncio.timeout(60):
        while not list(tmp_path.glob("collector-storms-*/1/1.log")):  # noqa: ASYNC110, ASYNC240 - it sets no event
            await asyncio.sleep(0.05)
    process.terminate()
    assert (await process.communicate())[1] == b"chaos: stopped\n"
    assert (process.returncode, list(tmp_path.iterdir())) == (1, [])  # noqa: ASYNC240 - it is small


def test_table_sums() -> None:
    first = Outcome(7, Counter({"collector killed": 2, "wechat: hang": 3}), 4, 1_000, 250, [], [], 8.4)
    second = Outcome(8, Counter({"collector killed": 1}), 5, 234, 50, ["wx1 2026-11-01: missing"], ["a token"], 7)
    assert line(second) == ("storm 8          1 faults    5 runs    234 calls     50 documents    7.0 s  2 WRONG")
    assert table([first, second]).splitlines() == [
        "storms                  2",
        "faults                  6",
        "  collector killed      3",
        "  wechat: hang          3",
        "runs                    9",
        "calls               1,234",
        "documents compared    300",
        "differences             1",
        "secrets leaked          1",
        "seconds                15",
    ]
