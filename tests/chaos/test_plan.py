"""A storm depends on its seed alone, and is known before anything runs."""

from __future__ import annotations

from datetime import timedelta

from chaos.plan import LENGTH_S, RATES, Way, What, draw

from collector.model.days import BEIJING
from collector.sandbox import Fault, TokenServerFault

PLANS = [draw(seed) for seed in range(60)]


def test_seed_decides_the_storm() -> None:
    assert [draw(seed) for seed in range(60)] == PLANS
    assert len({repr(plan) for plan in PLANS}) == len(PLANS)


def test_every_kind_of_fault_is_planned() -> None:
    assert {event.what for plan in PLANS for event in plan.events} == set(What)
    assert {fault for plan in PLANS for fault, rate in plan.faults.rates if rate} == set(Fault) == set(RATES)
    assert {fault for plan in PLANS for fault in plan.faults.token_server.values()} == set(TokenServerFault)
    assert any(plan.faults.broken for plan in PLANS)
    assert any(plan.faults.late_yesterday for plan in PLANS)


def test_configurations_differ() -> None:
    assert {way for plan in PLANS for way in plan.ways} == set(Way)
    for name in ("backfill", "discovers", "workers", "rate_limit", "daily_calls", "two_hosts", "limits"):
        assert len({getattr(plan, name) for plan in PLANS}) > 1, name
    assert {len(plan.slow) for plan in PLANS} == {0, 1}
    assert {len(plan.proxied) for plan in PLANS} == {0, 1, 2, 3}


def test_some_begin_just_before_a_border() -> None:
    """Some storms begin seconds before midnight or the hour of publication."""
    locals_ = [plan.begins.astimezone(BEIJING) for plan in PLANS]
    for hour in (0, 8):
        borders = [local.replace(hour=hour, minute=0, second=0) + timedelta(days=hour == 0) for local in locals_]
        assert any(
            timedelta(0) < border - local < timedelta(seconds=LENGTH_S)
            for border, local in zip(borders, locals_, strict=True)
        )


def test_events_are_sorted_and_within_the_storm() -> None:
    for plan in PLANS:
        times = [event.at_s for event in plan.events]
        assert times == sorted(times)
        assert 0 < times[0] <= times[-1] <= LENGTH_S
