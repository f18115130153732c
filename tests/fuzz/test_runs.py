"""Whole runs over accounts some of which get hostile answers: the truth is stored for all the others."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from random import Random
from typing import Any

import pytest
from fuzz.bodies import DAYS, HostileBodies
from fuzz.hazards import HAZARDS
from fuzz.oracle import figures_in, figures_of
from fuzz.server import Asked, Saying, Server
from support import Configured, FakeClock, run

from collector.model.results import Outcome
from collector.store.database import Database
from collector.store.schema import USER_DAILY

SUMMARY, CUMULATE = "/datacube/getusersummary", "/datacube/getusercumulate"
Answer = Callable[[str, Asked], Saying | bytes]
Stored = dict[str, dict[str, dict[str, Any]]]


def _appid(number: int) -> str:
    return f"wx{number:016x}"


def _body(rows: list[dict[str, Any]]) -> bytes:
    return json.dumps({"list": rows}).encode()


def _sound(asked: Asked) -> bytes:
    """Answer with followers on each day asked for, so that none is quiet."""
    first, last = (date.fromisoformat(asked.body[key]) for key in ("begin_date", "end_date"))
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    if asked.path == SUMMARY:
        return _body([{"ref_date": str(day), "user_source": 1, "new_user": 2, "cancel_user": 1} for day in days])
    return _body([{"ref_date": str(day), "cumulate_user": day.toordinal()} for day in days])


def _wechat(answer: Answer) -> Server:
    """Make a WeChat with a token for everybody; `answer` gives the data of an appid."""

    def say(asked: Asked) -> Saying | bytes:
        if asked.path == "/cgi-bin/stable_token":
            return json.dumps({"access_token": asked.body["appid"], "expires_in": 7200}).encode()
        return answer(asked.query["access_token"], asked)

    return Server(say)


def _configuration(address: str, size: int) -> dict[str, Any]:
    accounts = [{"name": f"a{n}", "appid": _appid(n), "secret": "s3cret"} for n in range(size)]
    return {"api": {"hosts": [address], "timeout": 1}, "accounts": accounts}


async def _stored(database: Database) -> Stored:
    found: Stored = {}
    async for document in database[USER_DAILY].find():
        found.setdefault(document["account"], {})[document["ref_date"]] = figures_of(document)
    return found


def _merged(before: Mapping[str, Any], bodies: Mapping[str, bytes]) -> dict[str, Any]:
    after = dict(before)
    for dataset, body in bodies.items():
        for day, figures in (figures_in(body, dataset, DAYS) or {}).items():
            after[str(day)] = after.get(str(day), {}) | figures
    return after


@pytest.mark.parametrize("path", [SUMMARY, CUMULATE])
async def test_hostile_answers(path: str, clock: FakeClock, database: Database, configured: Configured) -> None:
    """A run stores the truth; the next one, with a hostile body for each account, changes only what these contain."""
    size, dataset = 100, "user_summary" if path == SUMMARY else "user_cumulate"
    bodies: dict[str, bytes] = {}
    for number in range(1, size):
        hostile = HostileBodies(Random(f"{path} {number}"))
        bodies[_appid(number)] = hostile.summary() if path == SUMMARY else hostile.cumulate()
    is_hostile = False

    def answer(appid: str, asked: Asked) -> bytes:
        return bodies[appid] if is_hostile and asked.path == path and appid in bodies else _sound(asked)

    server = _wechat(answer)
    async with server.serving() as address:
        settings = configured(_configuration(address, size))
        assert (await run(settings, clock)).exit == 0
        before = await _stored(database)
        await database["accounts"].delete_many({})  # so that all is asked anew, of the same days
        is_hostile = True
        result = await run(settings, clock)
    assert result.error is None
    assert not [failure for failure in result.failures if "the collector failed" in failure.errmsg]
    windows = {(asked.body["begin_date"], asked.body["end_date"]) for asked in server.asked if asked.path == path}
    assert windows <= {(str(DAYS[-1]), str(last)) for last in DAYS[:2]}  # the shorter one after 61501 and 61503
    assert await _stored(database) == {
        appid: _merged(days, {dataset: bodies[appid]} if appid in bodies else {}) for appid, days in before.items()
    }


async def test_hostile_connections(clock: FakeClock, database: Database, configured: Configured) -> None:
    hazards = [hazard for hazard in HAZARDS.values() if hazard.error and not hazard.is_slow] + [HAZARDS["a slow body"]]
    hostile = {_appid(2 * number): hazard for number, hazard in enumerate(hazards)}
    size = 2 * len(hazards)

    def answer(appid: str, asked: Asked) -> Saying | bytes:
        return hostile[appid].saying if appid in hostile else _sound(asked)

    async with _wechat(answer).serving() as address:
        result = await run(configured(_configuration(address, size)), clock)
    assert (result.error, result.exit) == (None, 3)
    assert result.outcomes == {
        Outcome.OK: size - len(hostile),
        Outcome.PENDING: 0,
        Outcome.FAILED: len(hostile),
        Outcome.SKIPPED: 0,
    }
    truth = {
        str(day): {
            "new_user": 2,
            "cancel_user": 1,
            "net_user": 1,
            "sources": [{"user_source": 1, "new_user": 2, "cancel_user": 1}],
            "cumulate_user": day.toordinal(),
        }
        for day in DAYS
    }
    assert await _stored(database) == {_appid(number): truth for number in range(size) if _appid(number) not in hostile}
