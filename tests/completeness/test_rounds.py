import random
from collections.abc import Sequence
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.completeness.rounds import JITTER, MAX_BETWEEN_ALL_S, MIN_BETWEEN_ALL_S, PROBES, ROUND_S, Pending, Rounds

UNTIL_S = 100_000.0
MIN_ROUND_S, MAX_ROUND_S = ROUND_S * (1 - JITTER), ROUND_S * (1 + JITTER)


def _rounds(*, random_number: float = 0.5) -> Rounds:
    return Rounds(UNTIL_S, lambda: random_number)


def _asked_all(*, asked: int = 100, came: int = 0) -> Rounds:
    rounds = _rounds()
    rounds.note_all(0, asked=asked, came=came)
    return rounds


def test_first_round_asks_all() -> None:
    assert _rounds().must_ask_all(0)


def test_all_are_asked_once_an_hour() -> None:
    rounds = _asked_all()
    assert not rounds.must_ask_all(MAX_BETWEEN_ALL_S - 1)
    assert rounds.must_ask_all(MAX_BETWEEN_ALL_S)


def test_day_of_a_probe_lets_all_be_asked() -> None:
    rounds = _asked_all()
    rounds.note_probes(came=1)
    assert not rounds.must_ask_all(MIN_BETWEEN_ALL_S - 1)
    assert rounds.must_ask_all(MIN_BETWEEN_ALL_S)


def test_probes_without_a_day_change_nothing() -> None:
    rounds = _asked_all()
    rounds.note_probes(came=0)
    assert not rounds.must_ask_all(MIN_BETWEEN_ALL_S)


def test_later_probe_takes_no_day_back() -> None:
    rounds = _asked_all()
    rounds.note_probes(came=1)
    rounds.note_probes(came=0)
    assert rounds.must_ask_all(MIN_BETWEEN_ALL_S)


@pytest.mark.parametrize(("came", "one_by_one"), [(0, False), (1, True), (19, True), (20, False), (100, False)])
def test_days_that_come_one_by_one(came: int, *, one_by_one: bool) -> None:
    """Probes would find them too late; after a wave, and before the first day, they are enough."""
    assert _asked_all(came=came).must_ask_all(MIN_BETWEEN_ALL_S) is one_by_one


@given(st.floats(0, 1, exclude_max=True))
def test_ten_minutes_between_two_rounds(number: float) -> None:
    rounds = _rounds(random_number=number)
    rounds.note_all(0, asked=100, came=0)
    assert MIN_ROUND_S <= rounds.next_s(0) <= MAX_ROUND_S


def test_round_comes_when_all_may_be_asked() -> None:
    """Else it would come up to ten minutes later."""
    rounds = _asked_all()
    rounds.note_probes(came=1)
    assert rounds.next_s(MIN_BETWEEN_ALL_S - 10) == MIN_BETWEEN_ALL_S
    assert _asked_all().next_s(MAX_BETWEEN_ALL_S - 10) == MAX_BETWEEN_ALL_S


@pytest.mark.parametrize("now_s", [MAX_BETWEEN_ALL_S, MAX_BETWEEN_ALL_S + 1])
def test_skipped_round_is_tried_again_ten_minutes_later(now_s: float) -> None:
    assert MIN_ROUND_S <= _asked_all().next_s(now_s) - now_s <= MAX_ROUND_S


def test_last_round_is_at_the_end() -> None:
    rounds = _asked_all()
    rounds.note_all(UNTIL_S - 20, asked=100, came=0)
    assert rounds.next_s(UNTIL_S - 10) == UNTIL_S
    assert (rounds.is_over(UNTIL_S - 1), rounds.is_over(UNTIL_S)) == (False, True)


PENDING = st.dictionaries(
    st.text("ab", max_size=9), st.builds(Pending, st.dates(date(2014, 12, 1), date(2026, 1, 1)), st.integers(0, 10**7))
)


@given(PENDING, st.floats(0, 1, exclude_max=True))
def test_probes_are_a_few_of_the_pending(pending: dict[str, Pending], number: float) -> None:
    probes = _rounds(random_number=number).probes(pending)
    assert probes <= pending.keys()
    assert min(len(pending), PROBES // 2) <= len(probes) <= PROBES


@pytest.mark.parametrize("number", [n / 10 for n in range(10)])
def test_probes_are_spread_over_ages_and_sizes(number: float) -> None:
    """Each quarter of the ages and each of the sizes has one, whatever the appids are."""
    draw = random.Random(1)
    sizes = draw.sample(range(400), 400)
    pending = {f"{draw.random()}": Pending(date(2015, 1, 1) + timedelta(n), sizes[n]) for n in range(400)}
    probes = _rounds(random_number=number).probes(pending)
    ages = {(pending[appid].oldest - date(2015, 1, 1)).days // 100 for appid in probes}
    assert (ages, {pending[appid].followers // 100 for appid in probes}) == ({0, 1, 2, 3}, {0, 1, 2, 3})


def test_each_round_has_other_probes() -> None:
    pending = {str(n): Pending(date(2015, 1, 1), n) for n in range(1000)}
    rounds = Rounds(UNTIL_S, random.Random(1).random)
    assert len({rounds.probes(pending) for _ in range(10)}) == 10


def _morning(published_s: Sequence[int], seed: int) -> tuple[list[float], float]:
    """Play a morning of four hours, in which accounts' days are published at these seconds.

    Return the seconds from each account's publication until it is stored, and the mean number of vain calls.
    """
    rounds = Rounds(240 * 60, random.Random(seed).random)
    pending = {str(n): Pending(date(2015, 1, 1), n) for n in range(len(published_s))}
    stored_s: dict[str, float] = {}
    calls = 0

    def ask(appids: frozenset[str], now_s: float) -> int:
        nonlocal calls
        calls += len(appids)
        there = {appid for appid in appids if published_s[int(appid)] <= now_s}
        stored_s.update(dict.fromkeys(there, now_s))
        for appid in there:
            del pending[appid]
        return len(there)

    now_s = 0.0
    while pending and not rounds.is_over(now_s):
        if not rounds.must_ask_all(now_s):
            rounds.note_probes(came=ask(rounds.probes(pending), now_s))
        if rounds.must_ask_all(now_s) and pending:
            asked = len(pending)
            rounds.note_all(now_s, asked=asked, came=ask(frozenset(pending), now_s))
        now_s = rounds.next_s(now_s)
    calls += len(pending)
    late_s = [stored_s.get(str(n), 240 * 60) - at_s for n, at_s in enumerate(published_s)]
    return late_s, calls / len(published_s) - 1


@pytest.mark.parametrize(("waves", "minutes", "vain_calls"), [(1, 25, 3), (2, 25, 3), (3, 25, 3), (None, 30, 8)])
def test_mornings(waves: int | None, minutes: int, vain_calls: float) -> None:
    """Of 50 mornings, 99 % of the days are stored in time, with few calls in vain: in waves, or one by one."""
    late_s: list[float] = []
    vain = 0.0
    for seed in range(50):
        draw = random.Random(seed)
        at_s = [draw.randrange(240) * 60 for _ in range(waves or 1000)]
        more_late_s, more_vain = _morning([draw.choice(at_s) for _ in range(1000)] if waves else at_s, seed)
        late_s += more_late_s
        vain += more_vain
    assert sum(each > 60 * minutes for each in late_s) <= len(late_s) / 100
    assert vain / 50 <= vain_calls
