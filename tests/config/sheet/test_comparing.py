"""The sheet is the master of the files that import wrote, and of no others."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from collector.config import load
from collector.config.sheet import folder
from collector.config.show import MASK
from collector.errors import ConfigError, Fault
from collector.model.changes import Changes, KeyChange

NOW = datetime(2026, 11, 24, tzinfo=UTC)
INTO = Path("accounts.d")
HEAD = "name,appid,secret,tags\n"
A, B, C = (f"wx{number:016x}" for number in (1, 2, 3))
SHEET = f"{HEAD}a,{A},sa,retail\nb,{B},sb,\nc,{C},sc,\n"

Import = Callable[..., Changes]
Write = Callable[..., Path]


def file_of(appid: str) -> str:
    return folder.path_of(INTO, appid).read_text(encoding="utf-8")


def enabled() -> list[str]:
    return [account.name for account in load(sorted(INTO.glob("*.yaml")), {}, NOW).accounts if account.enabled]


def test_new_rows_alone_without_update(imports: Import) -> None:
    """A changed row is named, and what is gone stays."""
    imports(SHEET)
    changes = imports(f"{HEAD}a,{A},sa,food\nd,wx{4:016x},sd,\n")
    message = f"accounts.d/{A}.yaml has other values for this account: `tags`"
    assert changes.faults == (Fault("sheet.csv:2", message, "See what changes, and write it, with --update."),)
    assert ([change.name for change in changes.new], changes.changed, changes.gone) == (["d"], (), ())
    assert enabled() == ["a", "b", "c", "d"]
    assert "retail" in file_of(A)


def test_same_sheet(imports: Import) -> None:
    """Nothing is written again."""
    imports(SHEET)
    before = {path: path.stat() for path in INTO.iterdir()}
    changes = imports(SHEET, update=True)
    assert (changes.all, changes.faults, len(changes.kept)) == ((), (), 3)
    assert {path: path.stat() for path in INTO.iterdir()} == before


def test_changed_keys(imports: Import) -> None:
    """Old and new values are told, but of secrets and proxies."""
    head = "name,appid,secret,tags,since,proxy\n"
    imports(f"{head}a,{A},sa,retail,2025-01-01,http://u:p@h:1\n")
    changes = imports(f"{head}a2,{A},sa2,,2025-01-02,http://u:p2@h:1\n", update=True)
    (change,) = changes.changed
    assert change.keys == (
        KeyChange("name", "a", "a2"),
        KeyChange("secret", MASK, MASK),
        KeyChange("tags", "retail", None),
        KeyChange("since", "2025-01-01", "2025-01-02"),
        KeyChange("proxy", MASK, MASK),
    )
    assert "sa2" not in repr(changes)
    assert file_of(A) == (
        f'accounts:\n  - name: "a2"\n    appid: "{A}"\n    secret: "sa2"\n    since: 2025-01-02\n'
        '    proxy: "http://u:p2@h:1"\n'
    )


def test_what_the_sheet_is_silent_about(imports: Import) -> None:
    """A column that isn't there, and an empty secret, leave what the file has."""
    imports(SHEET)
    assert imports(f"appid,name,secret\n{A},a,\n{B},b,\n{C},c,\n", update=True).all == ()


def test_gone_and_back(imports: Import) -> None:
    imports(SHEET)
    (change,) = imports(f"{HEAD}a,{A},sa,retail\nb,{B},sb,\n", update=True).gone
    assert change.name == "c"
    assert file_of(C) == f'accounts:\n  - name: "c"\n    appid: "{C}"\n    secret: "sc"\n    enabled: false\n'
    assert imports(f"{HEAD}a,{A},sa,retail\nb,{B},sb,\n", update=True).all == ()
    (change,) = imports(SHEET, update=True).changed
    assert change.keys == (KeyChange("enabled", "false", "true"),)
    assert enabled() == ["a", "b", "c"]


def test_disabled_in_the_sheet(imports: Import) -> None:
    """It isn't enabled again, and it isn't gone."""
    imports(SHEET)
    sheet = f"name,appid,enabled\na,{A},是\nb,{B},否\nc,{C},\n"
    assert [change.name for change in imports(sheet, update=True).changed] == ["b"]
    assert imports(sheet, update=True).all == ()
    assert enabled() == ["a", "c"]


@pytest.mark.parametrize("false", ["false", "False", "FALSE"])
def test_disabled_by_hand(imports: Import, false: str) -> None:
    """It isn't gone once more, nor counted among those that may be, and the sheet's `no` says the same."""
    imports(SHEET)
    folder.path_of(INTO, C).write_text(f"{file_of(C)}    enabled: {false}\n")
    gone = imports(f"{HEAD}a,{A},sa,retail\nb,{B},sb,\n", update=True)
    same = imports(f"name,appid,enabled\na,{A},\nb,{B},\nc,{C},no\n", update=True)
    assert (gone.all, gone.faults, gone.total, same.all, same.faults) == ((), (), 2, (), ())


