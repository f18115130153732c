import re
import reprlib
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import bson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.completeness.datasets import DATASETS, MAX_USERS, QUIET, Dataset, Folded, fold
from collector.errors import RowError
from collector.model.days import FIRST_DAY, ONE_DAY, Window

SUMMARY = DATASETS["user_summary"]
CUMULATE = DATASETS["user_cumulate"]
DAY = date(2026, 11, 23)
WINDOW = Window(date(2026, 11, 17), DAY)
Payload = Callable[[str], Any]


def _source(user_source: int, new_user: int, cancel_user: int) -> dict[str, int]:
    return {"user_source": user_source, "new_user": new_user, "cancel_user": cancel_user}


def _summary(*sources: dict[str, int]) -> dict[str, object]:
    new_user = sum(source["new_user"] for source in sources)
    cancel_user = sum(source["cancel_user"] for source in sources)
    return {
        "new_user": new_user,
        "cancel_user": cancel_user,
        "net_user": new_user - cancel_user,
        "sources": list(sources),
    }


ZEROS = _summary(_source(0, 0, 0))
RECORDED_SUMMARIES: dict[str, dict[str, dict[str, object]]] = {
    "summary_official_example": {"2014-12-07": ZEROS},
    "summary_wechatpy_fixture": {"2014-12-07": ZEROS},
    "summary_recorded_2015-10_sparse": {
        "2015-10-20": _summary(_source(0, 0, 0), _source(17, 1, 0)),
        "2015-10-21": ZEROS,
        "2015-10-22": ZEROS,
    },
    "summary_recorded_2017-09": {
        "2017-09-24": _summary(_source(0, 0, 3)),
        "2017-09-25": _summary(_source(0, 0, 0), _source(17, 1, 0)),
    },
    "summary_recorded_2018-03": {"2018-03-19": _summary(_source(0, 0, 0), _source(17, 1, 0))},
    "summary_recorded_2019-11_single_day_empty": {},
    "summary_recorded_2019-11_two_days": {
        "2019-11-20": _summary(_source(0, 0, 4)),
        "2019-11-21": _summary(_source(0, 0, 8)),
    },
    "summary_recorded_2021-04_gap_dates": {
        "2021-04-13": _summary(_source(0, 0, 0), _source(17, 1, 1)),
        "2021-04-14": ZEROS,
        "2021-04-15": ZEROS,
    },
    "summary_recorded_2024-06_yesterday_empty": {},
}
RECORDED_TOTALS: dict[str, dict[str, int]] = {
    "cumulate_official_example": {"2014-12-07": 1217056},
    "cumulate_wechatpy_fixture": {"2014-12-07": 1217056},
    "cumulate_recorded_2015-10": {
        "2015-10-16": 1,
        "2015-10-17": 1,
        "2015-10-18": 1,
        "2015-10-19": 1,
        "2015-10-20": 2,
        "2015-10-21": 2,
        "2015-10-22": 2,
    },
    "cumulate_recorded_2018-03": {"2018-03-18": 5, "2018-03-19": 6, "2018-03-20": 6},
}
EVER = Window(FIRST_DAY, DAY)


@pytest.mark.parametrize(("name", "days"), RECORDED_SUMMARIES.items())
def test_recorded_summaries(name: str, days: dict[str, Any], payload: Payload) -> None:
    expected = {date.fromisoformat(day): fields for day, fields in days.items()}
    assert fold(SUMMARY, payload(name)["list"], EVER) == Folded(expected, 0)


@pytest.mark.parametrize(("name", "days"), RECORDED_TOTALS.items())
def test_recorded_totals(name: str, days: dict[str, int], payload: Payload) -> None:
    expected = {date.fromisoformat(day): {"cumulate_user": total} for day, total in days.items()}
    assert fold(CUMULATE, payload(name)["list"], EVER) == Folded(expected, 0)


def test_every_recorded_answer_is_tested() -> None:
    recorded = {path.stem for path in (Path(__file__).parents[1] / "payloads").glob("*.json")}
    answers = {name for name in recorded if name.startswith(("summary_", "cumulate_"))}
    assert answers == RECORDED_SUMMARIES.keys() | RECORDED_TOTALS.keys()


