"""The ledger: the last runs, or one of them. Asks WeChat nothing and writes nothing."""

from __future__ import annotations

from collector.config import Settings
from collector.errors import UsageError
from collector.model.ledger import Entry
from collector.store.database import open_database
from collector.store.runs import read_run, read_runs


async def last_runs(settings: Settings, number: int) -> list[Entry]:
    """Return the last runs, the newest first. Raises `DatabaseError` when MongoDB is out of reach."""
    async with open_database(settings.mongodb.uri, settings.mongodb.database) as database:
        return await read_runs(database, number)


async def one_run(settings: Settings, run: str) -> Entry:
    """Return one run, with its failures.

    Raises `UsageError` where the ledger has none of that id, `DatabaseError` when MongoDB is out of reach.
    """
    async with open_database(settings.mongodb.uri, settings.mongodb.database) as database:
        if entry := await read_run(database, run):
            return entry
    raise UsageError(f"no run has the id {run}: `collector runs` lists them, of the last 400 days")
