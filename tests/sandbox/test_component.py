from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sandbox.caller import CUMULATE, SUMMARY, WORLD, refusal, serve
from support import FakeClock

from collector.sandbox import Faults, World
from collector.sandbox.faults import Gap

COMPONENT = WORLD.component
ACCOUNT = WORLD.accounts[1]
MIXED = World(seed=7, size=6, mini_programs=2)
MINI = MIXED.mini_program_appids[0]


async def test_authorizer_token_opens_datasets() -> None:
    async with serve() as caller:
        assert (await caller.log_in())["expires_in"] == 7200
        answer = await caller.authorizer(await caller.component_token(), ACCOUNT.appid)
        token = answer.pop("authorizer_access_token")
        assert answer == {"expires_in": 7200, "authorizer_refresh_token": WORLD.refresh_token(ACCOUNT.appid)}
        assert await caller.errcode(SUMMARY, token) == 0
        assert caller.sandbox.calls[-1].appid == ACCOUNT.appid


async def test_authorizer_token_without_a_secret() -> None:
    async with serve(faults=Faults(broken={ACCOUNT.appid: 40243})) as caller:
        answer = await caller.authorizer(await caller.component_token(), ACCOUNT.appid)
        assert await caller.errcode(SUMMARY, answer["authorizer_access_token"]) == 0


@pytest.mark.parametrize(
    ("field", "errcode"),
    [("component_appid", 61011), ("component_appsecret", 40125), ("component_verify_ticket", 61006)],
)
async def test_wrong_credentials_are_refused(field: str, errcode: int) -> None:
    async with serve() as caller:
        assert refusal(await caller.log_in(**{field: "x"}))[0] == errcode


async def test_list_comes_in_pages() -> None:
    world = World(seed=7, size=5)
    async with serve(world) as caller:
        token = await caller.component_token()
        pages = [await caller.listed(token, offset, 3) for offset in (0, 3, 6)]
    assert [page["total_count"] for page in pages] == [5, 5, 5]
    assert [[row["authorizer_appid"] for row in page["list"]] for page in pages] == [
        [account.appid for account in world.accounts[:3]],
        [account.appid for account in world.accounts[3:]],
        [],
    ]
    entry = pages[0]["list"][1]
    assert 1_500_000_000 <= entry.pop("auth_time") < 1_600_000_000
    assert entry == {"authorizer_appid": ACCOUNT.appid, "refresh_token": WORLD.refresh_token(ACCOUNT.appid)}


async def test_list_with_mini_programs() -> None:
    async with serve(MIXED) as caller:
        page = await caller.listed(await caller.component_token())
    appids = [row["authorizer_appid"] for row in page["list"]]
    assert page["total_count"] == 8
    assert [appid in MIXED.mini_program_appids for appid in appids] == [*[False] * 2, True, *[False] * 3, True, False]


async def test_list_of_1200_accounts() -> None:
    """Three pages, with each account once."""
    world = World(seed=7, size=900, mini_programs=300)
    async with serve(world) as caller:
        token = await caller.component_token()
        pages = [await caller.listed(token, offset) for offset in (0, 500, 1000)]
    assert [(page["total_count"], len(page["list"])) for page in pages] == [(1200, 500), (1200, 500), (1200, 200)]
    appids = [row["authorizer_appid"] for page in pages for row in page["list"]]
    assert sorted(appids) == sorted([*world.account_of, *world.mini_program_appids])


@pytest.mark.parametrize(("offset", "count"), [(0, 501), (0, 0), (-1, 1), (0, None), ("0", 1)])
async def test_page_has_1_to_500_accounts(offset: object, count: object) -> None:
    """A page has 1 to 500 accounts."""
    async with serve() as caller:
        token = await caller.component_token()
        answer = await caller.component("api_get_authorizer_list", token, offset=offset, count=count)
    assert refusal(answer)[0] == 61451