def test_rows_outside_the_window_are_dropped() -> None:
    """They are counted as well, as are days from before WeChat keeps anything."""
    rows = [
        {"ref_date": "2014-11-30", "cumulate_user": 4},
        {"ref_date": "2014-12-01", "cumulate_user": 5},
        {"ref_date": "2014-12-02", "cumulate_user": 6},
        {"ref_date": "2014-12-03", "cumulate_user": 7},
    ]
    folded = fold(CUMULATE, rows, Window(FIRST_DAY - 5 * ONE_DAY, FIRST_DAY + ONE_DAY))
    assert folded == Folded({FIRST_DAY: {"cumulate_user": 5}, FIRST_DAY + ONE_DAY: {"cumulate_user": 6}}, 2)


def test_unknown_sources_and_fields_are_kept() -> None:
    """Sources are sorted by their number, and unknown ones count like the others."""
    rows = [
        {"user_source": 201, "cancel_user": 1, "new_user": 2, "ref_date": "2026-11-23", "is_delay": False},
        {"ref_date": "2026-11-23", "new_user": 3, "cancel_user": 0, "user_source": 10, "$new": {"a.b": [2**64]}},
    ]
    assert fold(SUMMARY, rows, WINDOW).days[DAY] == {
        "new_user": 5,
        "cancel_user": 1,
        "net_user": 4,
        "sources": [
            _source(10, 3, 0) | {"$new": {"a.b": ["18446744073709551616"]}},
            _source(201, 2, 1) | {"is_delay": False},
        ],
    }


HINT = "WeChat's answer isn't of the form it documents; the next run asks again"
GOOD = {"ref_date": "2026-11-23", "user_source": 0, "new_user": 1, "cancel_user": 2, "cumulate_user": 3}
BAD_COUNTS = [None, "3", 3.0, True, -1, MAX_USERS + 1, [3], {"n": 3}]
BEFORE = GOOD | {"ref_date": "2026-11-22"}
BAD_DATES = [None, 20261123, "20261123", "2026-11-31", "2026-W48-1", "2026-11-23T00:00", "yesterday", "2026/11/23"]


def _malformed(dataset: Dataset, *rows: object) -> RowError:
    """Fold rows of `DAY` that aren't of the right shape, beside a sound row of the day before; return their error."""
    folded = fold(dataset, [BEFORE, *rows], WINDOW)
    assert folded.days == fold(dataset, [BEFORE], WINDOW).days
    assert (folded.dropped, list(folded.malformed)) == (0, [DAY])
    return folded.malformed[DAY]


@pytest.mark.parametrize("key", ["user_source", "new_user", "cancel_user"])
@pytest.mark.parametrize("value", BAD_COUNTS)
def test_wrong_count_in_summary(key: str, value: object) -> None:
    """A count that is no whole number from 0 to `MAX_USERS` spoils its day alone."""
    error = _malformed(SUMMARY, GOOD, GOOD | {"user_source": 1} | {key: value})
    assert f"no whole number from 0 to 10,000,000,000 as {key}" in error.errmsg


@pytest.mark.parametrize("value", BAD_COUNTS)
def test_wrong_total(value: object) -> None:
    """A total that is no whole number from 0 to `MAX_USERS` spoils its day alone."""
    assert "as cumulate_user" in _malformed(CUMULATE, GOOD | {"cumulate_user": value}).errmsg


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS.keys())
@pytest.mark.parametrize("value", BAD_DATES)
def test_wrong_ref_date(dataset: Any, value: object) -> None:
    """A `ref_date` that is no plain date spoils the answer."""
    with pytest.raises(RowError, match="no date as ref_date"):
        fold(dataset, [BEFORE, GOOD | {"ref_date": value}], WINDOW)


@pytest.mark.parametrize("row", [None, 5, "row", ["ref_date"]])
def test_row_that_is_no_object(row: object) -> None:
    """It spoils the answer."""
    with pytest.raises(RowError, match="isn't an object"):
        fold(SUMMARY, [BEFORE, row], WINDOW)


def test_same_source_twice_in_a_day() -> None:
    """It spoils the day: either row may be the right one."""
    again = _source(0, 1, 2) | {"cumulate_user": 3}
    assert str(_malformed(SUMMARY, GOOD, GOOD)) == (
        f"2026-11-23: a row names user_source 0 a second time for its day: {reprlib.repr(again)}"
    )


