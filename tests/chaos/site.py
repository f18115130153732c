"""Where the collectors of one storm work: their configuration, their database, what they print."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from chaos.configuration import configuration
from chaos.host import Collector, Host
from chaos.plan import Plan
from chaos.replicas import ReplicaSet
from pymongo import WriteConcern
from pymongo.errors import PyMongoError

from collector.model.results import ExitCode
from collector.store.leases import LEASES

ONE = WriteConcern(1)
"""The acknowledgement that needs no majority, which may be out of reach."""

_FORMS = (("-vv",), ("-vv", "--log-format", "json"), ("-v",), ())


class Site:
    """Starts the commands of a storm, one after the other, in `folder`; `printed` is all that they have said."""

    def __init__(self, plan: Plan, host: Host, replicas: ReplicaSet, folder: Path, hosts: Sequence[str]) -> None:
        self.replicas = replicas
        self.database = f"storm_{plan.seed}"
        self.host = host
        self.runs = 0
        self._plan = plan
        self._folder = folder
        self._config = folder / "accounts.yaml"
        self._config.touch(mode=0o600)
        self._config.write_bytes(configuration(plan, hosts, replicas.uri, self.database))
        self._numbers = count(1)

    async def start(self, *command: str, hurried: bool = False) -> Collector:
        """Start `command`, or the one that the storm is about, with one of the ways to log."""
        number = next(self._numbers)
        self.runs += 1
        arguments = (*(command or self._wanted()), "--json", "-c", str(self._config), *_FORMS[number % len(_FORMS)])
        output, log = (self._folder / f"{number}.{kind}" for kind in ("out", "log"))
        return await self.host.start(arguments, output, log, hurried=hurried)

    def printed(self) -> dict[str, str]:
        """The outputs and the logs, by their names."""
        files = (*self._folder.glob("*.out"), *self._folder.glob("*.log"))
        return {file.name: file.read_text(errors="replace") for file in files}

    async def end_lease(self) -> None:
        """Let the lease of a collector that is no more run out at once, as it would in a minute."""
        expired = {"$set": {"expires": datetime(1970, 1, 1, tzinfo=UTC)}}
        for member in self.replicas.members:
            with suppress(PyMongoError):  # it is down, or no primary
                await member.admin[self.database].get_collection(LEASES, write_concern=ONE).update_many({}, expired)

    def _wanted(self) -> Sequence[str]:
        return ("backfill", "--since", str(self._plan.since)) if self._plan.backfill else ("run",)


def may_end_with(exit_code: int) -> bool:
    """Whether a collector may end like that while everything goes wrong; below 0 it was killed."""
    return exit_code < 0 or exit_code in frozenset(ExitCode) - {ExitCode.USAGE, ExitCode.CONFIG}
