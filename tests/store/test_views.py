import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest
from structlog.testing import capture_logs

from collector.model.channels import CHANNELS
from collector.store.database import Database, prepare
from collector.store.schema import USER_DAILY
from collector.store.state import ACCOUNTS
from collector.store.views import VIEWS, prepare_views

APPID = "wx0123456789abcdef"
FLAT, SOURCES = VIEWS
HOSTILE = '$name <script>alert("1")</script> =HYPERLINK("x") $$ROOT 名 😀'
DAY = {
    "account": APPID,
    "name": "acme-shoes",
    "date": datetime(2026, 11, 23),  # noqa: DTZ001 - as PyMongo gives it
    "ref_date": "2026-11-23",
}
SUMMARY = {"new_user": 20, "cancel_user": 5, "net_user": 15}
NO_RATES = {"unfollow_rate": None, "lost_to_new": None}


async def _stored(database: Database, document: Mapping[str, Any], *, tags: object = ("retail", "华东")) -> None:
    """Store an account with these tags, and one document."""
    await prepare(database)
    await prepare_views(database)
    await database[ACCOUNTS].insert_one({"_id": APPID, "version": 1, "name": "acme-shoes", "tags": tags})
    await database[USER_DAILY].insert_one(dict(document), bypass_document_validation=True)


async def _rows(database: Database, view: str) -> list[dict[str, Any]]:
    return await database[view].find().to_list(None)


async def _notices(database: Database) -> list[str]:
    with capture_logs() as logs:
        await prepare_views(database)
    return [log["what"] for log in logs if log["event"] == "database.differs"]


async def _pipelines(database: Database) -> dict[str, Any]:
    found = await database.list_collections(filter={"type": "view"})
    return {view["name"]: view["options"]["pipeline"] async for view in found}


async def test_row_of_an_account_and_day(database: Database) -> None:
    await _stored(database, DAY | SUMMARY | {"cumulate_user": 1000, "sources": [], "fetched_at": {}, "mine": [1]})
    assert await _rows(database, FLAT) == [
        DAY | SUMMARY | {"cumulate_user": 1000, "tags": "retail;华东", "unfollow_rate": 0.005, "lost_to_new": 0.25}
    ]


@pytest.mark.parametrize(
    ("figures", "rates"),
    [
        (SUMMARY, {"lost_to_new": 0.25}),
        ({"cumulate_user": 1000}, {}),
        ({"new_user": 0, "cancel_user": 0, "net_user": 0, "cumulate_user": 10}, {"unfollow_rate": 0.0}),
        ({"new_user": 0, "cancel_user": 3, "net_user": -3, "cumulate_user": 0}, {}),
        ({"new_user": "20", "cancel_user": 5, "cumulate_user": {"of": "others"}}, {}),
    ],
)
async def test_rate_without_a_value(database: Database, figures: dict[str, Any], rates: dict[str, Any]) -> None:
    """A figure that isn't stored is absent; a rate that can't be computed is null, never 0."""
    await _stored(database, DAY | figures)
    assert await _rows(database, FLAT) == [DAY | figures | {"tags": "retail;华东"} | NO_RATES | rates]


@pytest.mark.parametrize(
    ("tags", "joined"), [([], ""), (["a"], "a"), (["", "a"], "a"), ("retail", ""), (None, ""), (["a", 7, {}], "a;7;")]
)
async def test_tags_as_one_text(database: Database, tags: object, joined: str) -> None:
    await _stored(database, DAY, tags=tags)
    assert [row["tags"] for row in await _rows(database, FLAT)] == [joined]


async def test_account_without_a_state(database: Database) -> None:
    await _stored(database, DAY)
    await database[ACCOUNTS].delete_many({})
    assert [row["tags"] for row in await _rows(database, FLAT)] == [""]


