"""Runs at once, and the judge of their calls: none asks for an account of another one, or after it was halted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from math import inf

from chaos.host import Collector
from chaos.launcher import HURRY

from collector.sandbox import Call
from collector.store.held import TIMES

LOST_S = TIMES.lost_after_s / HURRY
"""Seconds for which the lease of a collector in a hurry is certain."""


@dataclass(eq=False)
class Run:
    """A run that was started: its process, its WeChat, and from when to when it was paused (monotonic seconds)."""

    name: str
    shard: int
    collector: Collector
    calls: Sequence[Call]
    pauses: list[tuple[float, float]] = field(default_factory=list)
    is_paused: bool = False


def late_calls(run: Run) -> list[Call]:
    """Return the calls that a run made although it had been halted, at work, for longer than its lease is certain."""
    # A run that was halted as it waited for its shard may go on.
    first_s = min((call.arrived_s for call in run.calls), default=inf)
    ends = [until for began, until in run.pauses if until - began > LOST_S and began > first_s]
    return [call for call in run.calls if any(call.arrived_s > until for until in ends)]


def wrong_calls(runs: Sequence[Run], appids: Collection[str]) -> list[str]:
    """Return a line for each run that called although it was halted, and for each of `appids` that two runs shared.

    A run that is halted just as it sends a call sends it when it comes back: that one was begun before.
    """
    late = {run: late_calls(run) for run in runs}
    wrong = [
        f"run {run.name} made {len(calls)} calls after it was halted" for run, calls in late.items() if len(calls) > 1
    ]
    spans: dict[str, dict[Run, tuple[float, float]]] = defaultdict(dict)
    for run in runs:
        for call in run.calls:
            if call.appid and call.appid in appids and call not in late[run]:
                first, _ = spans[call.appid].setdefault(run, (call.arrived_s, call.arrived_s))
                spans[call.appid][run] = (first, call.arrived_s)
    for appid, by_run in spans.items():
        for (one, (begin, end)), (other, (its_begin, its_end)) in combinations(by_run.items(), 2):
            if begin <= its_end and its_begin <= end:
                wrong.append(f"{appid} was asked by the runs {one.name} and {other.name} at once")
    return wrong
