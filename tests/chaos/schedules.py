"""Schedules of two shards: plain runs are started, killed and paused at random, several at once.

Each run has a sandbox of its own, over the same world, so that it is known which run made which call.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import count
from pathlib import Path

from chaos import compare
from chaos.configuration import Addresses, configuration
from chaos.host import Host, HungError, MovedClock, host
from chaos.launcher import HURRY
from chaos.plan import Plan, Way
from chaos.runs import LOST_S, Run, wrong_calls
from chaos.site import EXPIRED, may_end_with
from chaos.storm import Outcome
from support import stored

from collector.model.accounts import Secret
from collector.model.days import BEIJING, ONE_DAY, beijing_day
from collector.model.results import ExitCode
from collector.sandbox import Faults, Limits, Sandbox, World
from collector.store.database import open_database
from collector.store.held import TIMES
from collector.store.lease_document import LEASES
from collector.store.local import local_mongod
from collector.store.location import Location

SHARDS = (1, 2)
AT_ONCE = 2
"""Runs of one shard at once: one that is halted, and one that takes over from it."""

LENGTH_S = 6.0
FREE_S = TIMES.free_after_s / HURRY
PAUSES_S = (0.3, LOST_S - 1.0, LOST_S + 0.5, FREE_S + 1.0, FREE_S + 3.0)

RATE = "6/s"
"""Rate of an account, at which its history lasts for some seconds."""

WAIT_S = 150
"""Seconds that a run waits for its shard, by its hurried loop: long enough for the lease of one that was killed."""

MAX_ROUNDS = 4


class Deed(StrEnum):
    """An event of a schedule, which happens to one shard."""

    START = "run started"
    KILL = "run killed"
    PAUSE = "run paused"


@dataclass(frozen=True, slots=True)
class Act:
    """A deed to the shard of that number, `at_s` seconds after the beginning.

    A pause lasts `for_s`; a run that starts waits for its shard, or not.
    """

    at_s: float
    shard: int
    deed: Deed
    for_s: float
    waits: bool


@dataclass(frozen=True, slots=True)
class Schedule:
    """A configuration, and what happens to its two shards."""

    plan: Plan
    acts: tuple[Act, ...]


def draw(seed: int) -> Schedule:
    """Return the schedule of a seed, always the same."""
    dice = random.Random(f"{seed} schedule")
    world = World(seed=seed, size=dice.randint(8, 12))
    day = datetime(2026, 1, 1, 12, 30, tzinfo=BEIJING) + ONE_DAY * dice.randrange(700)
    plan = Plan(
        seed=seed,
        world=world,
        faults=Faults(),
        limits=Limits(),
        begins=day.astimezone(UTC),
        since=day.date() - timedelta(weeks=dice.randint(10, 20)),
        backfill=dice.random() < 0.5,
        ways=tuple(dice.choices((Way.STABLE, Way.COMPONENT), k=world.size)),
        discovers=dice.random() < 0.5,
        slow={},
        proxied=(),
        workers=dice.randint(2, 4),
        rate_limit=RATE,
        daily_calls=None,
        two_hosts=False,
        pauses=(),
        events=(),
    )
    first = [Act(dice.uniform(0, 0.5), shard, Deed.START, 0.0, waits=False) for shard in SHARDS]
    return Schedule(plan, tuple(sorted([*first, *(_act(dice) for _ in range(10))], key=lambda act: act.at_s)))


def _act(dice: random.Random) -> Act:
    (deed,) = dice.choices(tuple(Deed), (4, 2, 3))
    return Act(
        round(dice.uniform(0.5, LENGTH_S), 3), dice.choice(SHARDS), deed, dice.choice(PAUSES_S), dice.random() < 0.7
    )


class Stage:
    """Stage of a schedule: starts the runs, in `folder`, and does to them what it says.

    `deeds` counts what was done, and how the runs ended; `wrong` are ends that nothing excuses.
    """

    def __init__(self, schedule: Schedule, uri: str, hosts: Sequence[Sequence[Host]], folder: Path) -> None:
        self.deeds: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.runs: list[Run] = []
        self.database = f"schedule_{folder.name}"
        self.clock = hosts[0][0].clock
        self._schedule = schedule
        self._uri = uri
        self._hosts = dict(zip(SHARDS, hosts, strict=True))
        self._busy: dict[Host, Run] = {}
        self._folder = folder
        self._numbers = count(1)

    async def play(self, stack: AsyncExitStack) -> None:
        """Do what the schedule says; at the end all runs are told to stop, and have ended."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as pauses:
            for act in self._schedule.acts:
                await asyncio.sleep(began + act.at_s - time.monotonic())
                self.deeds[act.deed] += await self._do(act, stack, pauses)
        for run in self.runs:
            run.collector.signal(signal.SIGTERM)
        for run in self.runs:
            code = await run.collector.exit()
            self.deeds[f"run ended with {code}"] += 1
            if not may_end_with(code):
                self.wrong.append(f"run {run.name} ended with {code}")

    async def start(self, shard: int, plan: Plan, stack: AsyncExitStack, *command: str, hurried: bool) -> Run | None:
        """Start a command on a host of the shard that is free, with a WeChat of its own."""
        free = (
            host for host in self._hosts[shard] if host not in self._busy or self._busy[host].collector.ended.done()
        )
        host = next(free, None)
        if host is None:
            return None
        sandbox = await stack.enter_async_context(Sandbox(plan.world, clock=self.clock.now))
        name = f"{next(self._numbers)}"
        config = self._folder / f"{name}.yaml"
        config.touch(mode=0o600)
        config.write_bytes(configuration(plan, Addresses((sandbox.url,), sandbox.url), self._uri, self.database))
        arguments = (*command, "-vv", "-c", str(config))
        output, log = (self._folder / f"{name}.{kind}" for kind in ("out", "log"))
        collector = await host.start(arguments, output, log, hurried=hurried)
        self._busy[host] = Run(name, shard, collector, sandbox.calls)
        return self._busy[host]

    def command(self, shard: int) -> tuple[str, ...]:
        """Return the command of a shard's run."""
        plan = self._schedule.plan
        wanted = ("backfill", "--since", str(plan.since)) if plan.backfill else ("run",)
        return (*wanted, "--shard", f"{shard}/{len(SHARDS)}")

    async def _do(self, act: Act, stack: AsyncExitStack, pauses: asyncio.TaskGroup) -> bool:
        """Do it, if there is a run or a host for it; returns whether there was."""
        if act.deed is Deed.START:
            command = (*self.command(act.shard), *(("--wait", str(WAIT_S)) if act.waits else ()))
            run = await self.start(act.shard, self._schedule.plan, stack, *command, hurried=True)
            self.runs += [run] if run else []
            return run is not None
        alive = [run for run in self.runs if run.shard == act.shard and not run.collector.ended.done()]
        if act.deed is Deed.KILL:
            return bool(alive) and alive[-1].collector.signal(signal.SIGKILL)
        awake = [run for run in alive if not run.is_paused]
        if not awake or not awake[-1].collector.signal(signal.SIGSTOP):
            return False
        awake[-1].is_paused = True
        pauses.create_task(_wake(awake[-1], act.for_s))
        return True