def test_two_totals_of_a_day() -> None:
    """Two different totals spoil the day; the same total twice does not."""
    assert fold(CUMULATE, [GOOD, GOOD], WINDOW).days == {DAY: {"cumulate_user": 3}}
    assert "second total" in _malformed(CUMULATE, GOOD, GOOD | {"cumulate_user": 4}).errmsg


def test_malformed_row_outside_the_window() -> None:
    """It is dropped like any other."""
    rows = [GOOD, GOOD | {"ref_date": "2026-11-24", "cumulate_user": -1}]
    assert fold(CUMULATE, rows, WINDOW) == Folded({DAY: {"cumulate_user": 3}}, 1)


@given(st.lists(st.tuples(st.integers(-2, 9), st.sampled_from(["3", -1, None]) | st.integers(0, 9)), max_size=20))
def test_malformed_row_spoils_its_day_alone(rows: list[tuple[int, Any]]) -> None:
    """The other days are folded as if it hadn't come, and each day with a row is one or the other."""
    totals = [{"ref_date": str(DAY - back * ONE_DAY), "cumulate_user": total} for back, total in rows]
    folded = fold(CUMULATE, totals, WINDOW)
    spoilt = set(map(str, folded.malformed))
    rest = [row for row in totals if row["ref_date"] not in spoilt]
    assert fold(CUMULATE, rest, WINDOW) == Folded(folded.days, folded.dropped)
    with_rows = {DAY - back * ONE_DAY for back, _ in rows if back in range(7)}
    assert sorted([*folded.days, *folded.malformed]) == sorted(with_rows)


@pytest.mark.parametrize("key", ["user_source", "new_user", "cancel_user"])
def test_max_users_in_summary(key: str) -> None:
    row = _source(0, 1, 2) | {key: MAX_USERS}
    assert fold(SUMMARY, [{"ref_date": "2026-11-23", **row}], WINDOW).days[DAY] == _summary(row)


def test_error_shows_the_source() -> None:
    assert re.search(r"as new_user: \{.*'new_user': -1", _malformed(SUMMARY, GOOD | {"new_user": -1}).errmsg)


@pytest.mark.parametrize("total", [0, 10_000_000_000])
def test_min_and_max_total(total: int) -> None:
    assert fold(CUMULATE, [GOOD | {"cumulate_user": total}], WINDOW).days == {DAY: {"cumulate_user": total}}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.text(st.characters()), json_values))
def test_unknown_fields_change_no_figure(unknown: dict[str, object]) -> None:
    """A row may hold anything besides, and it can be stored."""
    fields = fold(SUMMARY, [unknown | GOOD], WINDOW).days[DAY]
    assert (fields["new_user"], fields["cancel_user"], fields["net_user"]) == (1, 2, -1)
    assert bson.decode(bson.encode(dict(fields)))["new_user"] == 1


@given(st.lists(json_values, max_size=5))
def test_any_rows_fold_or_raise_row_error(rows: list[object]) -> None:
    for dataset in DATASETS.values():
        try:
            folded = fold(dataset, rows, WINDOW)
        except RowError:
            continue
        assert {*folded.days, *folded.malformed} <= set(WINDOW)


@pytest.mark.parametrize(
    ("rows", "what", "blamed"),
    [
        ([GOOD, 5], "isn't an object", 5),
        ([GOOD | {"ref_date": 1}], "has no date as ref_date", GOOD | {"ref_date": 1}),
        ([[["x" * 99] * 6] * 6], "isn't an object", [["x" * 99] * 6] * 6),
    ],
)  # fmt: skip
def test_error_shows_200_characters_and_a_hint(rows: list[object], what: str, blamed: object) -> None:
    with pytest.raises(RowError) as caught:
        fold(CUMULATE, rows, WINDOW)
    assert str(caught.value) == f"a row {what}: {reprlib.repr(blamed)[:200]}"
    assert caught.value.hint == HINT


