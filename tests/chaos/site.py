"""Site of one storm's collectors: their configuration, their database, their output."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from chaos.configuration import Addresses, configuration
from chaos.host import Collector, Host
from chaos.plan import Plan
from chaos.replicas import ReplicaSet
from pymongo import WriteConcern
from pymongo.errors import PyMongoError

from collector.model.results import ExitCode
from collector.store.lease_document import LEASES

ONE = WriteConcern(1)
"""Write concern without a majority, which may be unreachable."""

EXPIRED = [{"$set": dict.fromkeys(("expires", "leases.expires"), datetime(1970, 1, 1, tzinfo=UTC))}]
"""Update that lets all leases expire."""

_FORMS = (("-vv",), ("-vv", "--log-format", "json"), ("-v",), ())


class Site:
    """Site that starts the commands of a storm, one after the other, in `folder`; `printed` is all their output."""

    def __init__(self, plan: Plan, host: Host, replicas: ReplicaSet, folder: Path, addresses: Addresses) -> None:
        self.replicas = replicas
        self.database = f"storm_{folder.name}"
        self.host = host
        self.runs = 0
        self._plan = plan
        self._folder = folder
        self._config = folder / "accounts.yaml"
        self._config.touch(mode=0o600)
        self._config.write_bytes(configuration(plan, addresses, replicas.uri, self.database))
        self._numbers = count(1)

    async def start(self, *command: str, hurried: bool = False) -> Collector:
        """Start `command`, or the storm's own, with the next of the ways to log."""
        number = next(self._numbers)
        self.runs += 1
        arguments = (*(command or self._wanted()), "--json", "-c", str(self._config), *_FORMS[number % len(_FORMS)])
        output, log = (self._folder / f"{number}.{kind}" for kind in ("out", "log"))
        return await self.host.start(arguments, output, log, hurried=hurried)

    def printed(self) -> dict[str, str]:
        """Return the outputs and the logs, by file name."""
        files = (*self._folder.glob("*.out"), *self._folder.glob("*.log"))
        return {file.name: file.read_text(errors="replace") for file in files}

    async def end_lease(self) -> None:
        """Expire the lease of a collector that has gone, as it would in a minute."""
        for member in self.replicas.members:
            with suppress(PyMongoError):  # it is down, or no primary
                await member.admin[self.database].get_collection(LEASES, write_concern=ONE).update_many({}, EXPIRED)

    def _wanted(self) -> Sequence[str]:
        return ("backfill", "--since", str(self._plan.since)) if self._plan.backfill else ("run",)


def may_end_with(exit_code: int) -> bool:
    """Return whether a collector may end like that during a storm; a code below 0 is a signal."""
    return exit_code < 0 or exit_code in frozenset(ExitCode) - {ExitCode.USAGE, ExitCode.CONFIG}
