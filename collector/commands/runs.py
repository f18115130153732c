"""The ledger: the last runs, or one of them. Asks WeChat nothing and writes nothing."""

from __future__ import annotations

from collector.config import Settings
from collector.errors import UsageError
from collector.model.ledger import RunRecord
from collector.store.database import open_database
from collector.store.location import location_of
from collector.store.runs import read_run, read_runs


async def last_runs(settings: Settings, number: int) -> tuple[list[RunRecord], str]:
    """Return the last runs, the newest first, and the name of the database.

    Raises `DatabaseError` when MongoDB is out of reach.
    """
    location = await location_of(settings.mongodb)
    async with open_database(location, must_exist=True) as database:
        return await read_runs(database, number), str(location)


async def one_run(settings: Settings, run: str) -> tuple[RunRecord, str]:
    """Return one run, with its failures, and the name of the database.

    Raises `UsageError` where the ledger has none of that id, `DatabaseError` when MongoDB is out of reach.
    """
    location = await location_of(settings.mongodb)
    async with open_database(location, must_exist=True) as database:
        if record := await read_run(database, run):
            return record, str(location)
    raise UsageError(f"no run has the id {run}: `collector runs` lists them, of the last 400 days")