def test_enabled_in_the_sheet(imports: Import) -> None:
    """It is what a file means that says nothing."""
    imports(f"name,appid,secret,enabled\na,{A},sa,yes\n")
    assert file_of(A) == f'accounts:\n  - name: "a"\n    appid: "{A}"\n    secret: "sa"\n'


def test_row_with_faults_is_not_gone(imports: Import) -> None:
    imports(SHEET)
    changes = imports(f"{HEAD}a,{A},s a,\nb,{B},sb,\nc,{C},sc,\n", update=True)
    assert [fault.where for fault in changes.faults] == ["sheet.csv:2"]
    assert changes.all == ()


def test_row_without_readable_appid(imports: Import) -> None:
    """It may be that of any account, so nobody is gone."""
    imports(SHEET)
    changes = imports(f"{HEAD}a,{A},sa,food\nb,{B[:-1]},sb,\n", update=True)
    assert ([change.name for change in changes.changed], changes.gone, changes.undecided) == (["a"], (), ("b", "c"))
    assert enabled() == ["a", "b", "c"]


def test_row_without_readable_appid_and_a_file_changed_by_hand(imports: Import) -> None:
    """It may be that of the file, which isn't to be changed then."""
    imports(SHEET)
    folder.path_of(INTO, C).write_text(f"# as agreed\n{file_of(C)}")
    changes = imports(f"{HEAD}a,{A},sa,retail\nb,{B},sb,\nc,{C[:-1]},sc,\n", update=True)
    assert ([fault.where for fault in changes.faults], changes.undecided) == (["sheet.csv:4"], ("c",))


@pytest.mark.parametrize(("total", "gone", "many"), [(10, 1, False), (10, 2, True), (9, 1, True), (21, 2, False)])
def test_many_gone(imports: Import, total: int, gone: int, many: bool) -> None:
    rows = [f"c{n},wx{n:016x},s,\n" for n in range(total)]
    imports(HEAD + "".join(rows))
    changes = imports(HEAD + "".join(rows[gone:]), update=True)
    assert (changes.total, len(changes.gone), changes.are_many_gone) == (total, gone, many)


def test_names_that_change_places(imports: Import) -> None:
    imports(SHEET)
    changes = imports(f"{HEAD}b,{A},sa,retail\na,{B},sb,\nc,{C},sc,\n", update=True)
    assert ([change.name for change in changes.changed], changes.faults) == (["b", "a"], ())


def test_name_of_an_account_that_is_gone(imports: Import) -> None:
    """Two files would have the same name, and both fail. Who waits for a name that isn't free is left out, too."""
    imports(SHEET)
    changes = imports(f"{HEAD}c,{A},sa,retail\na,{B},sb,\n", update=True)
    remedy = "Give each account its own `name`, or remove that one."
    assert changes.faults == (
        Fault("sheet.csv:2", f"`name` is taken by the account at accounts.d/{C}.yaml:2", remedy),
        Fault("sheet.csv:3", f"`name` is taken by the account at accounts.d/{A}.yaml:2", remedy),
    )
    assert [change.name for change in changes.all] == ["c"]  # gone


BY_HAND = [
    lambda text: "# as agreed with Ms Li\n" + text,
    lambda text: text + "    token: classic\n",
    lambda text: text + "    since:\n",
    lambda text: text.replace('"sa"', "${ACME_SECRET:-sa}"),
    lambda text: text + f"  - {{name: z, appid: wx{9:016x}, secret: s}}\n",
]


@pytest.mark.parametrize("edit", BY_HAND, ids=["comment", "key", "blank key", "variable", "two accounts"])
def test_file_changed_by_hand(imports: Import, edit: Callable[[str], str]) -> None:
    """It stays as it is: a row with its values is right, any other is left out, and so is one that is gone."""
    imports(SHEET)
    path = folder.path_of(INTO, A)
    text = edit(file_of(A))
    path.write_text(text)
    same = imports(SHEET, update=True)
    changed = imports(SHEET.replace("retail", "food"), update=True)
    gone = imports(f"{HEAD}b,{B},sb,\nc,{C},sc,\n", update=True)
    assert (same.all, same.faults, changed.all, gone.all) == ((), (), (), ())
    assert same.kept == (folder.path_of(INTO, B), folder.path_of(INTO, C))
    assert [fault.where for fault in changed.faults] == ["sheet.csv:2"]
    assert "which import didn't write as it is, has other values: `tags`" in changed.faults[0].message
    assert [fault.where.partition(":")[0] for fault in gone.faults] == [str(path)]
    assert path.read_text() == text


