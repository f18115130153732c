from __future__ import annotations

from dataclasses import replace

import pytest

from collector.console.forget import as_json, as_text, question
from collector.model.forgotten import Departed, Forgotten

GONE = Departed("wx1", "gone", has_state=True, days=1_234, database="wechat on db")
APPID_ALONE = Departed("wx1", "wx1", has_state=False, days=1, database="local, /srv")


@pytest.mark.parametrize(
    ("departed", "with_documents", "expected"),
    [
        (GONE, True, "gone (wx1), wechat on db. Delete its state and 1,234 documents of user_daily?"),
        (GONE, False, "gone (wx1), wechat on db. 1,234 documents of user_daily stay. Delete its state?"),
        (replace(GONE, days=1), False, "gone (wx1), wechat on db. 1 document of user_daily stays. Delete its state?"),
        (replace(GONE, days=0), True, "gone (wx1), wechat on db. Delete its state?"),
        (replace(GONE, days=0), False, "gone (wx1), wechat on db. Delete its state?"),
        (APPID_ALONE, True, "wx1, local, /srv. Delete 1 document of user_daily?"),
    ],
)
def test_question(departed: Departed, with_documents: bool, expected: str) -> None:
    assert question(departed, with_documents=with_documents) == expected


STAY = "1,234 documents of user_daily stay: `collector forget wx1 --with-documents` deletes them, too."


@pytest.mark.parametrize(
    ("forgotten", "expected"),
    [
        (Forgotten(GONE, 1_234, 0), ["gone (wx1) is forgotten: deleted its state and 1,234 documents of user_daily."]),
        (Forgotten(GONE, 0, 0), ["gone (wx1) is forgotten: deleted its state."]),
        (Forgotten(GONE, 0, 1_234), ["gone (wx1) is forgotten: deleted its state.", STAY]),
        (
            Forgotten(GONE, 0, 1),
            [
                "gone (wx1) is forgotten: deleted its state.",
                "1 document of user_daily stays: `collector forget wx1 --with-documents` deletes it, too.",
            ],
        ),
        (
            Forgotten(replace(GONE, has_state=False), 1, 0),
            ["gone (wx1) is forgotten: deleted 1 document of user_daily."],
        ),
    ],
)
def test_text(forgotten: Forgotten, expected: list[str]) -> None:
    assert as_text(forgotten).splitlines() == [*expected, "Database: wechat on db"]


def test_control_characters_stay_out() -> None:
    odd = replace(GONE, name="\x1b[2J")
    assert "\x1b" not in as_text(Forgotten(odd, 0, 0)) + question(odd, with_documents=True)


def test_json() -> None:
    assert as_json(Forgotten(GONE, 1_234, 0)) == {
        "account": "wx1",
        "name": "gone",
        "state_deleted": True,
        "documents_deleted": 1_234,
        "documents_left": 0,
        "database": "wechat on db",
    }
