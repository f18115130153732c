from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.sandbox import Truth, World
from collector.sandbox.world import FIRST_DAY

ONE_DAY = timedelta(days=1)
DAYS = st.dates(FIRST_DAY, date(2030, 12, 31))
SEEDS = st.integers(0, 2**32)


def year(world: World) -> Iterator[tuple[str, date, Truth]]:
    """Every account and day of 2025."""
    for account in world.accounts:
        for n in range(365):
            day = date(2025, 1, 1) + ONE_DAY * n
            yield account.appid, day, world.truth(account.appid, day)


@given(SEEDS, SEEDS)
def test_accounts_follow_from_the_seed(seed: int, other: int) -> None:
    few, many = World(seed=seed, size=2).accounts, World(seed=seed, size=3).accounts
    assert few == many[:2]
    assert (few[0].appid == World(seed=other, size=1).accounts[0].appid) == (seed == other)


@given(SEEDS, st.integers(1, 40))
def test_credentials_have_wechats_form(seed: int, size: int) -> None:
    """They have WeChat's form and are unique."""
    accounts = World(seed=seed, size=size).accounts
    assert all(
        account.appid[:2] == "wx" and len(bytes.fromhex(account.appid[2:])) == 8 and len(account.secret) == 32
        for account in accounts
    )
    assert len({account.appid for account in accounts} | {account.name for account in accounts}) == 2 * size


@given(SEEDS, st.integers(0, 20), st.integers(0, 20))
def test_mini_programs_change_no_account(seed: int, size: int, minis: int) -> None:
    world = World(seed=seed, size=size, mini_programs=minis)
    appids = [account.appid for account in world.accounts]
    assert world.accounts == World(seed=seed, size=size).accounts
    assert [appid for appid in world.authorizers if appid in world.account_of] == appids
    assert len({*appids, *world.mini_program_appids}) == len(world.authorizers) == size + minis
    assert set(world.authorizers) == {*appids, *world.mini_program_appids}


@given(SEEDS, st.integers(0, 5))
def test_mini_programs_follow_from_the_seed(seed: int, minis: int) -> None:
    few, more = (World(seed=seed, mini_programs=count).mini_program_appids for count in (minis, minis + 1))
    assert few == more[:minis]
    assert all(appid[:2] == "wx" and len(bytes.fromhex(appid[2:])) == 8 for appid in more)


def test_mini_program_has_no_figures() -> None:
    world = World(mini_programs=1)
    with pytest.raises(KeyError):
        world.truth(world.mini_program_appids[0], date(2025, 1, 1))


def test_nick_names_default_to_names() -> None:
    plain = World(size=2, mini_programs=1)
    first, second = (account.appid for account in plain.accounts)
    (mini,) = plain.mini_program_appids
    named = replace(plain, nick_names=((second, ""), (mini, "client-00000")))
    assert [plain.nick_name(appid) for appid in (first, second, mini)] == ["client-00000", "client-00001", "mini-00000"]
    assert [named.nick_name(appid) for appid in (first, second, mini)] == ["client-00000", "", "client-00000"]
    assert hash(named) != hash(plain)


@given(SEEDS, SEEDS)
def test_token_server_key_follows_the_seed(seed: int, other: int) -> None:
    assert len(bytes.fromhex(World(seed=seed).token_server_key)) == 16
    assert (World(seed=seed).token_server_key == World(seed=other).token_server_key) == (seed == other)


@given(SEEDS, DAYS, st.randoms())
def test_day_is_the_same_in_any_order(seed: int, day: date, random: object) -> None:
    """No figure depends on what was asked before."""
    fresh, used = World(seed=seed, size=1), World(seed=seed, size=1)
    appid = fresh.accounts[0].appid
    for n in (40, 3, 1):
        used.truth(appid, day - ONE_DAY * n)
    assert fresh.truth(appid, day) == used.truth(appid, day)


@given(SEEDS, DAYS.filter(lambda day: day > FIRST_DAY))
def test_cumulate_adds_up(seed: int, day: date) -> None:
    world = World(seed=seed, size=3)
    for account in world.accounts:
        truth, before = world.truth(account.appid, day), world.cumulate(account.appid, day - ONE_DAY)
        assert before is not None
        assert truth.cumulate_user == before + truth.net_user