@pytest.mark.parametrize(
    ("total", "what"),
    [(4, "gives its day a second total"), (-1, "has no whole number from 0 to 10,000,000,000 as cumulate_user")],
)
def test_error_of_a_day_names_it(total: int, what: str) -> None:
    error = _malformed(CUMULATE, GOOD, GOOD | {"cumulate_user": total})
    assert (str(error), error.hint) == (
        f"2026-11-23: a row {what}: {reprlib.repr(GOOD | {'cumulate_user': total})}",
        HINT,
    )


def _nested(depth: int, innermost: object) -> tuple[object, object]:
    """`innermost` in so many lists, and in so many objects."""
    lists, objects = innermost, innermost
    for _ in range(depth):
        lists, objects = [lists], {"in": objects}
    return lists, objects


def test_unknown_values_keep_eight_levels() -> None:
    """Deeper values become null, so that any answer can be stored."""
    lists, objects = _nested(8, "x")
    deeper_lists, deeper_objects = _nested(9, "x")
    row = GOOD | {"lists": lists, "objects": objects, "deeper_lists": deeper_lists, "deeper_objects": deeper_objects}
    cut_lists, cut_objects = _nested(8, None)
    fields: Any = fold(SUMMARY, [row], WINDOW).days[DAY]
    (source,) = fields["sources"]
    assert {key: source[key] for key in row.keys() - GOOD.keys()} == {
        "lists": lists,
        "objects": objects,
        "deeper_lists": cut_lists,
        "deeper_objects": cut_objects,
    }


@pytest.mark.parametrize(
    ("number", "stored"),
    [
        (2**63 - 1, 2**63 - 1),
        (2**63, "9223372036854775808"),
        (-(2**63), -(2**63)),
        (-(2**63) - 1, "-9223372036854775809"),
    ],
)
def test_numbers_beyond_64_bits_become_text(number: int, stored: object) -> None:
    """BSON holds no larger integer, so the digits are kept."""
    fields: Any = fold(SUMMARY, [GOOD | {"odd": number}], WINDOW).days[DAY]
    assert fields["sources"] == [_source(0, 1, 2) | {"cumulate_user": 3, "odd": stored}]


def test_quiet_equals_rows_of_zeros() -> None:
    """A quiet day gets the figures of rows of zeros, without their sources."""
    zeros = {"ref_date": "2026-11-23", **_source(0, 0, 0)}
    assert {**fold(SUMMARY, [zeros], WINDOW).days[DAY], "sources": []} == QUIET


def test_surrogates_and_nulls_are_replaced() -> None:
    """Lone surrogates become question marks, and field names lose their nulls."""
    fields: Any = fold(SUMMARY, [GOOD | {"\ud800a\0b": ["\udfff\0!"]}], WINDOW).days[DAY]
    assert fields["sources"] == [_source(0, 1, 2) | {"cumulate_user": 3, "?ab": ["?\0!"]}]


def test_paths_and_spans_of_the_datasets() -> None:
    """They are those that WeChat documents."""
    assert [(name, dataset.name, dataset.path, dataset.span_days) for name, dataset in DATASETS.items()] == [
        ("user_summary", "user_summary", "/datacube/getusersummary", 7),
        ("user_cumulate", "user_cumulate", "/datacube/getusercumulate", 7),
    ]


def test_sources_of_a_day_are_added_up() -> None:
    rows = [
        {"ref_date": "2026-11-23", "user_source": source, "new_user": new, "cancel_user": cancelled}
        for source, new, cancelled in ((0, 1, 10), (17, 2, 20), (30, 4, 40))
    ]
    (fields,) = fold(SUMMARY, rows, Window(date(2026, 11, 23), date(2026, 11, 23))).days.values()
    assert (fields["new_user"], fields["cancel_user"], fields["net_user"]) == (7, 70, -63)


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({}, "a row has no date as ref_date: {}"),
        ({"ref_date": []}, "a row has no date as ref_date: {'ref_date': []}"),
        ([], "a row isn't an object: []"),
        (None, "a row isn't an object: None"),
    ],
)
def test_error_names_the_fault_of_the_row(row: object, what: str) -> None:
    with pytest.raises(RowError) as raised:
        fold(SUMMARY, [GOOD, row], Window(date(2026, 11, 23), date(2026, 11, 23)))
    assert raised.value.errmsg == what
