"""Dask, as the coordinator sees it: a scheduler and its workers, of this host or of others."""

from __future__ import annotations

import asyncio
import logging
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing import resource_tracker
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import dask
import structlog
from distributed import Client, LocalCluster, Security, Status

from collector.cluster import tls, worker
from collector.cluster.messages import Introduction, Order, Report, RunInfo
from collector.errors import ClusterError
from collector.text import printable

log = structlog.get_logger()

LABEL = "egress-"
"""Beginning of the resource by which a worker says which egress label it serves."""

SLOTS = 2
"""Batches that a worker does at once: while the last accounts of one are slow, the other goes on."""

CONNECT_S = 10.0
"""Seconds after which a scheduler that doesn't answer counts as out of reach."""

OUTAGE_S = 20.0
"""Seconds for which a scheduler may be out of reach in mid-run."""

POLL_S = 1.0
"""Seconds between two attempts to reach it."""

ANSWER_S = 30.0
"""Seconds in which a worker must introduce itself, which includes reading its configuration."""

_LOCAL: Mapping[str, Any] = {
    "distributed.scheduler.http.routes": [],  # they are open to all users of the host, without TLS
    "distributed.worker.http.routes": [],
    "distributed.scheduler.worker-ttl": "30s",
    "distributed.scheduler.no-workers-timeout": "60s",
    "distributed.scheduler.work-stealing": False,  # each batch is for one worker
    "distributed.scheduler.active-memory-manager.start": False,
    "distributed.worker.preload": [tls.__name__],
    "distributed.worker.profile.enabled": False,  # it would look at the stacks of all threads every 10 ms
    "distributed.diagnostics.nvml": False,
}


@dataclass(frozen=True, slots=True)
class Local:
    """So many worker processes of this host."""

    processes: int


@dataclass(frozen=True, slots=True)
class Remote:
    """A cluster that runs already, with the files by which its scheduler and this client know each other."""

    address: str
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


Place = Local | Remote


@dataclass(frozen=True, slots=True)
class Member:
    """A worker: its address, the egress labels it serves, the batches it does at once. Without any label it is None.

    One that isn't running begins no task: Dask has paused it since its host is short of memory, or it is ending.
    """

    address: str
    labels: frozenset[str | None]
    slots: int
    is_running: bool = True


class Engine:
    """A connection to the scheduler."""

    def __init__(self, client: Client, place: Place) -> None:
        self._client = client
        self.is_local = isinstance(place, Local)
        self.has_tls = isinstance(place, Local) or urlsplit(place.address).scheme == "tls"

    @property
    def address(self) -> str:
        """The scheduler's address."""
        return str(self._client.scheduler_info(n_workers=0)["address"])

    async def members(self) -> dict[str, Member]:
        """Return the workers, by address. Raises `ClusterError` once the scheduler stays out of reach."""
        until_s = monotonic() + OUTAGE_S
        while True:
            try:
                async with asyncio.timeout(CONNECT_S):
                    known = await self._client.scheduler.identity(n_workers=-1)  # type: ignore[union-attr] # below
            except (OSError, TimeoutError, AttributeError) as error:  # the last for a client that has closed itself
                if monotonic() > until_s:
                    why = "the connection is lost" if isinstance(error, AttributeError) else _reason(error)
                    raise ClusterError(f"the Dask scheduler is out of reach ({why})") from None
                await asyncio.sleep(POLL_S)
            else:
                return {address: _member(address, about) for address, about in known["workers"].items()}

    async def introduce(self, address: str, info: RunInfo, appids: frozenset[str] | None) -> Introduction | None:
        """Let a worker introduce itself; None for one that doesn't answer."""
        try:
            async with asyncio.timeout(ANSWER_S):
                answers = await self._client.run(worker.introduce, info, appids, workers=[address], on_error="return")
        except (OSError, TimeoutError, AttributeError):
            return None
        answer = answers.get(address)
        if answer is None or isinstance(answer, Introduction | OSError):
            return answer if isinstance(answer, Introduction) else None
        return Introduction("", trouble=f"it can't run this version of the collector ({_reason(answer)})")

    async def done(self, order: Order, member: Member, label: str | None) -> Report | None:
        """Let a worker do a batch, and return its report; None where it doesn't come to its end."""
        try:
            return await self._submitted(order, member, label)
        except Exception as error:  # noqa: BLE001 - whatever only the worker knows, and Dask's CancelledError
            log.info("batch.lost", batch=order.batch, worker=member.address, why=_reason(error))
            return None

    async def _submitted(self, order: Order, member: Member, label: str | None) -> Report | None:
        future = self._client.submit(
            worker.work,
            order,
            key=f"collector-{order.info.run}-{order.batch}-{order.epoch}",
            workers=[member.address],
            resources={LABEL + label: 1 / SLOTS} if label else None,
            retries=0,
            pure=False,
        )
        try:
            report: Report | None = await future
            return report
        finally:
            # Dropped, if it is still queued; whatever runs in a worker goes on until it sees that its claim is lost.
            future.release()

    def follow(self, handler: Callable[[Any], None]) -> None:
        """Hand the progress of each batch, also of other runs, to `handler`."""
        self._client.subscribe_topic(worker.TOPIC, lambda event: handler(event[1]))

    async def halt(self, run: str, signal: int, addresses: Iterable[str]) -> None:
        """Stop the workers' part of a run, which then drains; a worker that doesn't answer finds out by its lease."""

        async def tell(address: str) -> None:
            try:
                async with asyncio.timeout(CONNECT_S):
                    await self._client.run(worker.halt, run, signal, workers=[address], on_error="ignore")
            except (OSError, TimeoutError, AttributeError):
                log.info("worker.not_told", worker=address)

        await asyncio.gather(*map(tell, addresses))


