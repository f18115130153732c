"""The figures that an answer plainly contains, by Python's own json and strict rules.

It shares no code with `collector`, so that a mistake there isn't repeated here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, NoReturn

from bson import DBRef, Int64

Figures = dict[date, dict[str, Any]]


class NotPlain(Exception):  # noqa: N818 - nothing failed
    """The answer has no plain content."""


def figures_in(body: bytes, dataset: str, days: Iterable[date]) -> Figures | None:
    """Return the figures that the body plainly gives for `days`, or None where nothing of it may be stored."""
    try:
        by_day = _by_day(body, days)
    except NotPlain:
        return None
    of_days = {day: _figures(rows, dataset) for day, rows in by_day.items()}
    return {day: figures for day, figures in of_days.items() if figures is not None}


def malformed_in(body: bytes, dataset: str, days: Iterable[date]) -> set[date]:
    """Return those of `days` for which the body has rows, though no plain figures."""
    try:
        return {day for day, rows in _by_day(body, days).items() if _figures(rows, dataset) is None}
    except NotPlain:
        return set()


def _by_day(body: bytes, days: Iterable[date]) -> dict[date, list[dict[str, Any]]]:
    by_day: dict[date, list[dict[str, Any]]] = {}
    for row in _rows(body):
        by_day.setdefault(_day(row), []).append(row)
    return {day: by_day[day] for day in set(days) & by_day.keys() if day >= date(2014, 12, 1)}


def _figures(rows: list[dict[str, Any]], dataset: str) -> dict[str, Any] | None:
    try:
        return _summary(rows) if dataset == "user_summary" else _cumulate(rows)
    except NotPlain:
        return None


def figures_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of a stored document or of a day's fields, without unknown fields, names and times."""
    figures = ("new_user", "cancel_user", "net_user", "cumulate_user")
    known: dict[str, Any] = {key: _stored(fields, key) for key in figures if key in fields}
    if "sources" in fields:
        sources = [source.as_doc() if isinstance(source, DBRef) else source for source in fields["sources"]]
        keys = ("user_source", "new_user", "cancel_user")
        known["sources"] = [{key: _stored(source, key) for key in keys} for source in sources]
    return known


def _stored(fields: Mapping[str, Any], key: str) -> int:
    """Return a stored count; PyMongo has a class of its own for 64 bits."""
    assert type(fields[key]) in (int, Int64), fields
    return int(fields[key])


def object_in(body: bytes) -> dict[str, Any]:
    """Return the object in a body. Raises `NotPlain` where there is none, or it reports an error."""
    try:
        answer = json.loads(body, strict=False, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise NotPlain from None
    if not isinstance(answer, dict):
        raise NotPlain
    wrapped = answer.get("base_resp")
    errcodes = [answer["errcode"]] if "errcode" in answer else []
    if isinstance(wrapped, dict):
        errcodes += [wrapped[key] for key in ("errcode", "ret") if key in wrapped]
    if not all(map(_is_zero, errcodes)):
        raise NotPlain
    return answer


def is_whole(value: object) -> bool:
    """Return whether JSON gave a whole number: no boolean, no float, no text of digits."""
    return type(value) is int


def _rows(body: bytes) -> list[dict[str, Any]]:
    rows = object_in(body).get("list")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise NotPlain
    return rows


def _is_zero(errcode: object) -> bool:
    if isinstance(errcode, str):
        return errcode.strip("0") == "" != errcode
    return is_whole(errcode) and errcode == 0


def _day(row: dict[str, Any]) -> date:
    value = row.get("ref_date")
    try:
        day = date.fromisoformat(value)  # type: ignore[arg-type] # what isn't one raises
    except (TypeError, ValueError):
        raise NotPlain from None
    if str(day) != value:
        raise NotPlain
    return day


def _whole(row: dict[str, Any], key: str) -> int:
    value = row.get(key)
    if not is_whole(value) or not 0 <= value <= 10_000_000_000:  # type: ignore[operator] # it is whole
        raise NotPlain
    return value  # type: ignore[return-value] # as above


def _known(row: dict[str, Any]) -> dict[str, int]:
    return {key: _whole(row, key) for key in ("user_source", "new_user", "cancel_user")}


def _summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    sources = {row["user_source"]: row for row in map(_known, rows)}
    if len(sources) < len(rows):
        raise NotPlain
    new, gone = (sum(row[key] for row in sources.values()) for key in ("new_user", "cancel_user"))
    in_order = [sources[number] for number in sorted(sources)]
    return {"new_user": new, "cancel_user": gone, "net_user": new - gone, "sources": in_order}


def _cumulate(rows: list[dict[str, Any]]) -> dict[str, Any]:
    totals = {_whole(row, "cumulate_user") for row in rows}
    if len(totals) > 1:
        raise NotPlain
    return {"cumulate_user": totals.pop()}


def _refuse(name: str) -> NoReturn:
    raise NotPlain(name)
