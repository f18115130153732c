"""Scenarios: the jobs of the contestants, and the figures that result."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

from bench import stored, world
from bench.contest import (
    COLLECTOR,
    COLLECTOR_64,
    FLOOR,
    TWO_PROCESSES,
    WECHATPY,
    Contest,
    Measured,
    alone,
    contest,
    run,
)
from bench.figures import Figures
from bench.job import Job
from bench.measure import Cost, measured, peaks_mib, script
from bench.scale import Amount, Scale
from bench.site import NOT_YET, USUAL, Run, Site, make_certificate, server

WORKERS = 64
WEEKS_OF_A_YEAR = 52
IN_FLIGHT = 4
"""Maximum of calls in flight of one account of the collector."""
EVEN = {FLOOR: WORKERS, COLLECTOR: WORKERS // IN_FLIGHT}
"""Workers with which both have as many calls in flight at most: each call in flight costs cache misses."""
THREADS = 32
"""Threads of wechatpy, each with one call in flight."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome of a scenario: its figures, and the runs behind them by contestant."""

    figures: Figures
    runs: Mapping[str, Sequence[Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bench:
    """Place and amounts of a measurement, and its newest day."""

    site: Site
    scale: Scale
    newest: date

    def job(self, url: str, amount: Amount, *, workers: int = WORKERS, newest: date | None = None) -> Job:
        """Return a job of that amount, without a database yet."""
        end = newest or self.newest
        return Job(url, self.site.uri, "", amount.accounts, str(world.since(amount.weeks, end)), str(end), workers)

    @contextmanager
    def yesterday(self, job: Job, amount: Amount) -> Iterator[str]:
        """Return the database that yesterday's run of the collector has left."""
        before = self.job(job.url, amount, newest=self.newest - timedelta(days=1))
        with self.site.database() as name, server() as other:
            before = replace(before, url=other.url, database=name)
            run(self.site, other, COLLECTOR, before, Run(published_at=NOT_YET))
            yield name


def history(bench: Bench) -> Outcome:
    """Backfill two years of the same accounts with all contestants; the collector also with its usual workers."""
    amount = bench.scale.history
    contestants = {**EVEN, WECHATPY: THREADS, COLLECTOR_64: WORKERS}
    with server() as listening:
        job = bench.job(listening.url, amount)
        found = contest(bench.site, listening, job, contestants, rounds=amount.rounds)
    lag_s = [_lag_s(each) for each in found.full[COLLECTOR]]
    return Outcome({**_comparison("history", found), "history.lag": lag_s}, found.as_json())


def tls(bench: Bench) -> Outcome:
    """Backfill a year over TLS with all contestants, and count the handshakes."""
    amount = bench.scale.tls
    with server(certificate=make_certificate(bench.site.folder)) as listening:
        job = bench.job(listening.url, amount)
        found = contest(bench.site, listening, job, {**EVEN, WECHATPY: THREADS}, rounds=amount.rounds)
    handshakes = [float(each.seen["handshakes"]) for each in found.full[COLLECTOR]]
    return Outcome({**_comparison("tls", found), "tls.handshakes": handshakes}, found.as_json())


def _comparison(scenario: str, found: Contest) -> Figures:
    """Return the ratios of all three contestants."""
    return {
        f"{scenario}.cpu": found.cpu_ratios(COLLECTOR, FLOOR),
        f"{scenario}.wechatpy_cpu": found.cpu_ratios(WECHATPY, COLLECTOR),
        f"{scenario}.calls": found.pace_ratios(COLLECTOR, WECHATPY),
    }


def _lag_s(done: Measured) -> float:
    """Return the longest delay of the collector's event loop in a run."""
    return float(done.said["loop_lag_s"])


def daily(bench: Bench) -> Outcome:
    """Run the daily pass with the floor and the collector, on the database that yesterday's run has left."""
    amount = bench.scale.daily
    with server() as listening:
        job = bench.job(listening.url, amount)
        with bench.yesterday(job, amount) as seed:
            found = contest(bench.site, listening, job, EVEN, rounds=amount.rounds, seed=seed)
    figures = {
        "daily.cpu": found.cpu_ratios(COLLECTOR, FLOOR),
        "daily.lag": [_lag_s(each) for each in found.full[COLLECTOR]],
    }
    return Outcome(figures, found.as_json())


def latency(bench: Bench) -> Outcome:
    """Measure the share of possible calls in flight with 16 workers and answers that take 100 ms."""
    workers, latency_s = 16, 0.1
    with server(latency_s) as listening:
        job = bench.job(listening.url, bench.scale.latency, workers=workers)
        done = alone(bench.site, listening, COLLECTOR, job)
    share = job.calls / done.said["seconds"] / (workers * IN_FLIGHT / latency_s)
    return Outcome({"latency.share": [share]}, {COLLECTOR: [done.as_json()]})


def rate(bench: Bench) -> Outcome:
    """Run all accounts at once at 5/s each, and measure their rates at the server."""
    with server() as listening:
        job = bench.job(listening.url, bench.scale.rate, workers=bench.scale.rate.accounts)
        done = alone(bench.site, listening, COLLECTOR, job, how=Run(rate="5/s"))
    return Outcome(
        {"rate.share": [done.seen["slowest_rate"] / 5], "rate.most": [done.seen["max_in_a_second"]]},
        {COLLECTOR: [done.as_json()]},
    )


def many(bench: Bench) -> Outcome:
    """Measure the planning and the memory of a daily pass of ten thousand accounts."""
    amount = bench.scale.many
    with server() as listening:
        job = bench.job(listening.url, amount)
        with bench.yesterday(job, amount) as name:
            job = replace(job, database=name)
            config = ("--config", bench.site.configuration(job, USUAL))
            dry = [measured(script("collector", "run", "--dry-run", "--json", *config)) for _ in range(amount.rounds)]
            done = run(bench.site, listening, COLLECTOR, job)
    figures = {
        "many.memory": [done.cost.peak_mib],
        "many.plan": [cost.wall_s for cost in dry],
        "many.lag": [_lag_s(done)],
    }
    return Outcome(figures, {COLLECTOR: [done.as_json()]})


def years(bench: Bench) -> Outcome:
    """Measure the memory of a backfill of all history, beside that of a year."""
    amount = bench.scale.years
    year = replace(amount, weeks=WEEKS_OF_A_YEAR)
    with server() as listening:
        rounds = [
            [alone(bench.site, listening, COLLECTOR, bench.job(listening.url, each)) for each in (year, amount)]
            for _ in range(amount.rounds)
        ]
    figures = {
        "years.memory": [long.cost.peak_bytes / short.cost.peak_bytes for short, long in rounds],
        "years.lag": [_lag_s(long) for _, long in rounds],
    }
    return Outcome(
        figures, {"a year": [short.as_json() for short, _ in rounds], "all": [e.as_json() for _, e in rounds]}
    )


def cluster(bench: Bench) -> Outcome:
    """Backfill by one process and by two, and collect all accounts of a large platform by two."""
    amount, platform = bench.scale.cluster, bench.scale.platform
    with server() as listening:
        job = bench.job(listening.url, amount)
        found = contest(bench.site, listening, job, {COLLECTOR: WORKERS, TWO_PROCESSES: WORKERS}, rounds=amount.rounds)
    two, costs_us = found.full[TWO_PROCESSES], found.cpu_us(TWO_PROCESSES)
    allowed = [_calls_on(CORES, each, cost_us) for each, cost_us in zip(two, costs_us, strict=True)]
    reached = [each.calls_per_s for each in two]
    with server(authorized=platform.accounts) as listening, bench.site.database() as name:
        job = replace(bench.job(listening.url, platform), database=name)
        peaks = peaks_mib(script("collector", "run", "--processes", "2", "-c", bench.site.platform(job)))
        bench.site.check(job)
    figures = {
        "cluster.one": found.cpu_us(COLLECTOR),
        "cluster.two": found.cpu_us(TWO_PROCESSES),
        "cluster.cpu": found.cpu_ratios(TWO_PROCESSES, COLLECTOR),
        "cluster.reached": reached,
        "cluster.allowed": allowed,
        "cluster.share": [calls / most for calls, most in zip(reached, allowed, strict=True)],
        "cluster.coordinator": peaks[:1],
        "cluster.worker": [max(peaks[1:])],
    }
    return Outcome(figures, found.as_json())


CORES = 2
"""Cores for two processes, mongod and the server."""


def _calls_on(cores: int, done: Measured, client_us: float) -> float:
    """Return the calls a second that so many cores allow, at the costs of client, server and mongod."""
    others_s: float = (done.seen["cpu_s"] + done.mongod_cpu_s) / done.seen["calls"]
    return cores / (client_us / 1e6 + others_s)


def read(bench: Bench) -> Outcome:
    """Read a year of ten thousand accounts: a site, a month of the views, files, status, verify."""
    job = bench.job("http://127.0.0.1", bench.scale.read)
    with bench.site.database() as name:
        job = replace(job, database=name)

        def measure(*command: str, how: Run = USUAL) -> Cost:
            return measured(script("collector", *command, "--config", bench.site.configuration(job, how)))

        stored.fill(bench.site.client[name], job)
        site = f"{bench.site.folder}/site/"
        first = measure("report", site, how=Run(published_at=NOT_YET))
        stored.add_newest(bench.site.client[name], job)
        bench.site.check(job)
        next_day = measure("report", site)
        months = {
            figure: [
                stored.month_s(bench.site.client[name], view, by, bench.newest) for _ in range(bench.scale.read.rounds)
            ]
            for figure, (view, by) in MONTHS.items()
        }
        csv, parquet = (measure("export", f"{bench.site.folder}/figures.{form}") for form in ("csv", "parquet"))
        status, verify = measure("status"), measure("verify")
    figures = {
        "read.site": [first.wall_s],
        "read.site_memory": [max(first.peak_mib, next_day.peak_mib)],
        "read.site_day": [next_day.wall_s],
        "read.csv": [csv.wall_s],
        "read.csv_memory": [csv.peak_mib],
        "read.parquet": [parquet.wall_s],
        "read.parquet_memory": [parquet.peak_mib],
        **months,
        "read.status": [status.wall_s],
        "read.verify": [verify.wall_s],
        "read.verify_memory": [verify.peak_mib],
    }
    return Outcome(figures)


MONTHS = {"read.month": ("user_daily_flat", "date"), "read.month_channels": ("user_source_daily", "channel")}
"""The views of which a month is read, and the columns by which it is summed up, by the name of the figure."""


def start(bench: Bench) -> Outcome:
    """Measure the commands that ask nothing."""
    job = bench.job("http://127.0.0.1", bench.scale.many)
    config = bench.site.configuration(replace(job, database="none"), USUAL)
    shown = [measured(script("collector", "--help")) for _ in range(bench.scale.starts)]
    valid = [measured(script("collector", "config", "validate", "--config", config)) for _ in range(bench.scale.starts)]
    return Outcome({"start.help": [cost.wall_s for cost in shown], "start.validate": [cost.wall_s for cost in valid]})


SCENARIOS: Mapping[str, Callable[[Bench], Outcome]] = {
    each.__name__: each for each in (history, tls, daily, latency, rate, many, years, cluster, read, start)
}
