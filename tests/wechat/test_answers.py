from datetime import UTC, datetime

import pytest

from collector.errors import ApiError, CallError, TransientError
from collector.kinds import CallKind
from collector.wechat.answers import Request, answer_in, instant_in, is_passing, is_token, parsed, refusal

REQUEST = Request(CallKind.DATA, "POST", "/datacube/getusersummary", "list", {"access_token": "T0KEN"})


def test_answer() -> None:
    assert answer_in(b'{"errcode": 0, "list": [1]}', REQUEST) == {"errcode": 0, "list": [1]}


@pytest.mark.parametrize("body", [b"", b"[]", b'{"list": [', b'{"lists": []}', b'{"list": null}', b'{"errcode": "x"}'])
def test_malformed_body(body: bytes) -> None:
    with pytest.raises(TransientError):
        answer_in(body, REQUEST)


@pytest.mark.parametrize(
    "body",
    [
        b'{"errcode": 48001, "errmsg": "no T0KEN"}',
        b'{"errcode": "48001", "errmsg": "no T0KEN"}',
        b'{"errcode": 0, "base_resp": {"ret": 48001, "err_msg": "no T0KEN"}}',
    ],
)
def test_errcode(body: bytes) -> None:
    """An errcode is an error wherever it stands, and its text holds no token."""
    with pytest.raises(ApiError) as failed:
        answer_in(body, REQUEST)
    assert (failed.value.errcode, failed.value.errmsg) == (48001, "no ***")


@pytest.mark.parametrize(
    ("body", "value"),
    [(b'{"a": "b\x01"}', {"a": "b\x01"}), (b"\xff", None), (b"NaN", None), (b"[" * 100_000, None)],
)
def test_parsed(body: bytes, value: object) -> None:
    assert parsed(body) == value


@pytest.mark.parametrize(
    ("value", "good"),
    [("T", True), ("", False), ("a b", False), ("é", False), (None, False), (7, False)],
)
def test_is_token(value: object, good: bool) -> None:
    assert is_token(value) is good


@pytest.mark.parametrize(
    ("status", "passing"), [(500, True), (503, True), (408, True), (429, True), (403, False), (301, False)]
)
def test_refusal(status: int, passing: bool) -> None:
    assert is_passing(status) is passing
    error = refusal(status, CallKind.TOKEN)
    assert type(error) is (TransientError if passing else CallError)
    assert (str(error), error.kind) == (f"HTTP {status} instead of an answer", CallKind.TOKEN)


@pytest.mark.parametrize(
    ("header", "instant"),
    [
        ("Tue, 24 Nov 2026 03:00:00 GMT", datetime(2026, 11, 24, 3, tzinfo=UTC)),
        ("Tue, 24 Nov 2026 11:00:00 +0800", datetime(2026, 11, 24, 3, tzinfo=UTC)),
        ("Tue, 24 Nov 2026 03:00:00 -0000", datetime(2026, 11, 24, 3, tzinfo=UTC)),
        ("Tue, 99 Nov 2026 03:00:00 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 -0900", None),
        ("today", None),
        ("", None),
        (None, None),
    ],
)
def test_instant_in(header: str | None, instant: datetime | None) -> None:
    assert instant_in(header) == instant