async def test_row_of_each_channel(database: Database) -> None:
    """One whose code isn't in the table goes by its number; a quiet day has no row."""
    known = {"user_source": 30, "new_user": 15, "cancel_user": 1}
    unknown = {"user_source": 11, "new_user": 5, "cancel_user": 6, "more": [1]}
    await _stored(database, DAY | SUMMARY | {"sources": [known, unknown]})
    await database[USER_DAILY].insert_one(DAY | {"ref_date": "2026-11-22", "sources": []})
    del unknown["more"]
    assert await _rows(database, SOURCES) == [
        DAY | known | {"channel": "扫描二维码", "channel_en": "QR code", "net_user": 14},
        DAY | unknown | {"channel": "11", "channel_en": "11", "net_user": -1},
    ]


async def test_names_of_all_channels(database: Database) -> None:
    rows = [{"user_source": code, "new_user": 1, "cancel_user": 0} for code in CHANNELS]
    await _stored(database, DAY | {"sources": rows})
    found = {row["user_source"]: (row["channel"], row["channel_en"]) for row in await _rows(database, SOURCES)}
    assert found == {channel.code: (channel.chinese, channel.english) for channel in CHANNELS.values()}


@pytest.mark.parametrize("sources", ["text", [7], [{"user_source": {}, "new_user": "x", "cancel_user": 1}], {"a": 1}])
async def test_strange_channels_fail_no_query(database: Database, sources: object) -> None:
    await _stored(database, DAY | {"sources": sources})
    assert [row["net_user"] for row in await _rows(database, SOURCES)] == [None]


async def test_hostile_name(database: Database) -> None:
    """It is shown as it is, and never run."""
    sources = [{"user_source": 0, "new_user": 1, "cancel_user": 0}]
    await _stored(database, DAY | {"name": HOSTILE, "sources": sources}, tags=[HOSTILE])
    (flat,), (channel,) = await _rows(database, FLAT), await _rows(database, SOURCES)
    assert (flat["name"], flat["tags"], channel["name"]) == (HOSTILE, HOSTILE, HOSTILE)


@pytest.mark.parametrize("view", VIEWS)
async def test_index_of_date(database: Database, view: str) -> None:
    """It finds a month's rows, whatever the view does with them."""
    await _stored(database, DAY | {"sources": []})
    month = {"date": {"$gte": datetime(2026, 11, 1), "$lt": datetime(2026, 12, 1)}}  # noqa: DTZ001 - as above
    stages: list[dict[str, Any]] = [{"$match": month}, {"$group": {"_id": "$date", "new": {"$sum": "$new_user"}}}]
    explained = await database.command("explain", {"aggregate": view, "pipeline": stages, "cursor": {}})
    assert "'indexName': 'date_1'" in str(explained)
    assert "COLLSCAN" not in str(explained).partition("rejectedPlans")[0]


async def test_preparing_again_changes_nothing(database: Database) -> None:
    await prepare_views(database)
    made = await _pipelines(database)
    assert await _notices(database) == []
    assert made == await _pipelines(database) == VIEWS


async def test_preparing_at_the_same_instant(database: Database) -> None:
    with capture_logs() as logs:
        await asyncio.gather(*(prepare_views(database) for _ in range(8)))
    assert (logs, await _pipelines(database)) == ([], VIEWS)


async def test_view_of_another_version(database: Database) -> None:
    await database.create_collection(FLAT, viewOn=USER_DAILY, pipeline=[{"$project": {"account": True}}])
    assert await _notices(database) == []
    assert await _pipelines(database) == VIEWS


async def test_names_that_are_taken(database: Database) -> None:
    """A collection, or a view of something else, is left alone."""
    await database[FLAT].insert_one({"_id": 1})
    await database.create_collection(SOURCES, viewOn="other", pipeline=[])
    assert await _notices(database) == [
        f"{name} isn't the collector's view of user_daily, and was left as it is (see docs/bi.md)" for name in VIEWS
    ]
    assert await database[FLAT].find().to_list(None) == [{"_id": 1}]
    assert await _pipelines(database) == {SOURCES: []}
