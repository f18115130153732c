"""One storm: many faults at once, then none, and in the end the stored data are the truth."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from datetime import time as time_of_day
from itertools import count
from pathlib import Path
from typing import Any

import orjson
from chaos import compare
from chaos.configuration import PROXY_PASSWORD, PROXY_USER, Addresses
from chaos.driver import Driver, Links
from chaos.host import Host, HungError
from chaos.link import HOST, Link
from chaos.plan import Plan
from chaos.replicas import ReplicaSet
from chaos.site import Site
from proxy import Proxy
from pymongo.errors import PyMongoError
from support import stored

from collector.model.days import BEIJING, ONE_DAY, beijing_day
from collector.model.results import ExitCode
from collector.sandbox import Sandbox, TokenServerFault, World

NOON = time_of_day(12, 30)
MIN_DAYS = 2
"""Days without a row count as void after answers on two Beijing days."""

MAX_DAYS = 40
MAX_RUNS_A_DAY = 4


class UnfinishedError(Exception):
    """The runs after a storm didn't complete the data."""


@dataclass(slots=True)
class Outcome:
    """Outcome of a storm, with a line for each thing that is wrong.

    `differences` are wrong documents, states and exits, `leaks` are secrets in outputs, logs and the database.
    """

    seed: int
    faults: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    calls: int = 0
    documents: int = 0
    differences: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def wrong(self) -> list[str]:
        """Return all that is wrong."""
        return self.differences + self.leaks


async def storm(plan: Plan, replicas: ReplicaSet, host: Host, folder: Path) -> Outcome:
    """Run the storm and the runs after it, and compare the documents with the truth; logs are kept in `folder`."""
    began = time.monotonic()
    outcome = Outcome(plan.seed)
    host.clock.set(plan.begins)
    async with AsyncExitStack() as stack:
        sandbox = Sandbox(plan.world, faults=plan.faults, limits=plan.limits, clock=host.clock.now)
        await stack.enter_async_context(sandbox)
        # Before the links, so that its calls have ended when it closes.
        proxies = [await stack.enter_async_context(_proxy()) for _ in plan.proxied]
        links = Links(*[await stack.enter_async_context(Link(sandbox.port)) for _ in range(2)])
        site = Site(plan, host, replicas, folder, _addresses(plan, links, proxies))
        stack.push_async_callback(_drop, site)
        driver = Driver(plan, site, sandbox, links, replicas)
        try:
            await driver.run()
            await replicas.recover()
            calm = await stack.enter_async_context(_calm(plan, host, links))
            await _to_the_end(site, plan.world)
            outcome.differences += await _compared(site, plan, outcome)
            outcome.calls += len(calm.calls)
        except (HungError, UnfinishedError) as error:
            outcome.differences.append(str(error))
        outcome.differences += [*driver.wrong, *_crashes(site)]
        outcome.leaks += await _leaks(site, plan.world)
        outcome.faults = driver.faults + _faults(sandbox, plan)
        outcome.calls += len(sandbox.calls)
        outcome.runs = site.runs
    outcome.seconds = time.monotonic() - began
    return outcome


def _proxy() -> AbstractAsyncContextManager[Proxy]:
    return Proxy(PROXY_USER, PROXY_PASSWORD).serving()


def _addresses(plan: Plan, links: Links, proxies: Sequence[Proxy]) -> Addresses:
    names = (HOST, "localhost") if plan.two_hosts else (HOST,)
    return Addresses(
        hosts=tuple(f"http://{name}:{links.wechat.port}" for name in names),
        token_server=f"http://{HOST}:{links.tokens.port}",
        proxies={appid: proxy.url for appid, proxy in zip(plan.proxied, proxies, strict=True)},
    )


async def _drop(site: Site) -> None:
    await site.replicas.recover()
    with suppress(PyMongoError):  # after an election this very moment it stays until the end of all storms
        await (await site.replicas.primary()).admin.drop_database(site.database)


@asynccontextmanager
async def _calm(plan: Plan, host: Host, links: Links) -> AsyncIterator[Sandbox]:
    """Serve the same WeChat without faults, late days and revisions."""
    world = replace(plan.world, late_summary=0.0, revised_for_days=0)
    async with Sandbox(world, clock=host.clock.now) as sandbox:
        for link in (links.wechat, links.tokens):
            link.target = sandbox.port
            link.cut()
        yield sandbox


async def _to_the_end(site: Site, world: World) -> None:
    """Collect day after day until a run ends with 0 and leaves nothing for later. Raises `UnfinishedError`."""
    for day in range(1, MAX_DAYS + 1):
        site.host.clock.set(_next_noon(site.host.clock.now(), world))
        result = await _run_until_done(site)
        if day >= MIN_DAYS and not result["exit"] and not result["windows_left"] and not result["notices"]:
            return
    raise UnfinishedError(f"after {MAX_DAYS} days there is still something left: {result}")


async def _run_until_done(site: Site) -> dict[str, Any]:
    """Run until nothing is left for the same day, and return the last result."""
    for _ in range(MAX_RUNS_A_DAY):
        await site.end_lease()
        collector = await site.start()
        exit_code = await collector.exit()
        said = collector.output.read_text()
        if exit_code in (ExitCode.OK, ExitCode.PENDING):
            result: dict[str, Any] = orjson.loads(said)
            if exit_code == ExitCode.OK or result["notices"]:  # a wait that WeChat ordered may last until tomorrow
                return result
    raise UnfinishedError(f"{MAX_RUNS_A_DAY} runs without any fault, and the last ends with {exit_code}: {said}")


def _next_noon(now: datetime, world: World) -> datetime:
    """Return the first noon in Beijing, from tomorrow on, at which every account has the newest published day."""
    today = beijing_day(now)
    days = (today + ONE_DAY * n for n in count(1))
    day = next(day for day in days if all(world.cumulate(each.appid, day - ONE_DAY) for each in world.accounts))
    return datetime.combine(day, NOON, BEIJING)


async def _compared(site: Site, plan: Plan, outcome: Outcome) -> list[str]:
    """Compare the documents with the truth, and the state with the documents."""
    database = await site.replicas.database(site.database)
    found = await stored(database)
    newest: date = beijing_day(site.host.clock.now()) - ONE_DAY
    outcome.documents = len(found)
    verify = await site.start("verify")
    unverified = await verify.exit()
    return [
        *compare.differences(found, plan.world, plan.since, newest),
        *await compare.loose_ends(database),
        *([f"`collector verify` ends with {unverified}: {verify.output.read_text()}"] if unverified else []),
    ]


def _crashes(site: Site) -> list[str]:
    """Return the signs of crashes in all outputs and logs."""
    return [f"{name}: {sign}" for name, text in site.printed().items() for sign in compare.crashes(text)]


async def _leaks(site: Site, world: World) -> list[str]:
    """Return the secrets in the outputs, the logs and the database."""
    database = await site.replicas.database(site.database)
    texts = {**site.printed(), "the database": await compare.everything_stored(database)}
    return compare.leaks(texts, compare.secrets_of(world))


def _faults(sandbox: Sandbox, plan: Plan) -> Counter[str]:
    """Count the faults of WeChat that calls met."""
    counted: Counter[str] = Counter()
    for call in sandbox.calls:
        if call.fault:
            whose = "token server" if isinstance(call.fault, TokenServerFault) else "wechat"
            counted[f"{whose}: {call.fault.value}"] += 1
        elif call.errcode and call.errcode == plan.faults.broken.get(call.appid or ""):
            counted["wechat: account broken"] += 1
    return counted
