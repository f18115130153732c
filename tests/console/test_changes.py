from dataclasses import replace
from pathlib import Path

from collector.console.changes import as_text, written
from collector.model.changes import Change, Changes, KeyChange


def change(name: str, *keys: KeyChange) -> Change:
    return Change("sheet.csv:2", name, "wx0000000000000001", Path("f.yaml"), "content", keys)


def test_all_kinds() -> None:
    keys = KeyChange("tags", "a, b", "c\x1b"), KeyChange("since", None, "2025-01-01"), KeyChange("secret", "***", "***")
    changes = Changes(new=(change("n"),), changed=(change("c", *keys),), gone=(change("g"),))
    assert as_text(changes) == (
        "New: 1\n"
        "  n (wx0000000000000001)\n"
        "\n"
        "Changed: 1\n"
        "  c (wx0000000000000001)\n"
        "    tags: a, b → c \n"
        "    since: not set → 2025-01-01\n"
        "    secret: another value\n"
        "\n"
        "Gone from the sheet, to be disabled: 1\n"
        "  g (wx0000000000000001)"
    )
    hint = "name the files with `include: d/*.yaml`"
    assert written(changes, Path("d")) == f"d: 1 new, 1 changed, 1 disabled\n{hint}"
    assert written(replace(changes, total=1), Path("d")) == "d: 1 new, 1 changed, 1 disabled"


def test_undecided() -> None:
    assert as_text(Changes(undecided=("a", "b"))) == (
        "2 accounts not found in the sheet. None is disabled: a row without a readable appid may be for one of them."
    )
    assert as_text(Changes(undecided=("a",)), width=80) == (
        "1 account not found in the sheet. None is disabled: a row without a readable\nappid may be for it."
    )


def test_nothing() -> None:
    assert (as_text(Changes()), written(Changes(), Path("d"))) == ("", "d: nothing to write")
