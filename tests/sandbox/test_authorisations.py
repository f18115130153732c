"""Clients authorise, authorise again, and withdraw while a sandbox runs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sandbox.caller import SUMMARY, WORLD, Caller, refusal, serve
from support import FakeClock

from collector.sandbox import Sandbox, World
from collector.sandbox.authorisations import Authorisations

APPID = WORLD.accounts[1].appid
UNKNOWN = "wx0000000000000000"


async def listed(caller: Caller) -> list[str]:
    """The appids in the list, whose count is checked."""
    page = await caller.listed(await caller.component_token())
    assert page["total_count"] == len(page["list"])
    return [row["authorizer_appid"] for row in page["list"]]


async def test_authorising_again_ends_the_token(clock: FakeClock) -> None:
    """A new authorisation ends the old refresh token."""
    async with serve(clock=clock.now) as caller:
        old = caller.sandbox.refresh_token(APPID)
        caller.sandbox.authorise(APPID)
        new = caller.sandbox.refresh_token(APPID)
        token = await caller.component_token()
        entry = (await caller.listed(token))["list"][1]
        answers = [await caller.authorizer(token, APPID, refresh_token) for refresh_token in (old, new)]
        info = await caller.info(token, APPID)
    assert old != new
    assert entry == {"authorizer_appid": APPID, "refresh_token": new, "auth_time": int(clock.instant.timestamp())}
    assert refusal(answers[0]) == (61023, "refresh_token is invalid")
    assert answers[1]["authorizer_refresh_token"] == new
    assert info["authorization_info"]["authorizer_refresh_token"] == new


async def test_authorising_again_keeps_tokens() -> None:
    async with serve() as caller:
        token = (await caller.authorizer(await caller.component_token(), APPID))["authorizer_access_token"]
        caller.sandbox.authorise(APPID)
        assert await caller.errcode(SUMMARY, token) == 0


async def test_authorising_changes_one_account() -> None:
    async with serve() as caller:
        before = {appid: caller.sandbox.refresh_token(appid) for appid in WORLD.account_of}
        caller.sandbox.authorise(APPID)
        after = {appid: caller.sandbox.refresh_token(appid) for appid in WORLD.account_of}
    assert {appid for appid in before if before[appid] != after[appid]} == {APPID}


async def test_withdrawal_is_refused() -> None:
    """The account leaves the list and is refused."""
    async with serve() as caller:
        token, refresh_token = await caller.component_token(), caller.sandbox.refresh_token(APPID)
        of_account = (await caller.authorizer(token, APPID))["authorizer_access_token"]
        caller.sandbox.withdraw(APPID)
        answers = [await caller.info(token, APPID), await caller.authorizer(token, APPID, refresh_token)]
        assert await listed(caller) == [appid for appid in WORLD.account_of if appid != APPID]
        assert [refusal(answer)[0] for answer in answers] == [61003, 61003]
        assert await caller.errcode(SUMMARY, of_account) == 61003


async def test_withdrawal_keeps_the_secret() -> None:
    async with serve() as caller:
        caller.sandbox.withdraw(caller.account.appid)
        assert await caller.errcode(SUMMARY, await caller.token()) == 0


async def test_return_gives_a_new_refresh_token() -> None:
    """It gives a refresh token that was never given before."""
    async with serve() as caller:
        before = caller.sandbox.refresh_token(APPID)
        caller.sandbox.withdraw(APPID)
        caller.sandbox.authorise(APPID)
        assert caller.sandbox.refresh_token(APPID) != before
        assert sorted(await listed(caller)) == sorted(WORLD.account_of)


@pytest.mark.parametrize(("authorised", "count"), [(None, 4), (4, 4), (2, 2), (0, 0)])
async def test_authorised_at_the_start(authorised: int | None, count: int) -> None:
    """Only the first accounts, and all mini programs."""
    world = World(seed=7, size=4, mini_programs=3)
    async with serve(world, authorised=authorised) as caller:
        assert sorted(await listed(caller)) == sorted([*list(world.account_of)[:count], *world.mini_program_appids])


async def test_authorisation_can_come_later() -> None:
    async with serve(authorised=1) as caller:
        answer = await caller.info(await caller.component_token(), APPID)
        caller.sandbox.authorise(APPID)
        assert refusal(answer)[0] == 61003
        assert await listed(caller) == [WORLD.accounts[0].appid, APPID]


def test_mini_program_authorises_too() -> None:
    world = World(mini_programs=1)
    sandbox = Sandbox(world)
    (mini,) = world.mini_program_appids
    sandbox.authorise(mini)
    assert sandbox.refresh_token(mini) == world.refresh_token(mini, 2)
    sandbox.withdraw(mini)
    with pytest.raises(KeyError):
        sandbox.refresh_token(mini)


def test_unknown_appid_is_a_key_error() -> None:
    sandbox = Sandbox(WORLD, authorised=1)
    with pytest.raises(KeyError):
        sandbox.authorise(UNKNOWN)
    with pytest.raises(KeyError):
        sandbox.withdraw(APPID)
    with pytest.raises(KeyError):
        sandbox.refresh_token(APPID)


def test_auth_times_follow_from_the_world() -> None:
    first, second = (Authorisations(World(seed=3, size=9, mini_programs=4)).page(0, 99) for _ in range(2))
    assert first == second


@given(
    size=st.integers(0, 12),
    mini_programs=st.integers(0, 6),
    authorised=st.none() | st.integers(0, 12),
    count=st.integers(1, 7),
    events=st.lists(st.tuples(st.booleans(), st.integers(0, 17)), max_size=20),
)
def test_pages_have_each_appid_once(
    size: int, mini_programs: int, authorised: int | None, count: int, events: list[tuple[bool, int]]
) -> None:
    """Together they have each authorised appid exactly once."""
    world = World(size=size, mini_programs=mini_programs)
    authorisations = Authorisations(world, authorised)
    expected = {*list(world.account_of)[:authorised], *world.mini_program_appids}
    for comes, place in events:
        appid = [*world.authorizers, UNKNOWN][place % (len(world.authorizers) + 1)]
        if comes and appid != UNKNOWN:
            authorisations.authorise(appid, 0)
            expected.add(appid)
        elif not comes and appid in expected:
            authorisations.withdraw(appid)
            expected.discard(appid)
    pages = [authorisations.page(begin, begin + count) for begin in range(0, len(authorisations) + count, count)]
    assert sorted(entry.appid for page in pages for entry in page) == sorted(expected)
    assert len(authorisations) == len(expected)


def test_refresh_tokens_do_not_print() -> None:
    authorisations = Authorisations(WORLD)
    assert authorisations[APPID].refresh_token not in repr(authorisations.page(0, 9))