async def test_info_of_an_account() -> None:
    async with serve() as caller:
        answer = await caller.info(await caller.component_token(), ACCOUNT.appid)
    assert answer["authorizer_info"].pop("service_type_info")["id"] in (0, 1, 2)
    assert answer == {
        "authorizer_info": {"nick_name": ACCOUNT.name, "verify_type_info": {"id": 0}},
        "authorization_info": {
            "authorizer_appid": ACCOUNT.appid,
            "authorizer_refresh_token": WORLD.refresh_token(ACCOUNT.appid),
            "func_info": [{"funcscope_category": {"id": 2}}],
        },
    }


async def test_info_of_a_mini_program() -> None:
    async with serve(MIXED) as caller:
        answer = await caller.info(await caller.component_token(), MINI)
    assert answer == {
        "authorizer_info": {
            "nick_name": "mini-00000",
            "service_type_info": {"id": 0},
            "verify_type_info": {"id": 0},
            "MiniProgramInfo": {"network": {}, "categories": [], "visit_status": 0},
        },
        "authorization_info": {
            "authorizer_appid": MINI,
            "authorizer_refresh_token": MIXED.refresh_token(MINI),
            "func_info": [{"funcscope_category": {"id": 18}}],
        },
    }


async def test_service_types_dont_distinguish() -> None:
    """They don't distinguish accounts from mini programs."""
    world = World(size=20)
    async with serve(world) as caller:
        token = await caller.component_token()
        infos = [(await caller.info(token, account.appid))["authorizer_info"] for account in world.accounts]
    assert {info["service_type_info"]["id"] for info in infos} == {0, 1, 2}


async def test_nick_names_are_the_owners() -> None:
    """Two accounts can have the same, and one none."""
    first, second, third, fourth = (account.appid for account in WORLD.accounts)
    world = World(seed=7, size=4, nick_names=((first, "花店"), (second, "花店"), (third, "")))
    async with serve(world) as caller:
        token = await caller.component_token()
        infos = [await caller.info(token, appid) for appid in (first, second, third, fourth)]
    assert [info["authorizer_info"]["nick_name"] for info in infos] == ["花店", "花店", "", "client-00003"]


async def test_mini_program_has_no_datasets() -> None:
    async with serve(MIXED) as caller:
        answer = await caller.authorizer(await caller.component_token(), MINI)
        token = answer["authorizer_access_token"]
        refused = [refusal(await caller.data(path, token)) for path in (SUMMARY, CUMULATE)]
    assert refused == [(48001, "api unauthorized")] * 2


@pytest.mark.parametrize(
    ("fields", "errcode"),
    [
        ({"authorizer_appid": "wx0000000000000000"}, 61003),
        ({"authorizer_refresh_token": "x"}, 61023),
        ({"component_appid": "x"}, 61011),
    ],
)
async def test_wrong_authorisation_is_refused(fields: dict[str, str], errcode: int) -> None:
    right = {"authorizer_appid": ACCOUNT.appid, "authorizer_refresh_token": WORLD.refresh_token(ACCOUNT.appid)}
    async with serve() as caller:
        answer = await caller.component("api_authorizer_token", await caller.component_token(), **{**right, **fields})
    assert refusal(answer)[0] == errcode


async def test_tokens_of_the_other_kind() -> None:
    async with serve() as caller:
        account, component = await caller.token(), await caller.component_token()
        refused = await caller.authorizer(account, ACCOUNT.appid)
        assert refusal(refused)[0] == 40001
        assert await caller.errcode(SUMMARY, component) == 40001


async def test_component_token_is_replaced(clock: FakeClock) -> None:
    async with serve(clock=clock.now) as caller:
        first, second = await caller.component_token(), await caller.component_token()
        clock.instant += timedelta(seconds=300)
        answers = [await caller.authorizer(token, ACCOUNT.appid) for token in (first, second)]
    assert refusal(answers[0])[0] == 40001
    assert "authorizer_access_token" in answers[1]


