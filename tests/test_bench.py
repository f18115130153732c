"""The bench compares like with like, and its guard knows noise from a regression."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPSConnection
from pathlib import Path

import orjson
import pytest

from bench import figures, floor
from bench.__main__ import GUARDED, RECORDED
from bench.job import Job
from bench.site import Server, make_certificate, server
from collector.store.database import Database


@pytest.fixture
def over_tls(tmp_path: Path) -> Iterator[Server]:
    with server(certificate=make_certificate(tmp_path)) as listening:
        yield listening


def test_guard_knows_every_guarded_figure() -> None:
    known = {name for name, target in figures.TARGETS.items() if target.guarded and target.scenario in GUARDED}
    assert orjson.loads(RECORDED.read_bytes()).keys() == known


@pytest.mark.parametrize(("lag_s", "regresses"), [(0.19, False), (0.21, True)])
def test_kept_bound_is_no_regression(lag_s: float, regresses: bool) -> None:
    """A delay of milliseconds that doubles is noise; one beyond the bound isn't."""
    assert bool(figures.regressions({"daily.lag": [lag_s]}, {"daily.lag": 0.02})) == regresses


async def test_floor_keeps_what_it_knows(database: Database, mongod: str) -> None:
    """The floor reads the state of each account and writes it, as the collector must."""
    with server() as listening:
        job = Job(listening.url, mongod, database.name, 2, "2026-11-17", "2026-11-23", 2)
        first, second = job.accounts
        await database["accounts"].insert_one({"_id": first.appid, "born": "2020-01-01"})
        await floor.main(job)
    states = {state["_id"]: state async for state in database["accounts"].find()}
    assert {appid: state.get("born") for appid, state in states.items()} == {
        first.appid: "2020-01-01",
        second.appid: None,
    }
    assert [state["user_summary"]["covered"] for state in states.values()] == [
        [{"begin": "2026-11-17", "end": "2026-11-23"}]
    ] * 2


def test_server_counts_handshakes(over_tls: Server) -> None:
    assert over_tls.authority is not None
    context = ssl.create_default_context(cafile=over_tls.authority)
    over_tls.taken()
    for _ in range(2):
        with closing(HTTPSConnection(over_tls.url.removeprefix("https://"), context=context)) as connection:
            connection.request("GET", "/cgi-bin/token?appid=wx0")
            connection.getresponse().read()
    seen = over_tls.taken()
    assert (seen["connections"], seen["handshakes"], seen["resumed"]) == (2, 2, 0)
