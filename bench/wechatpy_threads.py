"""The script that a user would write instead: wechatpy in a pool of threads, and PyMongo."""

from __future__ import annotations

import sys
import warnings
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

from pymongo import MongoClient, UpdateOne
from pymongo.collection import Collection

from bench.job import COLLECTION, Job
from bench.world import Account

# Its crypto is for messages and payments alone, and wants one more library.
_crypto = ModuleType("wechatpy.crypto")
vars(_crypto).update(WeChatCrypto=None, WeChatRefundCrypto=None)
sys.modules[_crypto.__name__] = _crypto

from wechatpy import WeChatClient  # noqa: E402 - once its crypto is out of the way
from wechatpy.client.api import WeChatDataCube  # noqa: E402 - as above

Documents = Collection[dict[str, Any]]


class Client(WeChatClient):  # type: ignore[misc] # it carries no types
    """wechatpy's client with another address of the token call, which is fixed in its code."""

    def fetch_access_token(self) -> Any:
        """Ask for a token."""
        params = {"grant_type": "client_credential", "appid": self.appid, "secret": self.secret}
        return self._fetch_access_token(f"{self.API_BASE_URL}token", params)


def collect(account: Account, job: Job, collection: Documents) -> None:
    """Collect both datasets of one account, window by window, with a bulk write for each."""
    client = Client(account.appid, account.secret)
    for window in job.windows:
        summary = client.datacube.get_user_summary(window.begin, window.end)
        cumulate = client.datacube.get_user_cumulate(window.begin, window.end)
        collection.bulk_write(documents(account, summary, cumulate), ordered=False)


def documents(account: Account, summary: list[dict[str, Any]], cumulate: list[dict[str, Any]]) -> list[UpdateOne]:
    """Return the upserts of a window's days."""
    days: dict[str, dict[str, Any]] = defaultdict(
        lambda: {"name": account.name, "new_user": 0, "cancel_user": 0, "net_user": 0, "sources": []}
    )
    now = datetime.now(UTC)
    for row in summary:
        day = days[row["ref_date"]]
        day["new_user"] += row["new_user"]
        day["cancel_user"] += row["cancel_user"]
        day["net_user"] += row["new_user"] - row["cancel_user"]
        day["sources"].append({key: value for key, value in row.items() if key != "ref_date"})
        day["fetched_at.user_summary"] = now
    for row in cumulate:
        days[row["ref_date"]]["cumulate_user"] = row["cumulate_user"]
        days[row["ref_date"]]["fetched_at.user_cumulate"] = now
    for day in days.values():
        day["sources"].sort(key=lambda source: source["user_source"])
    return [
        UpdateOne({"account": account.appid, "ref_date": ref_date}, {"$set": fields}, upsert=True)
        for ref_date, fields in days.items()
    ]


def main(job: Job) -> None:
    """Collect the accounts with a pool of threads."""
    warnings.simplefilter("ignore", DeprecationWarning)  # wechatpy calls methods of its own that it has given up
    WeChatClient.API_BASE_URL = f"{job.url}/cgi-bin/"
    WeChatDataCube.API_BASE_URL = f"{job.url}/datacube/"
    with MongoClient[dict[str, Any]](job.uri, w="majority") as client, ThreadPoolExecutor(job.workers) as threads:
        collection = client[job.database][COLLECTION]
        for done in [threads.submit(collect, account, job, collection) for account in job.accounts]:
            done.result()


if __name__ == "__main__":
    main(Job.from_arguments())