async def test_list_without_refresh_tokens() -> None:
    """The list lacks refresh tokens that the info call has."""
    world, faults = World(size=40, mini_programs=10), Faults(list_gaps=0.5)
    async with serve(world, faults=faults) as caller:
        token = await caller.component_token()
        entries = {row["authorizer_appid"]: row for row in (await caller.listed(token))["list"]}
        gaps = {appid: row.get("refresh_token") for appid, row in entries.items() if not row.get("refresh_token")}
        infos = {appid: (await caller.info(token, appid))["authorization_info"] for appid in gaps}
        assert gaps == {
            appid: "" if gap is Gap.EMPTY else None for appid in world.authorizers if (gap := faults.list_gap(appid))
        }
        assert 15 < len(gaps) < 35
        assert set(gaps.values()) == {"", None}
        for appid, info in infos.items():
            assert info["authorizer_refresh_token"] == caller.sandbox.refresh_token(appid)


@given(st.integers(0, 2**32), st.text())
def test_list_gap_rates(seed: int, appid: str) -> None:
    """1 is all entries, 0 none."""
    assert Faults(seed=seed, list_gaps=1.0).list_gap(appid) is not None
    assert Faults(seed=seed).list_gap(appid) is None


@pytest.mark.parametrize(("ends_at", "sizes"), [(0, [0, 0, 0]), (2, [2, 0, 0]), (3, [2, 1, 0]), (9, [2, 2, 1])])
async def test_list_can_end_early(ends_at: int, sizes: list[int]) -> None:
    """The list ends early although the total is larger."""
    async with serve(World(size=5), faults=Faults(list_ends_at=ends_at)) as caller:
        token = await caller.component_token()
        pages = [await caller.listed(token, offset, 2) for offset in (0, 2, 4)]
    assert [page["total_count"] for page in pages] == [5, 5, 5]
    assert [len(page["list"]) for page in pages] == sizes


async def test_list_shrinks_once() -> None:
    """One reading has and counts fewer accounts, the next has all; none loses its authorisation."""
    async with serve(World(size=5)) as caller:
        token = await caller.component_token()
        caller.sandbox.shrink_list(3)
        shrunk, whole = [[await caller.listed(token, offset, 2) for offset in (0, 2, 4)] for _ in range(2)]
        last = caller.sandbox.world.accounts[4].appid
        assert "authorizer_info" in await caller.info(token, last)
    assert [(page["total_count"], len(page["list"])) for page in shrunk] == [(3, 2), (3, 1), (3, 0)]
    assert [(page["total_count"], len(page["list"])) for page in whole] == [(5, 2), (5, 2), (5, 1)]


@pytest.mark.parametrize("fields", [{}, {"component_appid": "x"}, {"component_verify_ticket": None}])
async def test_stale_ticket_gets_no_token(fields: dict[str, object]) -> None:
    async with serve(faults=Faults(stale_ticket=True)) as caller:
        assert refusal(await caller.log_in(**fields)) == (61006, "component ticket is invalid")


async def test_renewed_ticket_ends_the_last_one() -> None:
    async with serve() as caller:
        caller.sandbox.renew_ticket()
        stale = await caller.log_in()
        current = await caller.log_in(component_verify_ticket=WORLD.verify_ticket(2))
    assert refusal(stale) == (61005, "component ticket is expired")
    assert current["expires_in"] == 7200


async def test_component_tokens_end_at_once() -> None:
    async with serve() as caller:
        tokens = [await caller.component_token() for _ in range(2)]
        account = (await caller.authorizer(tokens[1], ACCOUNT.appid))["authorizer_access_token"]
        caller.sandbox.end_component_token()
        refused = [refusal(await caller.listed(token))[0] for token in tokens]
        again = await caller.listed(await caller.component_token())
        assert refused == [40001, 40001]
        assert again["total_count"] == 4
        assert await caller.errcode(SUMMARY, account) == 0