def test_files_of_other_names(imports: Import, write: Write) -> None:
    """Their accounts aren't the sheet's: none is gone, and a row for one of them isn't written a second time."""
    text = f"accounts:\n- {{name: a, appid: {A}, secret: sa}}\n- {{name: z, appid: wx{9:016x}, secret: s}}\n"
    mine = write(text, "accounts.d/mine.yaml")
    changes = imports(f"{HEAD}a,{A},sa,\nb,{B},sb,\nz,{C},sc,\n", update=True)
    assert [change.name for change in changes.new] == ["b"]
    assert [fault.message for fault in changes.faults] == ["`name` is taken by the account at accounts.d/mine.yaml:3"]
    changes = imports(f"{HEAD}a,{A},other,\nb,{B},sb,\n", update=True)
    what = "accounts.d/mine.yaml:2, which import didn't write as it is, has other values: `secret`"
    assert [fault.message for fault in changes.faults] == [what]
    assert changes.all == ()
    assert mine.read_text() == text


def test_hidden_file(imports: Import, write: Write) -> None:
    """An editor's copy of a file isn't the collector's either."""
    write(f"accounts:\n- {{name: a, appid: {A}, secret: other}}\n", f"accounts.d/.{A}.yaml")
    changes = imports(SHEET)
    assert ([change.name for change in changes.new], changes.faults) == (["a", "b", "c"], ())


def test_unreadable_file(imports: Import, write: Write) -> None:
    """It is named, and blocks nothing else."""
    write("accounts: [", "accounts.d/mine.yaml")
    changes = imports(SHEET)
    assert ([fault.where for fault in changes.faults], len(changes.new)) == (["accounts.d/mine.yaml:1"], 3)


def test_folder_that_is_a_file(imports: Import, write: Write) -> None:
    write("", "accounts.d")
    with pytest.raises(ConfigError) as caught:
        imports(SHEET)
    assert caught.value.faults == (Fault("accounts.d", "could not read the folder: Not a directory", "Name a folder."),)


def secret_of(appid: str) -> str:
    return Path("secrets", appid).read_text()


def test_secrets_in_files(imports: Import) -> None:
    """Each is in a file of its own, to which the configuration refers; a new one is written there."""
    imports(SHEET, secrets_dir=Path("secrets"))
    path = Path("secrets", A)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (secret_of(A), f'secret: {{file: "{path.absolute()}"}}\n' in file_of(A)) == ("sa\n", True)
    assert len(enabled()) == 3
    assert imports(SHEET, update=True, secrets_dir=Path("secrets")).all == ()
    for given in (Path("secrets"), None):  # it stays where it is
        (change,) = imports(SHEET.replace("sa", f"n{given}"), update=True, secrets_dir=given).changed
        shown = f"file {path.absolute()}"
        assert (change.keys, secret_of(A)) == ((KeyChange("secret", shown, shown),), f"n{given}\n")
    path.unlink()
    assert [each.name for each in imports(SHEET, update=True).changed] == ["a"]
    assert secret_of(A) == "sa\n"


def test_secrets_move_into_files(imports: Import) -> None:
    imports(SHEET)
    (change, *_) = imports(SHEET, update=True, secrets_dir=Path("secrets")).changed
    assert change.keys == (KeyChange("secret", MASK, f"file {Path('secrets', A).absolute()}"),)
    assert "sa" not in file_of(A)
    assert secret_of(A) == "sa\n"


def test_secret_in_a_file_named_by_hand(imports: Import, write: Write) -> None:
    """A relative path is taken from the folder of the configuration."""
    write("sa\n", "secrets/acme")
    write(f"accounts:\n  - {{name: a, appid: {A}, secret: {{file: ../secrets/acme}}}}\n", f"accounts.d/{A}.yaml")
    assert imports(f"{HEAD}a,{A},sa,\n", update=True, secrets_dir=Path("secrets")).faults == ()
    (fault,) = imports(f"{HEAD}a,{A},other,\n", update=True).faults
    assert "other values: `secret`" in fault.message
    assert Path("secrets/acme").read_text() == "sa\n"


def test_relative_path_of_a_secret(imports: Import) -> None:
    """It names the same file as `--secrets-dir` does."""
    imports(SHEET, secrets_dir=Path("secrets"))
    path = folder.path_of(INTO, A)
    path.write_text(file_of(A).replace(str(Path("secrets").absolute()), "../secrets"))
    assert imports(SHEET, update=True, secrets_dir=Path("secrets")).all == ()


def test_secret_file_of_other_bytes(imports: Import) -> None:
    imports(SHEET, secrets_dir=Path("secrets"))
    Path("secrets", A).write_bytes(b"\xff\n")
    assert [change.name for change in imports(SHEET, update=True).changed] == ["a"]
    assert secret_of(A) == "sa\n"


def test_unreadable_secret(imports: Import) -> None:
    imports(SHEET, secrets_dir=Path("secrets"))
    path = Path("secrets", A)
    path.unlink()
    os.mkdir(path)  # noqa: PTH102
    changes = imports(SHEET, update=True)
    what = f"could not read {path.absolute()}, which has the secret: Is a directory"
    assert [fault.message for fault in changes.faults] == [what]
