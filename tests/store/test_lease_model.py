"""Leases against a model: no two live owners ever share an account, whatever happens in which order.

The owners take, renew and release real leases in a real MongoDB. Time passes when the model says so: for the server by
making the leases older, for the owners by their boot clock. An account's owners are found by brute force, not by the
rule that says which parts overlap.
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from pymongo import ReturnDocument

from collector.model.accounts import Secret
from collector.model.parts import ALL, Labels, Part
from collector.model.shards import Shard
from collector.store import held as held_module
from collector.store import lease_document
from collector.store import leases as leases_module
from collector.store.database import open_database
from collector.store.held import TIMES, Held
from collector.store.lease_document import LEASES
from collector.store.leases import _Taking
from collector.store.location import Location

APPIDS = [f"wx{number:016x}" for number in range(40)]
LABELS = ("hk", None)
CONFIGURATIONS: dict[str, dict[str, str | None]] = {
    "one": {appid: LABELS[place % 2] for place, appid in enumerate(APPIDS)},
    "two": {appid: LABELS[place // 2 % 2] for place, appid in enumerate(APPIDS)},
}

SHARDS = st.sampled_from([Shard(number, count) for count in (2, 3, 4, 6) for number in range(1, count + 1)])
EGRESS = st.builds(
    Labels, st.sampled_from(LABELS).map(lambda label: frozenset({label})), st.sampled_from(("one", "two"))
)
LISTS = st.frozensets(st.sampled_from(APPIDS), min_size=1, max_size=4)
PARTS = st.one_of(
    st.just(ALL),
    st.builds(Part, SHARDS),
    st.builds(Part, st.none(), EGRESS),
    st.builds(Part, st.none(), EGRESS),
    st.builds(Part, st.none(), st.none(), LISTS),
    st.builds(Part, SHARDS, EGRESS),
    st.builds(Part, SHARDS, st.none(), LISTS),
)
SECONDS = st.sampled_from((1.0, 7.0, 15.0, 20.0, 44.0, 46.0, 61.0))


def accounts(part: Part) -> frozenset[str]:
    """All accounts of a part."""
    return frozenset(
        appid
        for appid in APPIDS
        if (part.shard is None or appid in part.shard)
        and (part.egress is None or CONFIGURATIONS[part.egress.digest][appid] in part.egress.labels)
        and (part.appids is None or appid in part.appids)
    )


@dataclass(eq=False)
class Owner:
    """A run. One that is paused does nothing; one that `is_earlier` is of the version before parts."""

    run: str
    part: Part
    held: Held
    taking: _Taking | None = None
    is_paused: bool = False

    @property
    def is_at_work(self) -> bool:
        return not self.is_paused and not self.held.is_lost


@dataclass(eq=False)
class Start:
    """A run that has looked at the leases, and whose attempt to take its own hangs until `goes_on`."""

    run: str
    part: Part
    hangs: asyncio.Event = field(default_factory=asyncio.Event)
    goes_on: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[Held | list[Any]] | None = None


class World(RuleBasedStateMachine):
    """Runs on many hosts, over one database."""

    uri: str
    now_s: float = 0.0

    owners = Bundle("owners")
    starts = Bundle("starts")

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        opened = open_database(Location(f"test_{uuid.uuid4().hex}", Secret(self.uri)))
        self._database = self._runner.run(self._stack.enter_async_context(opened))
        self._numbers = 0
        self._all: list[Owner] = []
        self._last_epochs: dict[str, int] = {}
        self._hanging: Start | None = None
        # What the leases must be: by run, the part and the second at which it expires.
        self._leases: dict[str, tuple[Part, float]] = {}

    def teardown(self) -> None:
        async def close() -> None:
            await self._database.client.drop_database(self._database.name)
            await self._stack.aclose()

        self._runner.run(close())
        self._runner.close()

    # The rules

    @rule(target=owners, part=PARTS)
    def start(self, part: Part) -> Any:
        """A run begins, if no other is at work on its accounts."""
        run = self._new_run()
        taking = self._taking(run, part)
        found = self._runner.run(taking._try())
        live = {name: each for name, (each, expires_s) in self._leases.items() if expires_s > World.now_s}
        overlapping = {name for name, each in live.items() if not each.is_disjoint(part)}
        if isinstance(found, Held):
            assert not overlapping
            return self._begun(run, part, found, taking)
        assert {each["run"] for each in found} == overlapping
        return multiple()

    @rule(target=starts, part=PARTS)
    def start_slowly(self, part: Part) -> Any:
        """A run looks at the leases; until it tries to take its own, anything may happen."""
        start = Start(self._new_run(), part)

        async def look() -> None:
            self._hanging = start
            start.task = asyncio.create_task(self._taking(start.run, part)._try())
            hangs = asyncio.create_task(start.hangs.wait())
            await asyncio.wait((start.task, hangs), return_when=asyncio.FIRST_COMPLETED)
            hangs.cancel()
            self._hanging = None

        self._runner.run(look())
        return start if start.task and not start.task.done() else multiple()

    @rule(target=owners, start=consumes(starts))
    def go_on(self, start: Start) -> Any:
        """Its attempt succeeds if its part is free by now."""

        async def end() -> Held | list[Any]:
            start.goes_on.set()
            assert start.task
            return await start.task

        found = self._runner.run(end())
        if isinstance(found, Held):
            return self._begun(start.run, start.part, found, self._taking(start.run, start.part))
        return multiple()

    @rule(owner=owners)
    def renew(self, owner: Owner) -> None:
        """An owner renews its lease, when it comes to it."""
        if not owner.is_at_work:
            return
        asked_s = World.now_s
        certain_s = self._runner.run(self._renewed(owner))
        if certain_s is None:
            assert owner.run not in self._leases
            owner.held.lose()
        else:
            owner.held.extend(asked_s + certain_s)
            self._leases[owner.run] = (self._leases[owner.run][0], asked_s + TIMES.free_after_s)

    @rule(owner=owners)
    def pause(self, owner: Owner) -> None:
        owner.is_paused = True

    @rule(owner=owners)
    def resume(self, owner: Owner) -> None:
        owner.is_paused = False

    @rule(owner=consumes(owners))
    def die(self, owner: Owner) -> None:
        self._all.remove(owner)

    @rule(owner=consumes(owners))
    def end(self, owner: Owner) -> None:
        """An owner ends, also one that has lost its lease without knowing it."""
        self._all.remove(owner)
        self._runner.run(self._released(owner))
        self._leases.pop(owner.run, None)

    @rule(target=owners)
    def start_earlier_version(self) -> Any:
        """A run of the version before parts begins: it is for all accounts."""
        run = self._new_run()
        live = [name for name, (_, expires_s) in self._leases.items() if expires_s > World.now_s]
        is_taken = self._runner.run(self._taken_by_earlier_version(run))
        assert is_taken is not bool(live)
        if not is_taken:
            return multiple()
        return self._begun(run, ALL, Held(0, World.now_s + TIMES.lost_after_s), None)

    @rule(seconds=SECONDS)
    def time_passes(self, seconds: float) -> None:
        World.now_s += seconds
        self._runner.run(self._age(seconds))

    # What must hold

    @invariant()
    def no_two_owners_share_an_account(self) -> None:
        at_work = [(owner, accounts(owner.part)) for owner in self._all if owner.is_at_work]
        for (one, ones), (other, others) in combinations(at_work, 2):
            assert not ones & others, f"{one.run} ({one.part}) and {other.run} ({other.part})"

    # How it is done

    def _new_run(self) -> str:
        self._numbers += 1
        return f"run-{self._numbers}"

    def _taking(self, run: str, part: Part) -> _Taking:
        return _Taking(self._database, run, "run", part, TIMES)

    def _begun(self, run: str, part: Part, held: Held, taking: _Taking | None) -> Owner:
        """Note a run that has its lease now; all that had expired by then are gone."""
        self._leases = {name: each for name, each in self._leases.items() if each[1] > World.now_s}
        self._leases[run] = (part, World.now_s + TIMES.free_after_s)
        if taking:
            for appid in accounts(part):
                assert held.epoch > self._last_epochs.get(appid, 0), "a later owner has a greater epoch"
                self._last_epochs[appid] = held.epoch
        owner = Owner(run, part, held, taking)
        self._all.append(owner)
        return owner

    async def gated_take(self, *arguments: Any) -> int | None:
        """Take a lease, for a run that hangs when it comes to this once it goes on."""
        if self._hanging is not None:
            start, self._hanging = self._hanging, None
            start.hangs.set()
            await start.goes_on.wait()
        return await TAKE(*arguments)

    async def _renewed(self, owner: Owner) -> float | None:
        if owner.taking:
            return await owner.taking.renew(owner.held)
        expires = {"$add": ["$$NOW", 60_000]}
        mine = {"_id": "run", "run": owner.run}
        renewed = await self._database[LEASES].update_one(mine, [{"$set": {"expires": expires}}])
        return TIMES.lost_after_s if renewed.matched_count else None

    async def _released(self, owner: Owner) -> None:
        if owner.taking:
            await owner.taking.release(owner.held)
        else:
            await self._database[LEASES].delete_one({"_id": "run", "run": owner.run})

    async def _taken_by_earlier_version(self, run: str) -> bool:
        is_free = {"$lte": ["$expires", "$$NOW"]}
        owner = {"_id": "run", "run": run, "command": "run", "host": "earlier", "pid": 1}
        times = {"since": "$$NOW", "expires": {"$add": ["$$NOW", 60_000]}}
        taken = {"$mergeObjects": [{"$literal": owner}, times]}
        holder: Any = await self._database[LEASES].find_one_and_update(
            {"_id": "run"},
            [{"$replaceWith": {"$cond": [is_free, taken, "$$ROOT"]}}],
            upsert=True,
            return_document=ReturnDocument.AFTER,
        )
        return bool(holder["run"] == run) if "run" in holder else False

    async def _age(self, seconds: float) -> None:
        """Make all leases older for the server."""

        def earlier(what: str) -> dict[str, Any]:
            ms = round(seconds * 1000)
            return {"$cond": [{"$eq": [{"$type": what}, "date"]}, {"$subtract": [what, ms]}, "$$REMOVE"]}

        each = {"$mergeObjects": ["$$each", {"expires": earlier("$$each.expires")}]}
        older: dict[str, Any] = {"expires": earlier("$expires")}
        aged = [{"$set": older}]
        await self._database[LEASES].update_one({"leases": {"$exists": False}}, aged)
        older["leases"] = {"$map": {"input": "$leases", "as": "each", "in": each}}
        await self._database[LEASES].update_one({"leases": {"$exists": True}}, aged)


TAKE = lease_document.take


@pytest.fixture
def _time_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (held_module, leases_module):
        monkeypatch.setattr(module, "boot_s", lambda: World.now_s)


@pytest.mark.usefixtures("_time_of_the_model")
def test_no_two_live_owners_share_an_account(mongod: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def world() -> World:
        World.uri, World.now_s = mongod, 0.0
        made = World()
        monkeypatch.setattr(lease_document, "take", made.gated_take)
        return made

    # It takes any callable, though its annotation says a class.
    run_state_machine_as_test(world, settings=settings(max_examples=100, stateful_step_count=40))  # type: ignore[arg-type]