async def _wake(run: Run, after_s: float) -> None:
    began = time.monotonic()
    await asyncio.sleep(after_s)
    run.pauses.append((began, time.monotonic()))
    run.is_paused = False
    run.collector.signal(signal.SIGCONT)


async def play(schedule: Schedule, uri: str, hosts: Sequence[Sequence[Host]], folder: Path) -> Outcome:
    """Play a schedule, bring it to its end, and compare what is stored with the truth; logs are kept in `folder`."""
    began, outcome = time.monotonic(), Outcome(schedule.plan.seed)
    stage = Stage(schedule, uri, hosts, folder)
    stage.clock.set(schedule.plan.begins)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(Location(stage.database, Secret(uri))))
        stack.push_async_callback(database.client.drop_database, stage.database)
        try:
            await stage.play(stack)
            outcome.differences += wrong_calls(stage.runs, schedule.plan.world.account_of)
            await database[LEASES].update_many({}, EXPIRED)  # nobody is left
            outcome.differences += await _to_the_end(stage, schedule.plan, stack)
        except HungError as error:
            outcome.differences.append(str(error))
        found = await stored(database)
        newest = beijing_day(stage.clock.now()) - ONE_DAY
        outcome.differences += compare.differences(found, schedule.plan.world, schedule.plan.since, newest)
        outcome.differences += await compare.loose_ends(database)
    outcome.differences += [*stage.wrong, *_crashes(folder)]
    outcome.faults, outcome.runs, outcome.documents = stage.deeds, len(stage.runs), len(found)
    outcome.calls = sum(len(run.calls) for run in stage.runs)
    outcome.seconds = time.monotonic() - began
    return outcome


def _crashes(folder: Path) -> list[str]:
    """Return the signs of crashes in all logs."""
    texts = {file.name: file.read_text(errors="replace") for file in folder.glob("*.log")}
    return [f"{name}: {sign}" for name, text in texts.items() for sign in compare.crashes(text)]


async def _to_the_end(stage: Stage, plan: Plan, stack: AsyncExitStack) -> list[str]:
    """Run both shards at once until both end with 0, then verify; return what is wrong."""
    quick = replace(plan, rate_limit="1000/s")
    codes: list[int] = []
    for _ in range(MAX_ROUNDS):
        runs = [await stage.start(shard, quick, stack, *stage.command(shard), hurried=True) for shard in SHARDS]
        codes = [await run.collector.exit() for run in runs if run]
        if codes == [ExitCode.OK, ExitCode.OK]:
            break
    else:
        return [f"the last runs of the shards end with {codes}"]
    verify = await stage.start(1, quick, stack, "verify", hurried=False)
    assert verify
    code = await verify.collector.exit()
    return [f"`collector verify` ends with {code}: see {verify.name}.out"] if code else []


async def schedules(seeds: Iterable[int], keep: Path | None = None) -> AsyncGenerator[Outcome, None]:
    """Play the schedules of these seeds one after the other.

    The output of a schedule's runs is copied to `keep` if anything is wrong after it.
    """
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="collector-schedules-")))
        uri = await stack.enter_async_context(local_mongod(folder / "mongod"))
        clock = MovedClock(folder / "clock")
        hosts = [[await stack.enter_async_context(host(clock)) for _ in range(AT_ONCE)] for _ in SHARDS]
        for seed in seeds:
            site = folder / str(seed)
            site.mkdir()
            try:
                outcome = await play(draw(seed), uri, hosts, site)
            except Exception as error:
                error.add_note(f"in the schedule of the seed {seed}")
                raise
            if keep and outcome.wrong:
                shutil.copytree(site, keep / f"schedule-{seed}", dirs_exist_ok=True)
            shutil.rmtree(site)
            yield outcome
