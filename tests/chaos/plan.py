"""Plan of a storm: drawn from its seed before anything runs, as pure data."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

from collector.model.days import BEIJING, ONE_DAY
from collector.sandbox import Fault, Faults, Limits, TokenServerFault, World

BORDERS = (time(23, 59, 57), time(7, 59, 57), time(11, 59, 57))
"""Three seconds before Beijing's midnight, before the hour of publication, and before a late day appears."""

LENGTH_S = 4.0
WAITED_S = 1.0
"""Seconds after which a signal is sent even without the calls that it waits for."""

LASTING_S = (0.3, 0.6, 1.2, 1.2, 3.0)
"""Maximal seconds for which a fault lasts; a collector in a hurry counts them as ten times as many."""

ALONE_S = 0.9
"""Maximal seconds for which a primary is without the others: after one it steps down by itself."""

OUTAGE_S = 7.0
"""Maximal seconds for which all of MongoDB is unreachable: longer than a collector waits for it."""

SLOW_RATE = "10/s"
"""Rate of a slow account, whose history lasts for several seconds."""

RATES: Mapping[Fault, float] = {
    Fault.SYSTEM_ERROR: 0.05,
    Fault.HTTP_5XX: 0.04,
    Fault.RESET: 0.04,
    Fault.HANG: 0.01,
    Fault.CUT_BODY: 0.04,
    Fault.HTML: 0.04,
    Fault.LIST_NULL: 0.03,
    Fault.TOKEN_REVOKED: 0.03,
    Fault.TOKEN_STUCK: 0.02,
    Fault.DAILY_QUOTA: 0.01,
    Fault.MINUTE_QUOTA: 0.01,
}
ERRCODES = (40125, 40164, 40243, 48001, 50002, 61007, 89503, 89506, 89507, 47009, 12345)
"""Errcodes of broken accounts until the storm is over."""


class Way(StrEnum):
    """Source of an account's tokens."""

    STABLE = "stable"
    CLASSIC = "classic"
    COMPONENT = "component"
    SERVER = "server"
    PLAIN = "plain"


class What(StrEnum):
    """Kinds of events, besides the faults of WeChat itself."""

    KILL = "collector killed"
    STOP = "collector stopped"
    STOP_TWICE = "collector stopped twice"
    FREEZE = "collector frozen"
    MEMBER_KILL = "mongod killed"
    STEP_DOWN = "primary stepped down"
    BEHEAD = "primary killed ahead of the others"
    MONGODB_CUT = "mongod's connections cut"
    MONGODB_REFUSE = "mongod out of reach"
    MONGODB_SLOW = "mongod slow"
    MONGODB_HOLD = "mongod silent"
    WECHAT_CUT = "wechat's connections cut"
    WECHAT_REFUSE = "wechat out of reach"
    WECHAT_SLOW = "wechat slow"
    WECHAT_HOLD = "wechat silent"
    TOKENS_REFUSE = "token server out of reach"
    TOKENS_HOLD = "token server silent"
    JUMP = "clock moved"
    SKEW = "host's clock off"
    PLATFORM = "platform's credentials renewed"
    SHORT_LIST = "platform's list short"


SIGNALS = frozenset({What.KILL, What.STOP, What.STOP_TWICE, What.FREEZE})
"""Events of a collector itself; they come early enough that there is one."""

