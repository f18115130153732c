from datetime import timedelta

import pytest
from sandbox.caller import SUMMARY, WORLD, refusal, serve
from support import FakeClock

from collector.sandbox import Limits
from collector.sandbox.question import RefusalError
from collector.sandbox.tokens import Kind, Tokens


def later(clock: FakeClock, seconds: float) -> None:
    clock.instant += timedelta(seconds=seconds)


async def test_stable_token_is_the_same(clock: FakeClock) -> None:
    """The same token, with the rest of its lifetime."""
    async with serve(clock=clock.now) as caller:
        first = await caller.stable()
        later(clock, 6899)
        second = await caller.stable(force_refresh=False)
    assert first == {"access_token": second["access_token"], "expires_in": 7200}
    assert second["expires_in"] == 301


async def test_stable_renewal(clock: FakeClock) -> None:
    """Five minutes before the end there is a new token, and both are valid."""
    async with serve(clock=clock.now) as caller:
        first = await caller.token()
        later(clock, 6900)
        second = await caller.token()
        assert first != second
        later(clock, 299)
        assert [await caller.errcode(SUMMARY, token) for token in (first, second)] == [0, 0]
        later(clock, 1)
        assert [await caller.errcode(SUMMARY, token) for token in (first, second)] == [42001, 0]


async def test_forced_token_ends_the_last_one(clock: FakeClock) -> None:
    async with serve(clock=clock.now) as caller:
        first = await caller.token()
        second = (await caller.stable(force_refresh=True))["access_token"]
        assert [await caller.errcode(SUMMARY, token) for token in (first, second)] == [40001, 0]
        assert await caller.token() == second


async def test_forcing_within_30_seconds(clock: FakeClock) -> None:
    async with serve(clock=clock.now) as caller:
        await caller.stable(force_refresh=True)
        later(clock, 29)
        refused = await caller.stable(force_refresh=True)
        later(clock, 1)
        again = await caller.stable(force_refresh=True)
    assert refusal(refused)[0] == 45011
    assert again["expires_in"] == 7200


async def test_forcing_20_times_a_day(clock: FakeClock) -> None:
    async with serve(clock=clock.now) as caller:
        for _ in range(20):
            assert "access_token" in await caller.stable(force_refresh=True)
            later(clock, 30)
        assert refusal(await caller.stable(force_refresh=True))[0] == 45009
        later(clock, 14 * 3600)
        assert "access_token" in await caller.stable(force_refresh=True)


async def test_classic_token_ends_after_a_grace(
    clock: FakeClock,
) -> None:
    """The next token ends the one before after a grace, and no stable one."""
    async with serve(clock=clock.now) as caller:
        stable = await caller.token()
        first, second = [(await caller.classic())["access_token"] for _ in range(2)]
        later(clock, 299)
        assert [await caller.errcode(SUMMARY, token) for token in (stable, first, second)] == [0, 0, 0]
        later(clock, 1)
        assert [await caller.errcode(SUMMARY, token) for token in (stable, first, second)] == [0, 40001, 0]


async def test_classic_token_without_a_grace(clock: FakeClock) -> None:
    async with serve(clock=clock.now, limits=Limits(classic_grace_s=0)) as caller:
        first, second = [(await caller.classic())["access_token"] for _ in range(2)]
        assert [await caller.errcode(SUMMARY, token) for token in (first, second)] == [40001, 0]


async def test_third_classic_token(clock: FakeClock) -> None:
    """It gives the first one no longer life."""
    async with serve(clock=clock.now) as caller:
        first = (await caller.classic())["access_token"]
        await caller.classic()
        later(clock, 200)
        await caller.classic()
        later(clock, 100)
        assert await caller.errcode(SUMMARY, first) == 40001


def test_grace_after_a_revocation() -> None:
    tokens = Tokens(Limits())
    first = tokens.replace("wx", Kind.CLASSIC, 0)
    tokens.revoke(first.text, 1, still_offered=False)
    second = tokens.replace("wx", Kind.CLASSIC, 2)
    assert tokens.find(second.text, 3) == second
    with pytest.raises(RefusalError, match="40001"):
        tokens.find(first.text, 3)


async def test_old_tokens_are_forgotten(clock: FakeClock) -> None:
    async with serve(clock=clock.now) as caller:
        tokens = [(await caller.classic())["access_token"] for _ in range(4)]
        assert [await caller.errcode(SUMMARY, token) for token in tokens] == [40001, 0, 0, 0]


async def test_classic_daily_limit(clock: FakeClock) -> None:
    async with serve(clock=clock.now, limits=Limits(token_calls_daily=2)) as caller:
        answers = [await caller.classic() for _ in range(3)]
        later(clock, 14 * 3600)
        tomorrow = await caller.classic()
    assert refusal(answers[2]) == (45009, "reach max api daily quota limit")
    assert [answer.get("expires_in") for answer in (*answers[:2], tomorrow)] == [7200] * 3


async def test_token_life_can_be_set(clock: FakeClock) -> None:
    async with serve(clock=clock.now, limits=Limits(token_life_s=345)) as caller:
        token = await caller.stable()
        later(clock, 345)
        assert token["expires_in"] == 345
        assert await caller.errcode(SUMMARY, token["access_token"]) == 42001


@pytest.mark.parametrize(
    ("fields", "errcode"),
    [
        ({"grant_type": "password"}, 40002),
        ({"appid": ""}, 41002),
        ({"secret": ""}, 41004),
        ({"appid": "wx0000000000000000"}, 40013),
        ({"secret": "0" * 32}, 40125),
        ({"secret": WORLD.accounts[1].secret}, 40125),
    ],
)
async def test_wrong_credentials_are_refused(fields: dict[str, str], errcode: int) -> None:
    async with serve() as caller:
        answers = await caller.stable(**fields), await caller.classic(**fields)
    assert [refusal(answer)[0] for answer in answers] == [errcode, errcode]


async def test_each_call_has_one_method() -> None:
    async with serve() as caller:
        answers = await caller.get("/cgi-bin/stable_token"), await caller.post("/cgi-bin/token")
    assert [refusal(answer) for answer in answers] == [(43002, "require POST method"), (43001, "require GET method")]


@pytest.mark.parametrize(("body", "errcode"), [(b"", 44002), (b"{", 47001), (b"[]", 47001)])
async def test_stable_call_needs_an_object(body: bytes, errcode: int) -> None:
    async with serve() as caller:
        assert refusal(await caller.post("/cgi-bin/stable_token", body))[0] == errcode
