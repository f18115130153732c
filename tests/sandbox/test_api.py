from datetime import UTC, date, datetime, timedelta

import pytest
from sandbox.caller import CUMULATE, SUMMARY, WORLD, refusal, serve
from support import FakeClock

from collector.sandbox import Limits, World

TODAY, YESTERDAY, BEFORE = "2026-11-24", "2026-11-23", "2026-11-22"


async def test_datasets_are_the_truth(clock: FakeClock) -> None:
    async with serve(clock=clock.now) as caller:
        for account in WORLD.accounts:
            token = await caller.token(account)
            summary = await caller.data(SUMMARY, token, ("2026-11-17", YESTERDAY))
            cumulate = await caller.data(CUMULATE, token, ("2026-11-17", YESTERDAY))
            days = [date(2026, 11, 17) + timedelta(days=n) for n in range(7)]
            truths = [WORLD.truth(account.appid, day) for day in days]
            assert summary == {"list": [row for truth in truths for row in truth.rows]}
            assert cumulate == {
                "list": [
                    {"ref_date": str(day), "user_source": 0, "cumulate_user": truth.cumulate_user}
                    for day, truth in zip(days, truths, strict=True)
                ]
            }


@pytest.mark.parametrize(("hour_utc", "newest"), [(-1, BEFORE), (0, YESTERDAY)])
async def test_yesterday_before_publication(clock: FakeClock, hour_utc: int, newest: str) -> None:
    """It is missing without an error until 08:00 in Beijing."""
    clock.instant = datetime(2026, 11, 24, tzinfo=UTC) + timedelta(hours=hour_utc)
    async with serve(clock=clock.now) as caller:
        token = await caller.token()
        answer = await caller.data(CUMULATE, token, (BEFORE, YESTERDAY))
    assert answer["list"][-1]["ref_date"] == newest


async def test_yesterday_alone(clock: FakeClock) -> None:
    """The list is empty before yesterday is published."""
    clock.instant = datetime(2026, 11, 23, 23, 59, tzinfo=UTC)
    async with serve(clock=clock.now) as caller:
        assert await caller.data(SUMMARY, await caller.token(), (YESTERDAY, YESTERDAY)) == {"list": []}


async def test_nothing_before_december_2014() -> None:
    async with serve() as caller:
        answer = await caller.data(CUMULATE, await caller.token(), ("2014-11-28", "2014-12-02"))
    assert [row["ref_date"] for row in answer["list"]] == ["2014-12-01", "2014-12-02"]


@pytest.mark.parametrize(
    ("begin", "end", "errcode"),
    [
        ("2026-11-17", YESTERDAY, 0),
        ("2026-11-16", YESTERDAY, 61501),  # eight days
        (YESTERDAY, BEFORE, 61501),
        (BEFORE, TODAY, 61501),
        ("20261122", YESTERDAY, 61500),
        ("2026-11-22", "2026-11-31", 61500),
        ("2026-11-22", None, 61500),
        (20261122, YESTERDAY, 61500),
        ("", YESTERDAY, 61500),
    ],
)
async def test_range_of_days_is_checked(clock: FakeClock, begin: str, end: str, errcode: int) -> None:
    async with serve(clock=clock.now) as caller:
        token = await caller.token()
        assert await caller.errcode(SUMMARY, token, (begin, end)) == errcode
        assert await caller.errcode(CUMULATE, token, (begin, end)) == errcode


async def test_yesterday_is_beijings(clock: FakeClock) -> None:
    clock.instant = datetime(2026, 11, 24, 16, tzinfo=UTC)  # the 25th in Beijing
    async with serve(clock=clock.now) as caller:
        assert await caller.errcode(SUMMARY, await caller.token(), (TODAY, TODAY)) == 0


@pytest.mark.parametrize(
    ("token", "refused"),
    [
        ("", (41001, "access_token missing")),
        ("nonsense", (40014, "invalid access_token")),
        (f"12_{'a' * 128}", (40001, "invalid credential, access_token is invalid or not latest")),
    ],
)
async def test_invalid_tokens_are_refused(token: str, refused: tuple[int, str]) -> None:
    async with serve() as caller:
        assert refusal(await caller.data(SUMMARY, token)) == refused


@pytest.mark.parametrize(("body", "errcode"), [(b"", 44002), (b"{", 47001), (b"null", 47001), (b"{}", 61500)])
async def test_body_must_be_an_object(body: bytes, errcode: int) -> None:
    async with serve() as caller:
        answer = await caller.post(SUMMARY, body, access_token=await caller.token())
    assert refusal(answer)[0] == errcode


async def test_only_post_is_answered() -> None:
    async with serve() as caller:
        assert refusal(await caller.get(SUMMARY, access_token=await caller.token()))[0] == 43002


async def test_daily_limit_is_by_dataset(clock: FakeClock) -> None:
    """It counts by account, dataset and Beijing day."""
    async with serve(clock=clock.now, limits=Limits(daily=2)) as caller:
        mine, other = [await caller.token(account) for account in WORLD.accounts[:2]]
        assert [await caller.errcode(SUMMARY, mine) for _ in range(3)] == [0, 0, 45009]
        assert [await caller.errcode(CUMULATE, mine), await caller.errcode(SUMMARY, other)] == [0, 0]
        clock.instant = datetime(2026, 11, 24, 16, tzinfo=UTC)  # midnight in Beijing
        assert await caller.errcode(SUMMARY, await caller.token()) == 0


async def test_minute_limit_is_by_account(clock: FakeClock) -> None:
    """It counts both datasets of an account together."""
    async with serve(clock=clock.now, limits=Limits(minute=2)) as caller:
        mine, other = [await caller.token(account) for account in WORLD.accounts[:2]]
        assert [await caller.errcode(path, mine) for path in (SUMMARY, CUMULATE, SUMMARY)] == [0, 0, 45011]
        assert await caller.errcode(SUMMARY, other) == 0
        clock.instant += timedelta(seconds=50)
        assert await caller.errcode(SUMMARY, mine) == 0


async def test_quota_counts_calls() -> None:
    async with serve(limits=Limits(daily=10, minute=5)) as caller:
        token = await caller.token()
        await caller.data(SUMMARY, token)
        answers = [
            await caller.post("/cgi-bin/openapi/quota/get", {"cgi_path": path}, access_token=token)
            for path in (SUMMARY, "/cgi-bin/nothing")
        ]
    assert answers[0] == {
        "errcode": 0,
        "errmsg": "ok",
        "quota": {"daily_limit": 10, "used": 1, "remain": 9},
        "rate_limit": {"call_count": 5, "refresh_second": 60},
    }
    assert refusal(answers[1]) == (76021, "cgi_path not found")


async def test_revised_days_are_provisional(clock: FakeClock) -> None:
    world = World(seed=7, size=1, revised_for_days=2)
    appid = world.accounts[0].appid
    async with serve(world, clock=clock.now) as caller:
        shown = await caller.data(CUMULATE, await caller.token(), ("2026-11-21", YESTERDAY))
        clock.instant += timedelta(days=2)
        final = await caller.data(CUMULATE, await caller.token(), ("2026-11-21", YESTERDAY))
    truth = [world.cumulate(appid, date(2026, 11, day)) for day in (21, 22, 23)]
    assert [row["cumulate_user"] for row in final["list"]] == truth
    assert shown["list"][0] == final["list"][0]
    assert shown["list"][2]["cumulate_user"] < final["list"][2]["cumulate_user"]
