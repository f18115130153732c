"""Figures of the bench, their targets, and the tables that show them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

GROSS = 2.0
"""A figure that is this many times worse than the recorded one is no noise."""


@dataclass(frozen=True, slots=True)
class Target:
    """A figure: its scenario, its meaning, its format, and its bound, if it has any.

    `at_most` says on which side of the bound it should lie; `guarded` whether it means the same on every machine.
    """

    scenario: str
    what: str
    form: str
    bound: float | None = None
    at_most: bool = True
    guarded: bool = True

    def is_met(self, value: float) -> bool:
        """Return whether the bound is kept."""
        if self.bound is None:
            return True
        return value <= self.bound if self.at_most else value >= self.bound

    def is_gross(self, value: float, recorded: float) -> bool:
        """Return whether the value misses its bound, and is far worse than the recorded one."""
        far_worse = value > GROSS * recorded if self.at_most else value < recorded / GROSS
        return far_worse and not self.is_met(value)

    def written(self, value: float) -> str:
        """Return a value with its unit."""
        return self.form.format(value)

    @property
    def bound_written(self) -> str:
        """Return the bound in words."""
        if self.bound is None:
            return ""
        return f"{'at most' if self.at_most else 'at least'} {self.written(self.bound)}"


MAX_LAG_S = 0.2
"""Delay of the loop by a callback of 100 ms of CPU, on a core that it shares with the server or mongod."""

_LAG = "longest delay of the event loop"

TARGETS: Mapping[str, Target] = {
    "history.cpu": Target("history", "client CPU a data call, to the floor's", "{:.2f} ×", 1.2, at_most=True),
    "history.wechatpy_cpu": Target("history", "wechatpy's client CPU to ours", "{:.2f} ×", 4.0, at_most=False),
    "history.calls": Target("history", "calls a second, to wechatpy's", "{:.2f} ×", 2.5, at_most=False),
    "history.lag": Target("history", _LAG, "{:.2f} s", MAX_LAG_S, at_most=True),
    "tls.cpu": Target("tls", "client CPU a data call, to the floor's", "{:.2f} ×", 1.2, at_most=True),
    "tls.wechatpy_cpu": Target("tls", "wechatpy's client CPU to ours", "{:.2f} ×", 3.5, at_most=False),
    "tls.calls": Target("tls", "calls a second, to wechatpy's", "{:.2f} ×", 2.5, at_most=False),
    "tls.handshakes": Target("tls", "handshakes of a run", "{:.0f}", 80, at_most=True),
    "daily.cpu": Target("daily", "client CPU a data call, to the floor's", "{:.2f} ×", 1.9, at_most=True),
    "daily.lag": Target("daily", _LAG, "{:.2f} s", MAX_LAG_S, at_most=True),
    "latency.share": Target("latency", "share of the calls a second that could be", "{:.1%}", 0.92, at_most=False),
    "rate.share": Target("rate", "share of its rate, the slowest account", "{:.1%}", 0.97, at_most=False),
    "rate.most": Target("rate", "calls of an account in a second, at 5/s", "{:.0f}", 6, at_most=True, guarded=False),
    "many.memory": Target("many", "peak memory", "{:.0f} MiB", 180, at_most=True, guarded=False),
    "many.plan": Target("many", "loading and planning", "{:.2f} s", 3.0, at_most=True, guarded=False),
    "many.lag": Target("many", _LAG, "{:.2f} s", MAX_LAG_S, at_most=True, guarded=False),
    "years.memory": Target("years", "peak memory of 12 years, to one year's", "{:.2f} ×", 1.1, at_most=True),
    "years.lag": Target("years", _LAG, "{:.2f} s", MAX_LAG_S, at_most=True),
    "cluster.one": Target("cluster", "CPU a data call, one process", "{:.0f} µs", guarded=False),
    "cluster.two": Target("cluster", "CPU a data call, two processes", "{:.0f} µs", guarded=False),
    "cluster.cpu": Target("cluster", "CPU a data call, two to one", "{:.2f} ×", 1.15, at_most=True, guarded=False),
    "cluster.reached": Target("cluster", "calls a second, two processes", "{:,.0f}", guarded=False),
    "cluster.allowed": Target("cluster", "that two cores allow", "{:,.0f}", guarded=False),
    "cluster.share": Target("cluster", "share of it", "{:.0%}", 0.85, at_most=False, guarded=False),
    "cluster.coordinator": Target(
        "cluster", "peak memory, coordinator", "{:.0f} MiB", 600, at_most=True, guarded=False
    ),
    "cluster.worker": Target("cluster", "peak memory, a worker", "{:.0f} MiB", 300, at_most=True, guarded=False),
    "read.site": Target("read", "collector report SITE/, written first", "{:.0f} s", 120, at_most=True, guarded=False),
    "read.site_day": Target("read", "once more after a day", "{:.0f} s", 60, at_most=True, guarded=False),
    "read.site_memory": Target("read", "peak memory of these", "{:.0f} MiB", 1024, at_most=True, guarded=False),
    "read.csv": Target("read", "collector export, CSV", "{:.0f} s", guarded=False),
    "read.csv_memory": Target("read", "peak memory of it", "{:.0f} MiB", 300, at_most=True, guarded=False),
    "read.parquet": Target("read", "collector export, Parquet", "{:.0f} s", guarded=False),
    "read.parquet_memory": Target("read", "peak memory of it", "{:.0f} MiB", 300, at_most=True, guarded=False),
    "read.month": Target("read", "a month of user_daily_flat, by day", "{:.1f} s", 3.0, at_most=True, guarded=False),
    "read.month_channels": Target("read", "a month of user_source_daily, by channel", "{:.1f} s", guarded=False),
    "read.status": Target("read", "collector status", "{:.2f} s", 2.0, at_most=True, guarded=False),
    "read.verify": Target("read", "collector verify", "{:.0f} s", guarded=False),
    "read.verify_memory": Target("read", "peak memory of it", "{:.0f} MiB", guarded=False),
    "start.help": Target("start", "collector --help", "{:.2f} s", 0.15, at_most=True, guarded=False),
    "start.validate": Target("start", "collector config validate", "{:.2f} s", 2.5, at_most=True, guarded=False),
}

Figures = Mapping[str, Sequence[float]]
"""The measured values, by the names of `TARGETS`."""

_COST_HEADINGS = (
    *("scenario", "contestant", "CPU a call", "calls a second", "peak memory", "server's share of a core"),
    "TLS handshakes, resumed",
)
_HEADINGS = ("scenario", "figure", "target", "measured", "from … to", "met")


def rows(figures: Figures) -> list[tuple[str, ...]]:
    """Return a line for each measured figure, the headings first."""
    return [_HEADINGS, *(_row(TARGETS[name], figures[name]) for name in TARGETS if name in figures)]


def _row(target: Target, values: Sequence[float]) -> tuple[str, ...]:
    value = median(values)
    spread = f"{target.written(min(values))} … {target.written(max(values))}" if len(values) > 1 else ""
    met = "" if target.bound is None else "yes" if target.is_met(value) else "no"
    return target.scenario, target.what, target.bound_written, target.written(value), spread, met


def guarded(figures: Figures) -> dict[str, float]:
    """Return the medians of the figures that mean the same on every machine."""
    return {name: round(median(figures[name]), 3) for name in TARGETS if name in figures and TARGETS[name].guarded}


def regressions(figures: Figures, recorded: Mapping[str, float]) -> list[str]:
    """Return a sentence for each figure that is far worse than the recorded one."""
    return [
        f"{target.scenario}: {target.what} is {target.written(value)}, and was {target.written(recorded[name])}"
        for name, value in guarded(figures).items()
        if name in recorded and (target := TARGETS[name]).is_gross(value, recorded[name])
    ]


def cost_rows(scenarios: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return a line for each contestant of each scenario, medians over its rounds, the headings first."""
    found: list[tuple[str, ...]] = [_COST_HEADINGS]
    for scenario, contestants in scenarios.items():
        for contestant, runs in contestants.items():
            found.append((scenario, contestant, *_costs(runs)))
    return found


def _costs(runs: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    full = [run["full"] for run in runs]
    share = max(each["server"]["cpu_s"] / each["wall_s"] for each in full)
    return (
        f"{median(run['cpu_us'] for run in runs):.0f} µs",
        f"{median(each['calls_per_s'] for each in full):,.0f}",
        f"{median(each['peak_bytes'] for each in full) / 2**20:.0f} MiB",
        f"{share:.0%}",
        _handshakes(full[-1]["server"]),
    )


def _handshakes(seen: Mapping[str, int]) -> str:
    """Return the numbers of the last round; nothing of a scenario without TLS."""
    return f"{seen['handshakes']:,}, {seen['resumed']:,}" if seen["handshakes"] else ""


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Return a table for the terminal."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def markdown(lines: Sequence[Sequence[str]]) -> str:
    """Return the same table for a page."""
    heading, *others = (_piped(line) for line in lines)
    return "\n".join((heading, _piped("---" for _ in lines[0]), *others))


def _piped(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
