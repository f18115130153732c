"""The floor: the least work with aiohttp, orjson and motor for the same calls and the same documents.

It reads and writes a state of each account, since without one nobody knows what is missing. No pace, no retries, no
checks: nothing that a collector must have beyond that.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import aiohttp
import orjson
import uvloop
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import ReplaceOne, UpdateOne

from bench.job import COLLECTION, MAX_BATCH, STATES, Job
from bench.world import CUMULATE, SUMMARY, Account, Window


class Floor:
    """The bare loop: workers that take accounts, and documents that are gathered until they fill a bulk write."""

    def __init__(self, job: Job, session: aiohttp.ClientSession, database: Any) -> None:
        self._job = job
        self._session = session
        self._database = database
        self._known: dict[str, dict[str, Any]] = {}
        self._gathered: list[UpdateOne] = []
        self._states: list[ReplaceOne[dict[str, Any]]] = []

    async def run(self) -> None:
        """Read the states, and collect everything."""
        self._known = {state["_id"]: state async for state in self._database[STATES].find()}
        waiting = iter(self._job.accounts)
        windows = self._job.windows
        async with asyncio.TaskGroup() as workers:
            for _ in range(self._job.workers):
                workers.create_task(self._work(waiting, windows))
        await self._write()

    async def _work(self, accounts: Iterator[Account], windows: list[Window]) -> None:
        for account in accounts:
            credentials = {"grant_type": "client_credential", "appid": account.appid, "secret": account.secret}
            token = (await self._post("/cgi-bin/stable_token", credentials))["access_token"]
            for window in windows:
                asked = {"begin_date": window.begin, "end_date": window.end}
                summary = await self._post(SUMMARY, asked, token)
                cumulate = await self._post(CUMULATE, asked, token)
                self._gathered += documents(account, summary["list"], cumulate["list"])
                if len(self._gathered) >= MAX_BATCH:
                    await self._write()
            after = state(account, windows, self._known.get(account.appid, {}))
            self._states.append(ReplaceOne({"_id": account.appid}, after, upsert=True))

    async def _post(self, path: str, body: dict[str, str], token: str | None = None) -> Any:
        params = {"access_token": token} if token else None
        async with self._session.post(self._job.url + path, params=params, data=orjson.dumps(body)) as response:
            return orjson.loads(await response.read())

    async def _write(self) -> None:
        days, self._gathered = self._gathered, []
        states, self._states = self._states, []
        for collection, writes in ((COLLECTION, days), (STATES, states)):
            if writes:
                await self._database[collection].bulk_write(writes, ordered=False)


def documents(account: Account, summary: list[dict[str, Any]], cumulate: list[dict[str, Any]]) -> Iterator[UpdateOne]:
    """Return the upserts of a window's days, with the fields that the collector writes."""
    sources = defaultdict(list)
    for row in summary:
        sources[row.pop("ref_date")].append(row)
    now = datetime.now(UTC)
    for total in cumulate:
        rows = sorted(sources[total["ref_date"]], key=lambda row: row["user_source"])
        new, cancelled = sum(row["new_user"] for row in rows), sum(row["cancel_user"] for row in rows)
        fields = {
            "name": account.name,
            "date": datetime.fromisoformat(total["ref_date"]),
            "new_user": new,
            "cancel_user": cancelled,
            "net_user": new - cancelled,
            "sources": rows,
            "cumulate_user": total["cumulate_user"],
            "fetched_at.user_summary": now,
            "fetched_at.user_cumulate": now,
        }
        yield UpdateOne({"account": account.appid, "ref_date": total["ref_date"]}, {"$set": fields}, upsert=True)


def state(account: Account, windows: list[Window], known: dict[str, Any]) -> dict[str, Any]:
    """Return an account's state after its windows, as long as the collector's."""
    newest, now = windows[0].end, datetime.now(UTC)
    covered = [{"begin": windows[-1].begin, "end": newest}]
    calls = {"on": newest, "count": len(windows)}
    dataset = {"covered": covered, "void": [], "refreshed_to": newest, "calls": calls, "last_success": now}
    return {**known, "name": account.name, "tags": [], "user_summary": dataset, "user_cumulate": dataset}


async def main(job: Job) -> None:
    """Open session and database, and collect."""
    connector = aiohttp.TCPConnector(limit=job.workers)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
        client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(job.uri, w="majority")
        await Floor(job, session, client[job.database]).run()
        client.close()


if __name__ == "__main__":
    uvloop.run(main(Job.from_arguments()))
