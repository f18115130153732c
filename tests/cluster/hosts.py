"""A Dask cluster of several processes, each worker of which has a configuration and a WeChat of its own."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trustme
from chaos.processes import kill, start
from distributed import Status, Worker

from collector.cluster.engine import Remote, opened
from collector.sandbox import Sandbox, World
from collector.store.database import Database

_QUIET = {"DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False", "DASK_DISTRIBUTED__LOGGING__DISTRIBUTED": "critical"}


@dataclass(frozen=True)
class Authority:
    """Certificates that the processes of a cluster know each other by."""

    ca: Path
    cert: Path
    key: Path

    @classmethod
    def made(cls, folder: Path) -> Authority:
        folder.mkdir()
        authority = trustme.CA()
        issued = authority.issue_cert("127.0.0.1")
        made = cls(folder / "ca.pem", folder / "cert.pem", folder / "key.pem")
        authority.cert_pem.write_to_path(made.ca)
        issued.cert_chain_pems[0].write_to_path(made.cert)
        issued.private_key_pem.write_to_path(made.key)
        return made

    @property
    def options(self) -> list[str]:
        return ["--tls-ca-file", str(self.ca), "--tls-cert", str(self.cert), "--tls-key", str(self.key)]


@dataclass
class Cluster:
    """A scheduler; `workers` are its workers by name."""

    folder: Path
    address: str
    authority: Authority | None
    workers: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)

    @property
    def place(self) -> Remote:
        made = self.authority
        return Remote(self.address, made.ca, made.cert, made.key) if made else Remote(self.address)

    async def add(
        self, name: str, config: Path | None, *labels: str, options: Sequence[str] = ("--no-nanny",), **environ: str
    ) -> None:
        """Start a worker with this configuration and these egress labels; it has two threads."""
        resources = ["--resources", " ".join(f"egress-{label}=1" for label in labels)] if labels else []
        arguments = [
            *("worker", self.address, "--name", name, "--nthreads", "2", "--no-dashboard", "--memory-limit", "0"),
            *("--host", "127.0.0.1", "--local-directory", str(self.folder), *resources, *_options(self.authority)),
            *options,
        ]
        environ = {**environ, **({"COLLECTOR_CONFIG": str(config)} if config else {})}
        self.workers[name] = await _dask(arguments, self.folder / f"{name}.log", environ)

    async def ready(self, count: int) -> None:
        """Wait until the scheduler knows so many workers."""
        async with asyncio.timeout(30), opened(self.place) as engine:
            while len(await engine.members()) < count:
                assert all(each.returncode is None for each in self.workers.values()), [*map(self.log_of, self.workers)]
                await asyncio.sleep(0.05)

    async def pause_all(self) -> None:
        """Let the workers begin no further tasks, as Dask does where memory is short."""

        def pause(dask_worker: Worker) -> None:
            dask_worker.status = Status.paused

        async with asyncio.timeout(30), opened(self.place) as engine:
            await engine._client.run(pause)
            while await engine.members():  # noqa: ASYNC110 - a scheduler sets no event
                await asyncio.sleep(0.05)

    def log_of(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()


@asynccontextmanager
async def cluster_of(folder: Path, *, tls: bool = True) -> AsyncIterator[Cluster]:
    """Run a scheduler, and end it with all its workers."""
    authority = Authority.made(folder / "certificates") if tls else None
    file, scheme = folder / "scheduler.json", "tls" if tls else "tcp"
    options = [
        *("scheduler", "--host", "127.0.0.1", "--port", "0", "--protocol", scheme, "--scheduler-file", str(file)),
        *("--no-dashboard", "--dashboard-address", "127.0.0.1:0", *_options(authority)),
    ]
    scheduler = await _dask(options, folder / "scheduler.log", {})
    cluster = Cluster(folder, "", authority)
    try:
        async with asyncio.timeout(20):
            while not file.exists() or not file.read_text():
                assert scheduler.returncode is None, (folder / "scheduler.log").read_text()
                await asyncio.sleep(0.05)
        cluster.address = json.loads(file.read_text())["address"]
        yield cluster
    finally:
        await asyncio.gather(*map(kill, [*cluster.workers.values(), scheduler]))


@dataclass
class Host:
    """A host: its WeChat, which is reached from here alone, and its configuration."""

    sandbox: Sandbox
    config: Path

    def changed(self, **sections: Any) -> Path:
        """Change sections of its configuration, or remove those that are None."""
        content = json.loads(self.config.read_text()) | sections
        self.config.write_text(json.dumps({name: each for name, each in content.items() if each is not None}))
        return self.config


@asynccontextmanager
async def hosts_of(
    names: Sequence[str], world: World, folder: Path, uri: str, database: Database, content: Mapping[str, Any]
) -> AsyncIterator[dict[str, Host]]:
    """Open hosts whose configurations ask for the same: `content` is added to what all of them have."""
    async with AsyncExitStack() as stack:
        hosts = {}
        for name in names:
            sandbox = await stack.enter_async_context(Sandbox(world))
            own = {
                "mongodb": {"uri": uri, "database": database.name},
                "api": {"hosts": [sandbox.url]},
                "accounts": [
                    {"name": each.name, "appid": each.appid, "secret": each.secret} for each in world.accounts
                ],
            }
            config = folder / f"{name}.yaml"
            config.touch(mode=0o600)
            config.write_text(json.dumps(own | dict(content)))  # JSON is YAML
            hosts[name] = Host(sandbox, config)
        yield hosts


def _options(authority: Authority | None) -> list[str]:
    return authority.options if authority else []


async def _dask(options: Sequence[str], log: Path, environ: Mapping[str, str]) -> asyncio.subprocess.Process:
    kept = {name: value for name, value in os.environ.items() if name != "COLLECTOR_CONFIG"}
    with log.open("ab") as out:
        return await start(
            [sys.executable, "-m", "dask", *options],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**kept, **_QUIET, **environ},
        )