_WEIGHTS: Mapping[What, float] = dict.fromkeys(What, 1.0) | {What.KILL: 5.0, What.JUMP: 2.0, What.STEP_DOWN: 1.5}
_LEAPS = (timedelta(seconds=61), timedelta(minutes=10), timedelta(hours=2), timedelta(hours=9), ONE_DAY)


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a storm, `at_s` seconds after its beginning, to a `member` of the set (None: to all).

    `for_s` is its duration in seconds, `by` the offset of a clock; a signal waits for so many more `calls`.
    """

    at_s: float
    what: What
    member: int | None
    for_s: float
    by: timedelta
    calls: int


@dataclass(frozen=True, slots=True)
class Plan:
    """One storm.

    `begins` is the instant by WeChat's clock, `pauses` how far that moves after each collector.
    `since` is the oldest day wanted: where `backfill` is on by that command, else by the configuration. `ways` has one
    for each account of `world`; with `discovers`, those of the platform aren't configured but found in its list.
    `slow` has by appid the rates that differ from `rate_limit`; `proxied` are appids of accounts with proxies of their
    own. `daily_calls` None is no budget.
    """

    seed: int
    world: World
    faults: Faults
    limits: Limits
    begins: datetime
    since: date
    backfill: bool
    ways: tuple[Way, ...]
    discovers: bool
    slow: Mapping[str, str]
    proxied: tuple[str, ...]
    workers: int
    rate_limit: str
    daily_calls: int | None
    two_hosts: bool
    pauses: tuple[timedelta, ...]
    events: tuple[Event, ...]


def draw(seed: int) -> Plan:
    """Return the storm of a seed, always the same."""
    dice = random.Random(f"{seed} plan")
    begins = _begins(random.Random(f"{seed} begins"))
    since = begins.astimezone(BEIJING).date() - ONE_DAY * dice.randint(14, 140)
    world = _world(random.Random(f"{seed} world"), seed, since)
    ways = tuple(dice.choices(tuple(Way), (4, 1, 2, 1, 1), k=world.size))
    alone = random.Random(f"{seed} alone")
    appids = [account.appid for account in world.accounts]
    return Plan(
        seed=seed,
        world=world,
        faults=_faults(random.Random(f"{seed} faults"), world, ways),
        limits=Limits(daily=dice.choice((1_000_000, 1_000_000, 40))),
        begins=begins,
        since=since,
        backfill=dice.random() < 0.4,
        ways=ways,
        discovers=alone.random() < 0.5,
        slow={alone.choice(appids): SLOW_RATE} if alone.random() < 0.5 else {},
        proxied=tuple(alone.sample(appids, alone.randrange(4))),
        workers=dice.randint(1, 8),
        rate_limit=dice.choice(("1000/s", "1000/s", "200/s")),
        daily_calls=dice.choice((None, None, 8, 20)),
        two_hosts=dice.random() < 0.5,
        pauses=tuple(timedelta(minutes=dice.choice((0, 5, 60, 300, 900, 1500))) for _ in range(8)),
        events=_events(random.Random(f"{seed} events")),
    )


def _begins(dice: random.Random) -> datetime:
    """Return a beginning; half of them are shortly before something changes."""
    day = date(2026, 1, 1) + ONE_DAY * dice.randrange(700)
    clock = dice.choice(BORDERS) if dice.random() < 0.5 else time(dice.randrange(24), dice.randrange(60))
    return datetime.combine(day, clock, BEIJING).astimezone(UTC)


def _world(dice: random.Random, seed: int, since: date) -> World:
    return World(
        seed=seed,
        size=dice.randint(6, 20),
        births=tuple(since + ONE_DAY * dice.randint(-10, 30) for _ in range(dice.randrange(4))),
        lost_days=dice.choice((0.0, 0.02, 0.05)),
        late_summary=dice.choice((0.0, 0.1, 0.3)),
        revised_for_days=dice.randint(0, 5),
        sparse=dice.random() < 0.7,
        mini_programs=dice.randrange(4),
    )


def _faults(dice: random.Random, world: World, ways: tuple[Way, ...]) -> Faults:
    force = dice.choice((0.7, 1.2, 1.8))
    appids = [account.appid for account in world.accounts]
    served = [appid for appid, way in zip(appids, ways, strict=True) if way in (Way.SERVER, Way.PLAIN)]
    return Faults(
        seed=dice.randrange(1_000_000),
        late_yesterday=dice.choice((0.0, 0.3)),
        broken={dice.choice(appids): dice.choice(ERRCODES) for _ in range(dice.randrange(3))},
        token_server={dice.choice(served): dice.choice(tuple(TokenServerFault))} if served else {},
        list_gaps=dice.choice((0.0, 0.3)),
        **{str(fault): rate * force for fault, rate in RATES.items()},  # type: ignore[arg-type] # rates are floats
    )


def _events(dice: random.Random) -> tuple[Event, ...]:
    drawn = dice.choices(tuple(_WEIGHTS), tuple(_WEIGHTS.values()), k=dice.randint(14, 24))
    return tuple(sorted((_event(dice, what) for what in drawn), key=lambda event: event.at_s))


def _event(dice: random.Random, what: What) -> Event:
    member = dice.choice((None, 0, 1, 2))
    lasting = dice.choice(LASTING_S)
    if what is What.MONGODB_REFUSE and member is None:
        lasting = OUTAGE_S
    if what is What.BEHEAD:
        lasting = ALONE_S
    return Event(
        at_s=round(dice.uniform(0.1, LENGTH_S - WAITED_S if what in SIGNALS else LENGTH_S), 3),
        what=what,
        member=member,
        for_s=round(lasting * dice.uniform(0.2, 1.0), 3),
        by=timedelta(seconds=dice.uniform(-90, 90)) if what is What.SKEW else dice.choice(_LEAPS),
        calls=dice.choice((0, 1, 5, 25)),
    )
