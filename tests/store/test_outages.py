import pytest
from structlog.testing import capture_logs

from collector.store.outages import Outages


def test_outage_is_logged_once() -> None:
    """Not by each call that waits for its end."""
    outages = Outages()
    with capture_logs() as logs:
        with outages.waiting(45), outages.waiting(10), outages.waiting(45):
            pass
        with outages.waiting(45):
            pass
    assert [(log["event"], log.get("calls_waited")) for log in logs] == [
        ("mongodb.away", None),
        ("mongodb.back", 3),
        ("mongodb.away", None),
        ("mongodb.back", 1),
    ]


def test_outage_without_an_end() -> None:
    outages = Outages()
    with capture_logs() as logs, pytest.raises(OSError, match="gone"), outages.waiting(45):
        raise OSError("gone")
    assert [log["event"] for log in logs] == ["mongodb.away"]
    with capture_logs() as logs, outages.waiting(45):
        pass
    assert [log["event"] for log in logs] == ["mongodb.away", "mongodb.back"]


def test_outage_that_another_process_logs() -> None:
    outages = Outages()
    outages.is_logged = False
    with capture_logs() as logs, outages.waiting(45):
        pass
    assert logs == []
