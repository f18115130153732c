from datetime import UTC, datetime

import pytest

from collector.sandbox.question import Question, RefusalError, json_object

NOW = datetime(2026, 11, 23, 16, 0, 1, tzinfo=UTC)


def _question(body: bytes = b"", **query: str) -> Question:
    return Question("/", "POST", query, body, json_object(body), NOW)


def test_time_is_beijings() -> None:
    assert (_question().seconds, _question().day) == (NOW.timestamp(), datetime(2026, 11, 24, tzinfo=UTC).toordinal())


def test_token_of_either_call() -> None:
    assert _question().token is None
    assert _question(access_token="a").token == "a"
    assert _question(component_access_token="c").token == "c"


def test_body_is_an_object() -> None:
    question = _question(b'{"a": 1}')
    assert (question.get("a"), question.get("b"), question.require_data()) == (1, None, {"a": 1})
    assert _question(b"[1]").get("a") is None


@pytest.mark.parametrize(("body", "errcode"), [(b"", 44002), (b"[1]", 47001), (b"{", 47001)])
def test_body_without_an_object(body: bytes, errcode: int) -> None:
    with pytest.raises(RefusalError) as caught:
        _question(body).require_data()
    assert caught.value.errcode == errcode


def test_errmsg_of_an_errcode() -> None:
    """By default the errcode's own, and a plain word for an unknown errcode."""
    assert [RefusalError(45009).errmsg, RefusalError(1).errmsg, RefusalError(45009, "x").errmsg] == [
        "reach max api daily quota limit",
        "error",
        "x",
    ]
