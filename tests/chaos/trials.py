"""Trials in real time, without faults: runs at a slow pace, by a clock that goes on."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from chaos import compare
from chaos.configuration import Addresses
from chaos.host import Host, HungError
from chaos.plan import Plan, Way
from chaos.replicas import ReplicaSet
from chaos.site import Site
from support import stored

from collector.model.days import BEIJING, ONE_DAY, beijing_day
from collector.sandbox import Call, Faults, Limits, Sandbox, World
from collector.sandbox.api import CUMULATE, SUMMARY
from collector.wechat.api import MAX_IN_FLIGHT

DATASETS = 2
AHEAD_S = 5.0
"""Seconds from a run's start until a newer day is published: the daily job is done by then, and history isn't."""

DATE_S = 1.0
"""Seconds by which a run's clock may be behind: WeChat's `Date` has whole ones."""

SPACING_S = 5.0
"""Seconds between the calls of an account whose token comes due while they wait for their turn."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A run, and `judge`, which returns a line for each thing that is wrong with its calls.

    That takes the calls for data as they came, and the instant of the run's start by their clock.
    """

    name: str
    plan: Plan
    judge: Callable[[Sequence[Call], float], list[str]]


def newest_days_first() -> Trial:
    """Publish a newer day while a slow account's history is being filled."""
    published = datetime(2026, 11, 24, 8, tzinfo=BEIJING)
    plan = _plan(World(seed=1, size=6), published - timedelta(seconds=AHEAD_S), weeks=26)
    plan = replace(plan, workers=2, slow={plan.world.accounts[0].appid: "4/s"})
    appids = {account.appid for account in plan.world.accounts}
    newest = published.date() - ONE_DAY
    return Trial("newest days first", plan, lambda calls, began_s: late_days(calls, appids, newest, began_s + AHEAD_S))


def turns_make_calls() -> Trial:
    """Let a token come due while calls wait for their turn."""
    plan = _plan(World(seed=2, size=1), datetime(2026, 11, 24, 12, tzinfo=BEIJING), weeks=3)
    plan = replace(plan, limits=Limits(token_life_s=60), rate_limit=f"{60 / SPACING_S:.0f}/min")
    return Trial("n turns make n calls", plan, lambda calls, _: lost_turns(calls, 3 * DATASETS))


def late_days(calls: Sequence[Call], appids: set[str], newest: date, published_s: float) -> list[str]:
    """Return who was asked for the newest day not at all, or after more history than was in flight."""
    wanted, history = dict.fromkeys(sorted(appids), DATASETS), 0
    for call in (call for call in calls if call.arrived_s >= published_s):
        if call.appid and call.end_date == str(newest):
            wanted[call.appid] -= 1
        elif call.arrived_s >= published_s + DATE_S and any(left > 0 for left in wanted.values()):
            history += 1
    wrong = [f"{appid} wasn't asked for {newest}" for appid, left in wanted.items() if left > 0]
    if history > MAX_IN_FLIGHT:
        wrong.append(f"{history} calls for history came before {newest}, though it was published")
    return wrong


def lost_turns(calls: Sequence[Call], wanted: int) -> list[str]:
    """Return which turns of an account that always has more to ask made no call."""
    wrong = [] if len(calls) == wanted else [f"{len(calls)} calls instead of {wanted}"]
    gaps_s = [later.arrived_s - call.arrived_s for call, later in pairwise(calls)]
    return wrong + [
        f"{gap_s:.1f} s between two calls, at one in {SPACING_S:g} s" for gap_s in gaps_s if _is_long(gap_s)
    ]


def _is_long(gap_s: float) -> bool:
    return gap_s > 1.5 * SPACING_S


TRIALS = (newest_days_first, turns_make_calls)


async def trials(replicas: ReplicaSet, host: Host, folder: Path) -> AsyncIterator[tuple[Trial, float, list[str]]]:
    """Run the trials one after the other; give each with its seconds and all that is wrong."""
    for number, made in enumerate(TRIALS):
        trial, site = made(), folder / f"trial-{number}"
        site.mkdir()
        began = time.monotonic()
        wrong = await _wrong(trial, replicas, host, site)
        yield trial, time.monotonic() - began, wrong


async def _wrong(trial: Trial, replicas: ReplicaSet, host: Host, folder: Path) -> list[str]:
    plan = trial.plan
    host.clock.set(plan.begins)
    began_s = time.monotonic()
    async with Sandbox(plan.world, limits=plan.limits, clock=host.clock.now) as sandbox:
        site = Site(plan, host, replicas, folder, Addresses((sandbox.url,), sandbox.url))
        collector = await site.start()
        try:
            exit_code = await collector.exit()
        except HungError as error:
            wrong = [str(error)]
        else:
            wrong = [f"the run ended with {exit_code}: {collector.output.read_text()}"] if exit_code else []
        calls = [call for call in sandbox.calls if call.path in (SUMMARY, CUMULATE)]
    newest = beijing_day(host.clock.now()) - ONE_DAY
    found = await stored(await replicas.database(site.database))
    return [*wrong, *trial.judge(calls, began_s), *compare.differences(found, plan.world, plan.since, newest)]


def _plan(world: World, begins: datetime, *, weeks: int) -> Plan:
    return Plan(
        seed=world.seed,
        world=world,
        faults=Faults(),
        limits=Limits(),
        begins=begins.astimezone(UTC),
        since=begins.date() - timedelta(weeks=weeks),
        backfill=False,
        ways=(Way.STABLE,) * world.size,
        discovers=False,
        slow={},
        proxied=(),
        workers=1,
        rate_limit="1000/s",
        daily_calls=None,
        two_hosts=False,
        pauses=(),
        events=(),
    )
