"""The zone of the host changes nothing: not the windows asked, not the documents, not the output."""

from __future__ import annotations

import asyncio
import json
import os
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from datetime import time as datetime_time
from pathlib import Path
from typing import Any

import pytest
import time_machine
from clocks.hosts import CUMULATE, SUMMARY, Hosting
from hypothesis import given
from hypothesis import strategies as st
from pymongo import MongoClient
from support import FakeClock, truth

from collector.cli.app import app
from collector.model.days import ONE_DAY, Window, beijing_day, newest_published, next_beijing_midnight
from collector.sandbox import Faults, Sandbox, World

ZONES = ["America/Los_Angeles", "Pacific/Kiritimati", "Asia/Kolkata", "No/Such_Zone"]
HALF_PAST_EIGHT = datetime(2026, 11, 24, 0, 30, tzinfo=UTC)
HALF_PAST_MIDNIGHT = datetime(2026, 11, 24, 16, 30, tzinfo=UTC)
"""In Beijing, on the 24th and the 25th: at both the newest published day is the 23rd."""

RID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{8}){2}")
"""Request id for WeChat's support: the sandbox counts refusals, whose order is by chance."""

WORLD = World(size=4)
WRONG_SECRET, REFUSED_IP = (account.appid for account in WORLD.accounts[:2])
FAULTS = Faults(broken={WRONG_SECRET: 40125}, broken_data={REFUSED_IP: 89507})
instants = st.datetimes(datetime(2015, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - in UTC


@pytest.fixture(scope="module")
def in_zone() -> Iterator[Callable[[str], None]]:
    """Let this process be in a zone, as a host is; the zone of before comes back in the end."""
    before = os.environ.get("TZ")

    def change(zone: str | None) -> None:
        os.environ.pop("TZ", None)
        if zone is not None:
            os.environ["TZ"] = zone
        time.tzset()

    yield change
    change(before)


@contextmanager
def _served(sandbox: Sandbox) -> Iterator[Sandbox]:
    """Serve from a thread of its own: a command wants the main one."""
    begun, loop = threading.Event(), asyncio.new_event_loop()
    ended = asyncio.Event()

    async def serve() -> None:
        async with sandbox:
            begun.set()
            await ended.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    begun.wait()
    yield sandbox
    loop.call_soon_threadsafe(ended.set)
    thread.join()
    loop.close()


OF_ITS_OWN = ("run", "seconds", "loop_lag_s", "database")
"""Fields that differ from run to run."""


@dataclass(frozen=True)
class Observed:
    """Everything that was asked, stored and printed, except for what differs from run to run."""

    asked: set[tuple[str, str, str]]
    documents: list[dict[str, Any]]
    result: dict[str, Any]
    log: list[str]
    status: str


@pytest.fixture
def observe(mongod: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[[datetime], Observed]:
    """Return what `collector run` and `collector status` do and print at an instant."""

    def command(*arguments: str) -> tuple[str, ...]:
        app([*arguments, "-c", str(tmp_path / "accounts.yaml")], standalone_mode=False)
        return tuple(RID.sub("rid", printed) for printed in capsys.readouterr())

    def collect(now: datetime) -> Observed:
        name = f"test_{uuid.uuid4().hex}"
        with MongoClient[Any](mongod) as client, _served(Sandbox(WORLD, faults=FAULTS)) as sandbox:
            text = sandbox.config_yaml(mongodb_uri=mongod).replace("api:", f"  database: {name}\napi:", 1)
            (tmp_path / "accounts.yaml").touch(mode=0o600)
            (tmp_path / "accounts.yaml").write_text(text)
            with time_machine.travel(now.timestamp(), tick=False):  # an instant with a zone would change the host's
                out, log = command("run", "--json", "-vv", "--log-format", "json")
                status, _ = command("status", "--json", "--gaps", "--max-age", "2")
                table, _ = command("status")
            documents = list(client[name]["user_daily"].find({}, {"_id": False}).sort({"account": 1, "ref_date": 1}))
            client.drop_database(name)
        for document in documents:  # WeChat's time passes by the monotonic clock, which stands still for nobody
            document["fetched_at"] = {
                key: at.replace(second=0, microsecond=0) for key, at in document["fetched_at"].items()
            }
        facts = {key: value for key, value in json.loads(status).items() if not key.startswith("last_")}
        # The ledger goes by the server's clock, which didn't travel.
        table = re.sub("^(Last run|Last completed run): .*", "", table, flags=re.MULTILINE)
        calls = [call for call in sandbox.calls if call.path in (SUMMARY, CUMULATE)]
        return Observed(
            {(call.path, call.begin_date, call.end_date) for call in calls},
            documents,
            {key: value for key, value in json.loads(out).items() if key not in OF_ITS_OWN},
            sorted(line for line in log.splitlines() if '"run.' not in line),  # they name the run
            (json.dumps(facts) + table).replace(name, "of the test"),
        )

    return collect


@pytest.mark.parametrize("now", [HALF_PAST_EIGHT, HALF_PAST_MIDNIGHT], ids=str)
def test_any_zone_gives_the_same_run(
    in_zone: Callable[[str], None], observe: Callable[[datetime], Observed], now: datetime
) -> None:
    """A run asks, stores and prints the same in any zone of the host, known or not."""
    in_zone("UTC")
    expected = observe(now)
    window = Window(date(2026, 11, 17), date(2026, 11, 23))
    assert expected.asked == {(path, str(window.begin), str(window.end)) for path in (SUMMARY, CUMULATE)}
    stored = {(each["account"], each["ref_date"]): each for each in expected.documents}
    assert stored.keys() == truth(WORLD, window, without=[WRONG_SECRET, REFUSED_IP]).keys()
    for zone in ZONES:
        in_zone(zone)
        assert observe(now) == expected


@pytest.mark.parametrize(
    ("zone", "change"),
    [
        ("America/Los_Angeles", datetime(2026, 11, 1, 9, tzinfo=UTC)),
        ("America/Los_Angeles", datetime(2026, 3, 8, 10, tzinfo=UTC)),
        ("Australia/Sydney", datetime(2026, 10, 3, 16, tzinfo=UTC)),  # at Beijing's midnight
        ("Australia/Sydney", datetime(2026, 4, 4, 16, tzinfo=UTC)),
    ],
)
async def test_run_over_a_change_of_summer_time(
    in_zone: Callable[[str], None], hosting: Hosting, clock: FakeClock, zone: str, change: datetime
) -> None:
    """A run over the host's change to or from summer time is like any other."""
    in_zone(zone)
    clock.instant = change - timedelta(seconds=50)
    assert time.localtime(change.timestamp() - 1).tm_isdst != time.localtime(change.timestamp()).tm_isdst
    async with hosting(WORLD, tick=timedelta(seconds=10)) as host:
        newest = host.newest
        assert (await host.collect()).exit == 0
        assert clock.instant > change
        assert host.asked == {Window(newest - 6 * ONE_DAY, newest)}
        assert await host.documents() == truth(WORLD, Window(newest - 6 * ONE_DAY, newest))
        clock.instant += ONE_DAY
        assert (await host.collect()).exit == 0
        assert await host.documents() == truth(WORLD, Window(newest - 6 * ONE_DAY, newest + ONE_DAY))


@given(instants, st.sampled_from(ZONES), st.times())
def test_host_zone_changes_no_day(
    in_zone: Callable[[str], None], now: datetime, zone: str, published_at: datetime_time
) -> None:
    """Days are those of UTC+8, whatever zone the host and the instant are in."""
    in_zone(zone)
    beijing = now.replace(tzinfo=None) + timedelta(hours=8)
    midnight = datetime.combine(beijing, datetime_time(0)) + ONE_DAY
    newest = beijing.date() - ONE_DAY * (1 if beijing.time() >= published_at else 2)
    for instant in (now, now.astimezone()):  # the latter in the host's own zone
        assert beijing_day(instant) == beijing.date()
        assert next_beijing_midnight(instant).replace(tzinfo=None) == midnight - timedelta(hours=8)
        assert newest_published(instant, published_at) == newest
