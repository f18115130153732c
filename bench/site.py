"""The contestants' site: a server in the place of WeChat, a real mongod, and configurations for the collector."""

from __future__ import annotations

import asyncio
import itertools
import signal
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack, closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any

import orjson
import psutil
import trustme
from pymongo import MongoClient

from bench import world
from bench.job import COLLECTION, STATES, Job
from bench.measure import BenchError, python
from collector.store.local import local_mongod
from collector.store.schema import INDEXES, VALIDATOR

ALL_DAY = "00:00"
"""Hour of publication at which the newest day is published already."""

NOT_YET = "23:59"
"""Hour of publication that is never reached: a run leaves what yesterday's would have left."""


class Server:
    """The running server; over TLS, `authority` is the certificate that it shows."""

    def __init__(self, port: int, authority: Path | None) -> None:
        self.authority = authority
        self._place = f"127.0.0.1:{port}"

    @property
    def url(self) -> str:
        """Return its address."""
        return f"{'https' if self.authority else 'http'}://{self._place}"

    def taken(self) -> dict[str, Any]:
        """Return its record since the last time."""
        connection = HTTPConnection(self._place)
        if self.authority:
            connection = HTTPSConnection(self._place, context=ssl.create_default_context(cafile=self.authority))
        with closing(connection):
            connection.request("GET", "/bench/taken")
            seen: dict[str, Any] = orjson.loads(connection.getresponse().read())
        return seen


@contextmanager
def server(latency_s: float = 0.0, certificate: Path | None = None, authorized: int = 0) -> Iterator[Server]:
    """Start a server in a process of its own, which takes `latency_s` for each answer; over TLS with a certificate.

    So many accounts have `authorized` its platform.
    """
    command = python(
        "bench.server", "--latency-s", str(latency_s), "--authorized", str(authorized), "--ends-with-stdin"
    )
    if certificate:
        command += ["--certificate", str(certificate)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield Server(int(process.stdout.readline()), certificate)


def make_certificate(folder: Path) -> Path:
    """Make a key, its certificate and their authority in one file of `folder`."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    file = folder / "server.pem"
    file.write_bytes(issued.private_key_and_cert_chain_pem.bytes() + authority.cert_pem.bytes())
    return file


@dataclass(frozen=True, slots=True)
class Run:
    """Settings of the collector: the rate of an account, and the hour of publication."""

    rate: str = "1000/s"
    published_at: str = ALL_DAY


USUAL = Run()
UNPACED = Run(rate="100000/s")
"""At this rate no account ever waits for its turn."""


@contextmanager
def opened() -> Iterator[Site]:
    """Open a site for as long as the context lasts. SIGTERM ends it like Ctrl-C: nothing stays behind."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryDirectory(prefix="collector-bench-") as name, asyncio.Runner() as runner:
        folder, stack = Path(name), AsyncExitStack()
        uri = runner.run(stack.enter_async_context(local_mongod(folder / "mongod")))
        try:
            yield Site(folder, uri)
        finally:
            runner.run(stack.aclose())


class Site:
    """A folder and a mongod; each run gets a database of its own."""

    def __init__(self, folder: Path, uri: str) -> None:
        self.folder = folder
        self.uri = uri
        self.client: MongoClient[dict[str, Any]] = MongoClient(uri)
        self._numbers = itertools.count(1)

    @contextmanager
    def database(self, seed: str | None = None) -> Iterator[str]:
        """Create a database as the collector does, with a copy of the database `seed`; it is dropped at the end.

        All contestants write to the same: validator, indexes and what is stored before.
        """
        name = f"bench_{next(self._numbers)}"
        made = self.client[name]
        made.create_collection(COLLECTION, validator=VALIDATOR)
        made[COLLECTION].create_indexes(list(INDEXES))
        if seed:
            for collection in (COLLECTION, STATES):
                self.client[seed][collection].aggregate([{"$merge": {"into": {"db": name, "coll": collection}}}])
        try:
            yield name
        finally:
            self.client.drop_database(name)

    def configuration(self, job: Job, run: Run) -> str:
        """Write the collector's configuration for a job; return its path."""
        file = self.folder / f"accounts-{next(self._numbers)}.yaml"
        file.touch(mode=0o600)
        with file.open("w") as out:
            out.write(
                f"mongodb: {{uri: '{job.uri}', database: {job.database}}}\n"
                f"api: {{hosts: ['{job.url}'], check_clock: false}}\n"  # its answers are recorded, with their Date
                f"run: {{workers: {job.workers}, published_at: '{run.published_at}'}}\n"
                f"defaults: {{rate_limit: {run.rate}}}\n"
                "accounts:\n"
            )
            for account in job.accounts:
                out.write(f"  - {{name: {account.name}, appid: {account.appid}, secret: '{account.secret}'}}\n")
        return str(file)

    def platform(self, job: Job) -> str:
        """Write the collector's configuration for the accounts of the server's platform; return its path."""
        file = self.folder / f"platform-{next(self._numbers)}.yaml"
        file.touch(mode=0o600)
        file.write_text(
            f"mongodb: {{uri: '{job.uri}', database: {job.database}}}\n"
            f"api: {{hosts: ['{job.url}'], check_clock: false}}\n"
            f"run: {{workers: {job.workers}, published_at: '{ALL_DAY}'}}\n"
            "components:\n"
            f"  - {{name: platform, appid: {world.appid(2**63)}, discover: true,\n"
            "     access_token: {command: [echo, token]}}\n"
        )
        return str(file)

    def mongod_cpu_s(self) -> float:
        """Return the seconds of CPU that mongod has used."""
        used = psutil.Process(self.client.admin.command("serverStatus")["pid"]).cpu_times()
        return float(used.user + used.system)

    def check(self, job: Job) -> None:
        """Raise `BenchError` unless exactly the job's days are stored, with the figures that the server gave."""
        found = next(self.client[job.database][COLLECTION].aggregate(_digest(job)), None)
        wanted = _expected(job)
        if found != wanted:
            raise BenchError(f"stored in {job.database} is {found}, and should be {wanted}")


def _digest(job: Job) -> list[dict[str, Any]]:
    """Return the sums of the documents of the job's days, all fields except the instants."""
    sums = {name: {"$sum": f"${name}"} for name in ("new_user", "cancel_user", "net_user", "cumulate_user")}
    sources = {"$sum": {"$size": "$sources"}}
    return [
        {"$match": {"ref_date": {"$gte": job.windows[-1].begin}}},
        {"$group": {"_id": None, "days": {"$sum": 1}, **sums, "sources": sources}},
        {"$unset": "_id"},
    ]


def _expected(job: Job) -> dict[str, int]:
    days = [day for window in job.windows for day in world.days(window)]
    rows = [row for day in days for row in world.summary(day)]
    new, cancelled = sum(row["new_user"] for row in rows), sum(row["cancel_user"] for row in rows)
    each = {
        "days": len(days),
        "new_user": new,
        "cancel_user": cancelled,
        "net_user": new - cancelled,
        "cumulate_user": sum(map(world.cumulate, days)),
        "sources": len(rows),
    }
    return {name: job.size * value for name, value in each.items()}
