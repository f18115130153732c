"""Documents in a real MongoDB after hostile answers: unchanged, except for what these plainly contain."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from random import Random
from typing import Any

import pytest
from bson import DBRef
from fuzz.bodies import DAYS, KEYS, HostileBodies
from fuzz.oracle import Figures, figures_in, figures_of

from collector.completeness.datasets import CUMULATE, DATASETS, SUMMARY, fold
from collector.errors import CallError
from collector.kinds import CallKind
from collector.model.days import Window
from collector.model.state import AccountState, Day, Update
from collector.store.database import Database, prepare
from collector.store.held import Held
from collector.store.schema import USER_DAILY
from collector.store.writer import Writer
from collector.wechat.answers import Request, answer_in
from collector.wechat.client import MAX_BODY_BYTES

WINDOW = Window(DAYS[-1], DAYS[0])
NOW = datetime(2026, 11, 24, tzinfo=UTC)
BEFORE: Mapping[str, Any] = {
    SUMMARY: {
        "new_user": 3,
        "cancel_user": 1,
        "net_user": 2,
        "sources": [{"user_source": 9, "new_user": 3, "cancel_user": 1}],
    },
    CUMULATE: {"cumulate_user": 77},
}


def _folded(body: bytes, dataset: str) -> Mapping[date, Any]:
    """Return the days of a body; none where it is no answer."""
    try:
        rows = answer_in(body, Request(CallKind.DATA, "POST", "/", "list", {}))["list"]
        return fold(DATASETS[dataset], rows, WINDOW).days if isinstance(rows, list) else {}
    except CallError:
        return {}


def _update(account: str, days: Sequence[Day]) -> Update:
    return Update(days, AccountState(account, account))


async def _write(database: Database, updates: Sequence[Update]) -> None:
    async with Writer(database, Held(1)) as writer:
        for update in updates:
            await writer.put(update)
    assert writer.rejected == {}


async def test_thousand_hostile_answers(database: Database) -> None:
    """Answers change nothing except what they plainly contain."""
    await prepare(database)  # with the validator
    expected: dict[str, Figures] = {}
    before, hostile = [], []
    for seed in range(500):
        account, chance = f"wx{seed}", HostileBodies(Random(1_000_000 + seed))
        bodies = {SUMMARY: chance.summary(), CUMULATE: chance.cumulate()}
        known = dict.fromkeys(DAYS[:3], BEFORE[SUMMARY] | BEFORE[CUMULATE])
        for dataset, body in bodies.items():
            for day, figures in (figures_in(body, dataset, DAYS) or {}).items():
                known[day] = known.get(day, {}) | figures
            came = _folded(body, dataset)
            hostile.append(_update(account, [Day(account, account, day, {dataset: came[day]}, NOW) for day in came]))
        expected[account] = known
        before.append(_update(account, [Day(account, account, day, BEFORE, NOW) for day in DAYS[:3]]))
    await _write(database, before)
    await _write(database, hostile)
    found: dict[str, Figures] = {account: {} for account in expected}
    async for document in database[USER_DAILY].find():
        found[document["account"]][date.fromisoformat(document["ref_date"])] = figures_of(document)
    assert found == expected


SOUND = [0, 1, -7, 2.5, "text", "$name", True, None, [1, [2, {"a": []}]], {"$set": {"a.b": 1}}, {"": {"$": "."}}, 2**62]


async def test_unknown_fields_are_stored_unchanged(database: Database) -> None:
    """Operators, dots and empty names are names like others; a null character and half a character can't be stored."""
    await prepare(database)
    rows, known = [], {"ref_date": str(DAYS[0]), "new_user": 1, "cancel_user": 2}
    for seed in range(300):
        chance = Random(seed)
        keys = [key for key in KEYS if "\0" not in key and "\ud800" not in key and key not in known]
        more = {key: chance.choice(SOUND) for key in chance.sample(keys, 4)}
        more |= {"deep": {key: chance.choice(SOUND) for key in chance.sample(keys, 3)}}
        rows.append(more | known | {"user_source": seed})
    body = json.dumps({"list": rows}).encode()
    came = _folded(body, SUMMARY)
    await _write(database, [_update("wx", [Day("wx", "wx", day, {SUMMARY: came[day]}, NOW) for day in came])])
    stored = await database[USER_DAILY].find_one({"account": "wx", "ref_date": str(DAYS[0])})
    assert stored is not None
    expected = [{key: value for key, value in row.items() if key != "ref_date"} for row in rows]
    assert [_undone(source) for source in stored["sources"]] == expected
    assert set(stored) == {"_id", "account", "ref_date", "date", "name", "fetched_at", *BEFORE[SUMMARY]}


def _undone(value: Any) -> Any:
    """Undo PyMongo's `DBRef` for what has `$ref` and `$id`; the database holds it unchanged."""
    if isinstance(value, DBRef):
        value = value.as_doc()
    if isinstance(value, dict):
        return {key: _undone(item) for key, item in value.items()}
    return [_undone(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("more", ["0", "{}", '""'])
async def test_readable_answer_can_be_stored(database: Database, more: str) -> None:
    await prepare(database)
    row = '{"ref_date": "2026-11-23", "user_source": 0, "new_user": 1, "cancel_user": 2, "x": [%s]}'
    body = ('{"list": [' + row % ",".join([more] * ((MAX_BODY_BYTES - 200) // (len(more) + 1))) + "]}").encode()
    assert len(body) <= MAX_BODY_BYTES
    came = _folded(body, SUMMARY)
    days = [Day("wx", "wx", day, {SUMMARY: fields}, NOW) for day, fields in came.items()]
    await _write(database, [_update("wx", days), _update("other", [Day("other", "other", DAYS[0], BEFORE, NOW)])])
    assert await database[USER_DAILY].count_documents({"account": "other"}) == 1
