"""Amounts of work: everything, or the short form of the guard."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Amount:
    """Accounts, weeks of each, and repetitions."""

    accounts: int
    weeks: int = 1
    rounds: int = 1


@dataclass(frozen=True, slots=True)
class Scale:
    """The amounts of the scenarios; `years` is both the long and the short history, each of the same accounts."""

    history: Amount
    tls: Amount
    daily: Amount
    latency: Amount
    rate: Amount
    many: Amount
    years: Amount
    cluster: Amount
    platform: Amount
    read: Amount
    starts: int


ALL_YEARS = 5_000
"""More weeks than WeChat keeps, so that everything is asked for."""

FULL = Scale(
    history=Amount(100, 104, rounds=3),
    tls=Amount(100, 52, rounds=3),
    daily=Amount(1_000, rounds=5),
    latency=Amount(500, 26),
    rate=Amount(100, 26),
    many=Amount(10_000, rounds=3),
    years=Amount(20, ALL_YEARS, rounds=2),
    cluster=Amount(400, 104),
    platform=Amount(100_000),
    read=Amount(10_000, 53, rounds=3),
    starts=9,
)
SHORT = Scale(
    history=Amount(50, 26, rounds=2),
    tls=Amount(50, 26),
    daily=Amount(600, rounds=2),
    latency=Amount(48, 8),
    rate=Amount(20, 8),
    many=Amount(500),
    years=Amount(1, ALL_YEARS),
    cluster=Amount(60, 26),
    platform=Amount(600),
    read=Amount(200, 53),
    starts=3,
)
