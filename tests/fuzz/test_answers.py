"""From bytes to the fields of days: any body is an error of ours or exactly what it plainly contains."""

from __future__ import annotations

import json
import traceback
from collections import Counter
from datetime import date
from random import Random
from typing import Any

import pytest
from fuzz.bodies import DAYS, NUMBERS, OTHERS, RECORDED, TEXTS, HostileBodies, nested
from fuzz.oracle import figures_in, figures_of, malformed_in
from hypothesis import currently_in_test_context, event, given, settings
from hypothesis import strategies as st

from collector.completeness.datasets import DATASETS, fold
from collector.errors import CallError
from collector.kinds import CallKind
from collector.model.days import Window
from collector.wechat.answers import Request, answer_in

WINDOW = Window(DAYS[-1], DAYS[0])
ROW = '"ref_date": "2026-11-23", "user_source": 0, "new_user": 1, "cancel_user": 2'
TOKEN = "TOKEN-that-must-not-show"
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()


def fields_in(body: bytes, dataset: str) -> dict[date, dict[str, Any]] | None:
    """Return the figures that the collector takes from a body; None where it takes nothing. Other errors propagate."""
    return (taken := _taken(body, dataset)) and taken[0]


def _taken(body: bytes, dataset: str) -> tuple[dict[date, dict[str, Any]], set[date]] | None:
    """Return the figures that the collector takes from a body, and the days whose rows it rejects."""
    path = DATASETS[dataset].path
    request = Request(CallKind.DATA, "POST", path, "list", {"access_token": TOKEN}, {"begin_date": "2026-11-17"})
    try:
        rows = answer_in(body, request)["list"]
        if not isinstance(rows, list):
            return None  # `AccountApi.rows` makes a TransientError of it
        folded = fold(DATASETS[dataset], rows, WINDOW)
    except CallError as error:
        _is_presentable(error)
        return None
    for error_of_day in folded.malformed.values():
        _is_presentable(error_of_day)
    return {day: figures_of(fields) for day, fields in folded.days.items()}, set(folded.malformed)


def _is_presentable(refusal: CallError) -> None:
    assert TOKEN not in "".join(traceback.format_exception(refusal))
    assert all(line.isprintable() for line in (refusal.errmsg, str(refusal), refusal.hint))


def holds(body: bytes, dataset: str) -> None:
    """Check that exactly what the body plainly contains is taken, and that days with other rows are rejected."""
    said = figures_in(body, dataset, DAYS)
    if currently_in_test_context():
        event("not plain" if said is None else "plain, with rows" if said else "plain, without rows")
    assert _taken(body, dataset) == (None if said is None else (said, malformed_in(body, dataset, DAYS)))


@settings(max_examples=400)
@given(st.binary(max_size=200))
def test_any_bytes(body: bytes) -> None:
    for dataset in DATASETS:
        holds(body, dataset)


chance = st.randoms(use_true_random=False, note_method_calls=False)


@settings(max_examples=150)
@given(chance)
def test_any_summary(random: Random) -> None:
    holds(HostileBodies(random).summary(), "user_summary")


@settings(max_examples=150)
@given(chance)
def test_any_total(random: Random) -> None:
    holds(HostileBodies(random).cumulate(), "user_cumulate")


@settings(max_examples=120)
@given(st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8))
def test_any_json_in_any_place(value: Any) -> None:
    row = {"ref_date": "2026-11-23", "user_source": 0, "new_user": 1, "cancel_user": 2}
    places = [value, {"list": value}, {"list": [value]}, *({"list": [row | {key: value}]} for key in [*row, "more"])]
    for place in [*places, {"errcode": value, "list": [row]}, {"errcode": 1, "errmsg": value}]:
        holds(json.dumps(place).encode(), "user_summary")


def test_ten_thousand_hostile_answers() -> None:
    """Many of them hold rows and many do not: neither kind may be missing, or nothing is tested."""
    given_rows: Counter[str] = Counter()
    for seed in range(5_000):
        hostile = HostileBodies(Random(seed))
        for dataset, body in (("user_summary", hostile.summary()), ("user_cumulate", hostile.cumulate())):
            said = figures_in(body, dataset, DAYS)
            spoilt = malformed_in(body, dataset, DAYS)
            assert _taken(body, dataset) == (None if said is None else (said, spoilt)), f"seed {seed}: {body!r}"
            given_rows["nothing" if said is None else "rows" if said else "none"] += 1
            given_rows["some"] += bool(said and spoilt)
    assert min(given_rows["nothing"], given_rows["rows"]) > 2_000, given_rows
    assert given_rows["some"] > 200, given_rows