@asynccontextmanager
async def opened(place: Place) -> AsyncIterator[Engine]:
    """Open a cluster of this host, or connect to one that runs. Raises `ClusterError` where that isn't possible."""
    _silence()
    tls.dask_setup()
    async with AsyncExitStack() as stack:
        try:
            client = await (_local(place, stack) if isinstance(place, Local) else _connected(place))
            stack.push_async_callback(client.close)  # it closes itself only once it is connected
            await stack.enter_async_context(client)
        except (OSError, TimeoutError, RuntimeError, ValueError) as error:
            where = "of this host" if isinstance(place, Local) else f"at {place.address}"
            raise ClusterError(f"the Dask cluster {where} is out of reach ({_reason(error)})") from None
        yield Engine(client, place)


async def _local(place: Local, stack: AsyncExitStack) -> Client:
    config = dict(_LOCAL)
    if find_spec("uvloop"):
        config["distributed.admin.event-loop"] = "uvloop"
    # Nannies pass it to the processes that they start, at any time.
    stack.enter_context(dask.config.set(config))
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="collector-dask-"))
    cluster = LocalCluster(
        n_workers=place.processes,
        threads_per_worker=SLOTS,
        processes=True,
        security=True,
        host="127.0.0.1",
        dashboard_address=None,
        scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},  # else a second run warns that 8787 is taken
        memory_limit=0,
        local_directory=folder,
        silence_logs=logging.CRITICAL,
        asynchronous=True,
    )
    with _interrupts_blocked():
        starting = asyncio.create_task(stack.enter_async_context(cluster))
        try:
            await asyncio.shield(starting)
        except asyncio.CancelledError:  # a process that is left alone while it starts would end with a traceback
            await starting
            raise
    return Client(cluster, asynchronous=True, set_as_default=False)


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Block Ctrl-C for the processes that are started meanwhile, until they `introduce` themselves.

    Ctrl-C reaches all processes of a terminal, and one that is still importing would end with a traceback. Here another
    thread gets it, or this one when it goes on.
    """
    resource_tracker.ensure_running()  # multiprocessing starts it with its first queue, and unblocks the signal by that
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


async def _connected(place: Remote) -> Client:
    security = None
    if place.ca:
        security = Security(
            tls_ca_file=str(place.ca),
            tls_client_cert=str(place.cert),
            tls_client_key=str(place.key),
            require_encryption=True,
        )
    return Client(
        place.address, security=security, asynchronous=True, set_as_default=False, timeout=CONNECT_S, name="collector"
    )


def _member(address: str, about: Mapping[str, Any]) -> Member:
    """Return a worker of the scheduler's list. A label of which it has less than a batch needs is none."""
    resources = {name: amount for name, amount in about["resources"].items() if name.startswith(LABEL)}
    labels = {name.removeprefix(LABEL) for name, amount in resources.items() if amount >= 1 / SLOTS}
    is_running = about["status"] == Status.running.name
    return Member(address, frozenset(labels if resources else [None]), min(SLOTS, about["nthreads"]), is_running)


def _silence() -> None:
    """Let Dask log nothing: what matters is told by the run.

    Nor asyncio, which would show the tracebacks of Dask's tasks that nobody awaits once a signal ends the start.
    """
    for name in (
        "distributed",
        "distributed.client",
        "distributed.scheduler",
        "distributed.nanny",
        "tornado",
        "asyncio",
    ):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _reason(error: object) -> str:
    return printable(error, 200) or type(error).__name__
