"""The local mongod for other tools: its address, while it is up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from collector.config import Settings
from collector.errors import UsageError
from collector.store.local import local_mongod, running_mongod
from collector.store.location import location_of


async def serve(settings: Settings, show: Callable[[str], None], remark: Callable[[str], None]) -> None:
    """Show the address of the local mongod; without one at work, start it and keep it up until cancelled.

    Raises `UsageError` where the configuration names a MongoDB, and `DatabaseError` where there is no local database.
    """
    location = await location_of(settings.mongodb)
    if location.uri:
        raise UsageError("mongodb.uri names a MongoDB of your own: connect to that")
    if running := running_mongod(location.data_dir):
        show(f"{running}/{location.database}")
        remark(f"{location} is in use, and stops with the last command that uses it")
        return
    async with local_mongod(location.data_dir, must_exist=True) as uri:
        show(f"{uri}/{location.database}")
        remark(f"{location} is up until Ctrl-C")
        await asyncio.Event().wait()