@pytest.mark.parametrize("body", RECORDED)
def test_cut_body_gives_nothing(body: bytes) -> None:
    for end in range(len(body)):
        assert fields_in(body[:end], "user_summary") is None


@pytest.mark.parametrize("key", ["user_source", "new_user", "cancel_user"])
@pytest.mark.parametrize("value", [*NUMBERS, *TEXTS, *OTHERS])
def test_only_a_whole_number_is_a_count(key: str, value: str) -> None:
    """Of all odd numbers, -0 and the largest count are whole ones."""
    row = "{" + ", ".join(f'"{name}": 3' for name in ("user_source", "new_user", "cancel_user") if name != key)
    body = f'{{"list": [{row}, "ref_date": "2026-11-23", "{key}": {value}}}]}}'.encode()
    holds(body, "user_summary")
    assert bool(fields_in(body, "user_summary")) == (value in {"-0", "10000000000"})


@pytest.mark.parametrize("depth", [8, 100, 900, 1100, 50_000, 2_000_000])
@pytest.mark.parametrize("frame", ["%s", '{"list": %s}', '{"list": [{%s}]}', '{"errcode": %s, "list": []}'])
@pytest.mark.parametrize("opening", ["[", '{"a":', "[\x01", '[{"":'])
def test_deep_nesting_is_no_crash(depth: int, frame: str, opening: str) -> None:
    closing = opening.translate({ord("["): "]", ord("{"): "}", **dict.fromkeys(map(ord, '":a\x01'))})[::-1]
    for nest in (opening * depth, opening * depth + "1" + closing * depth):
        body = (frame % (f'"x": {nest}, {ROW}' if "{%s}" in frame else nest)).encode()
        said = fields_in(body, "user_summary")
        assert said is None or not said or (depth < 1100 and said[DAYS[0]]["new_user"] == 1)


def test_deeply_nested_errmsg() -> None:
    assert fields_in(f'{{"errcode": 48001, "errmsg": {nested(1015)}}}'.encode(), "user_summary") is None


@pytest.mark.parametrize(
    "said",
    [
        '"errcode": "0", "base_resp": {"errcode": 48001}',
        '"errcode": null, "base_resp": {"errcode": 0}',
        '"errcode": "", "base_resp": {}',
        '"errcode": [], "base_resp": {"ret": 0}',
        '"errcode": false, "base_resp": {}',
        '"base_resp": {"errcode": 0, "ret": 48001}',
    ],
)
def test_wrong_errcode_spoils_the_answer(said: str) -> None:
    holds(f'{{{said}, "list": [{{{ROW}}}]}}'.encode(), "user_summary")


@pytest.mark.parametrize("key", ["new_user", "ref_date", "user_source"])
def test_last_of_two_equal_keys_counts(key: str) -> None:
    row = f'{{"{key}": 99, {ROW}}}'
    body = f'{{"list": 5, "list": [{row}]}}'.encode()
    holds(body, "user_summary")
    assert fields_in(body, "user_summary") == {DAYS[0]: json.loads(_said(0, 1, 2))}


def test_unknown_fields_change_no_figure() -> None:
    many = ", ".join(f'"k{number}": {number}' for number in range(50_000))
    rows = ", ".join(f"{{{ROW.replace('23', '22').replace(': 0', f': {number}')}}}" for number in range(5_000))
    body = f'{{"list": [{{{many}, {ROW}}}, {rows}]}}'.encode()
    holds(body, "user_summary")
    said = fields_in(body, "user_summary")
    assert said
    assert {day: fields["new_user"] for day, fields in said.items()} == {DAYS[0]: 1, DAYS[1]: 5_000}


def _said(source: int, new: int, gone: int) -> str:
    sources = f'[{{"user_source": {source}, "new_user": {new}, "cancel_user": {gone}}}]'
    return f'{{"new_user": {new}, "cancel_user": {gone}, "net_user": {new - gone}, "sources": {sources}}}'