@given(SEEDS, DAYS)
def test_rows_by_source(seed: int, day: date) -> None:
    """One row a source, and no negative figure."""
    world = World(seed=seed, size=3)
    for account in world.accounts:
        rows = world.summary(account.appid, day)
        assert all(row.keys() == {"ref_date", "user_source", "new_user", "cancel_user"} for row in rows)
        assert all(row["ref_date"] == day.isoformat() for row in rows)
        assert all(int(row["new_user"]) >= 0 and int(row["cancel_user"]) >= 0 for row in rows)
        assert len({row["user_source"] for row in rows}) == len(rows)
        assert (world.cumulate(account.appid, day) or 0) > 0


@given(SEEDS, st.dates(date(2000, 1, 1), FIRST_DAY - ONE_DAY))
def test_nothing_before_december_2014(seed: int, day: date) -> None:
    world = World(seed=seed, size=1)
    assert world.truth(world.accounts[0].appid, day) == Truth((), None)


def test_days_have_all_recorded_shapes() -> None:
    """The days have all recorded shapes."""
    shapes = set()
    for _, _, truth in year(World(size=8)):
        sources = [row["user_source"] for row in truth.rows]
        shapes.add(
            "sparse"
            if not sources
            else "zeros"
            if sources == [0] and truth.new_user == truth.cancel_user == 0
            else "churn"
            if truth.net_user == 0
            else "without source 0"
            if 0 not in sources
            else "unknown source"
            if {10, 11} & set(sources)
            else "several sources"
            if len(sources) > 1
            else "one source"
        )
    assert shapes == {"sparse", "zeros", "churn", "without source 0", "unknown source", "several sources", "one source"}


def test_keys_come_in_any_order() -> None:
    assert len({tuple(row) for _, _, truth in year(World(size=2)) for row in truth.rows}) == 3


@given(SEEDS, DAYS, st.integers(1, 400), st.sampled_from([0.0, 0.9]))
def test_birth_begins_with_its_net(seed: int, birth: date, later: int, lost_days: float) -> None:
    """The first total is the net of that day."""
    world = World(seed=seed, size=2, births=(birth,), lost_days=lost_days)
    young, old = (account.appid for account in world.accounts)
    first, before = (world.truth(young, birth + ONE_DAY * n) for n in (0, -1))
    assert before == Truth((), None)
    assert first.cumulate_user == first.net_user > 0
    assert world.truth(old, birth + ONE_DAY * later) == replace(world, births=()).truth(old, birth + ONE_DAY * later)


@given(SEEDS, DAYS)
def test_days_after_a_birth_add_up(seed: int, birth: date) -> None:
    world = World(seed=seed, size=1, births=(birth, FIRST_DAY))
    appid = world.accounts[0].appid
    total = sum(world.truth(appid, birth + ONE_DAY * n).net_user for n in range(30))
    assert world.cumulate(appid, birth + ONE_DAY * 29) == total


def test_lost_days_change_no_other_day() -> None:
    """They are in no dataset and change no other day."""
    plain, holed = World(size=3), World(size=3, lost_days=0.1)
    lost = 0
    for appid, day, truth in year(plain):
        seen = holed.truth(appid, day)
        lost += seen.cumulate_user is None
        assert seen in (truth, Truth((), None))
    assert lost == pytest.approx(0.1 * 3 * 365, rel=0.3)


def test_truth_sums_and_sorts() -> None:
    rows: list[dict[str, int | str]] = [
        {"user_source": 30, "ref_date": "2026-11-23", "cancel_user": 0, "new_user": 15},
        {"ref_date": "2026-11-23", "user_source": 0, "new_user": 3, "cancel_user": 5},
    ]
    truth = Truth(tuple(rows), 1217056)
    assert (truth.new_user, truth.cancel_user, truth.net_user) == (18, 5, 13)
    assert truth.sources == [
        {"user_source": 0, "new_user": 3, "cancel_user": 5},
        {"user_source": 30, "new_user": 15, "cancel_user": 0},
    ]


def test_unknown_appid_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        World(size=1).truth("wx0000000000000000", date(2025, 1, 1))


def test_secrets_do_not_print() -> None:
    world = World(size=1)
    component = world.component
    printed = repr((world.accounts, component))
    assert not [
        text for text in (world.accounts[0].secret, component.secret, component.verify_ticket) if text in printed
    ]
