"""A real replica set of three mongods on this machine, whose members can be killed and cut off one by one."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaos import processes
from chaos.link import HOST, Link
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorDatabase
from pymongo.errors import PyMongoError

from collector.store.mongod import find_mongod

SIZE = 3
NAME = "chaos"
PORTS = range(20_000, 32_000)
READY_S = 120.0
PATIENCE_S = 6.0
MAX_LETTERS = 2_000
POLL_S = 0.02
QUICK = {"electionTimeoutMillis": 1000, "heartbeatIntervalMillis": 250, "heartbeatTimeoutSecs": 1}
"""The set's settings: a primary that is gone is missed after a second."""

_STANDING_BY = ("isWritablePrimary", "secondary")


@dataclass
class Member:
    """One mongod. `port` is its own; the rest of the set and all clients use its `link`."""

    number: int
    folder: Path
    port: int
    link: Link
    process: asyncio.subprocess.Process | None = None
    admin: AsyncIOMotorClient[dict[str, Any]] = field(init=False)
    _turn: asyncio.Lock = field(init=False, default_factory=asyncio.Lock)
    """Several events may start and kill it at once."""

    def __post_init__(self) -> None:
        address = f"mongodb://{HOST}:{self.port}/?directConnection=true"
        self.admin = AsyncIOMotorClient(address, serverSelectionTimeoutMS=500, connectTimeoutMS=500)

    @property
    def address(self) -> str:
        """Return its address for the others: its link."""
        return f"{HOST}:{self.link.port}"

    async def start(self) -> None:
        """Start it, if it isn't running; it answers after a second."""
        async with self._turn:
            if self.process is None:
                self.folder.mkdir(exist_ok=True)
                devnull = asyncio.subprocess.DEVNULL
                self.process = await processes.start(self._command(), stdin=devnull, stdout=devnull, stderr=devnull)

    async def kill(self) -> None:
        """SIGKILL it, if it is running."""
        async with self._turn:
            if self.process is not None:
                await processes.kill(self.process)
                self.process = None

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it is running."""
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(number)

    async def hello(self) -> Mapping[str, Any]:
        """Return its answer to `hello`; nothing while it doesn't answer."""
        try:
            async with asyncio.timeout(1):
                return await self.admin.admin.command("hello")
        except (PyMongoError, TimeoutError):
            return {}

    def last_words(self) -> str:
        """Return the end of its log."""
        return self._log.read_text(errors="replace")[-MAX_LETTERS:]

    @property
    def _log(self) -> Path:
        return self.folder.with_suffix(".log")

    def _command(self) -> tuple[str, ...]:
        return (
            *(find_mongod(os.environ), "--replSet", NAME, "--port", str(self.port), "--bind_ip", HOST),
            *("--nounixsocket", "--dbpath", str(self.folder), "--logpath", str(self._log), "--logappend"),
            *("--quiet", "--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "64"),
            *("--syncdelay", "5"),  # what was written after the last checkpoint is done again at the start
            *("--setParameter", "diagnosticDataCollectionEnabled=false"),
        )


@dataclass(frozen=True)
class ReplicaSet:
    """The three members. `uri` uses the links."""

    members: tuple[Member, ...]

    @property
    def uri(self) -> str:
        """Return the MongoDB URI of the set."""
        return f"mongodb://{','.join(member.address for member in self.members)}/?replicaSet={NAME}"

    async def find_primary(self) -> Member | None:
        """Return the primary, if there is one now."""
        for member in self.members:
            if (await member.hello()).get("isWritablePrimary"):
                return member
        return None

    async def primary(self) -> Member:
        """Wait for a primary. Raises `TimeoutError`."""
        async with asyncio.timeout(READY_S):
            while not (found := await self.find_primary()):  # noqa: ASYNC110 - other processes set no event
                await asyncio.sleep(POLL_S)
            return found

    async def database(self, name: str) -> AsyncIOMotorDatabase[dict[str, Any]]:
        """Return a database of the primary, by no link: the event loop that serves the links can't wait for them."""
        return (await self.primary()).admin[name]

    async def step_down(self) -> None:
        """Let the primary step down for a second."""
        command = {"replSetStepDown": 1, "secondaryCatchUpPeriodSecs": 0, "force": True}
        if primary := await self.find_primary():
            with suppress(PyMongoError):  # it may have lost its place by now
                await primary.admin.admin.command(command)

    async def behead(self, after_s: float) -> None:
        """Kill the primary once it was alone for a while: its unreplicated writes are rolled back when it returns."""
        if not (primary := await self.find_primary()):
            return
        others = [member for member in self.members if member is not primary]
        try:
            for member in others:
                member.signal(signal.SIGSTOP)
            primary.link.cut()  # else the kernel takes for them what it sends
            await asyncio.sleep(after_s)
            await primary.kill()
        finally:
            for member in others:
                member.signal(signal.SIGCONT)
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                await self.primary()
        await primary.start()

    async def recover(self) -> None:
        """Start all members that are down, and wait until there is a primary and all others follow it.

        Raises `TimeoutError` with the end of the members' logs.
        """
        try:
            async with asyncio.timeout(READY_S):
                patience_s = PATIENCE_S
                while not all([await self._follows(member, patience_s) for member in self.members]):
                    patience_s *= 2
            await self.primary()
        except TimeoutError:
            raise TimeoutError("\n".join(member.last_words() for member in self.members)) from None

    async def _follows(self, member: Member, patience_s: float) -> bool:
        """Return whether a member joins the set within `patience_s`; else it is killed, to be started anew.

        A member that couldn't reach its own link at its start believes for long that it isn't in the set.
        """
        await member.start()
        try:
            async with asyncio.timeout(patience_s):
                while not _stands_by(await member.hello()):  # noqa: ASYNC110 - other processes set no event
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            await member.kill()
            return False
        return True

    async def initiate(self) -> None:
        """Initiate a set of mongods that have just been started."""
        async with asyncio.timeout(READY_S):
            for member in self.members:
                while not await member.hello():  # noqa: ASYNC110 - as above
                    await asyncio.sleep(POLL_S)
        members = [{"_id": member.number, "host": member.address} for member in self.members]
        config = {"_id": NAME, "members": members, "settings": QUICK}
        await self.members[0].admin.admin.command("replSetInitiate", config)
        await self.recover()


@asynccontextmanager
async def replica_set() -> AsyncIterator[ReplicaSet]:
    """Open a set with a primary in a temporary folder; nothing of it is left at the end."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="collector-chaos-")))
        ports = _free_ports(SIZE)
        links = [await stack.enter_async_context(Link(port)) for port in ports]
        members = [Member(number, folder / f"{number}", ports[number], links[number]) for number in range(SIZE)]
        for member in members:
            stack.callback(member.admin.close)
            stack.push_async_callback(member.kill)
            await member.start()
        replicas = ReplicaSet(tuple(members))
        await replicas.initiate()
        yield replicas


def _stands_by(said: Mapping[str, Any]) -> bool:
    return any(said.get(role) for role in _STANDING_BY)


def _free_ports(count: int) -> list[int]:
    """Return ports that are free now and stay free while a member is down: the kernel gives higher ones to clients.

    A client that connects to an unused port in the clients' range may even get that port, and be connected to itself.
    """
    free: set[int] = set()
    while len(free) < count:
        with suppress(OSError), socket.create_server((HOST, secrets.choice(PORTS))) as server:
            free.add(server.getsockname()[1])
    return list(free)
