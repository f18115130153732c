"""The folder of a site: what is written, what stays, and what is never touched."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import pytest
from mongods import fill, small_disk

from collector.errors import OutputError, UsageError
from collector.model.reported import Changed
from collector.report.site.folder import MANIFEST, Folder, site_folder


def _site(path: Path, files: Mapping[str, str]) -> Changed:
    with site_folder(path, files) as folder:
        for name, text in files.items():
            folder.write(name, text.encode())
    return folder.changed


def _write_and_stop(folder: Folder) -> NoReturn:
    folder.write("b", b"2")
    raise KeyboardInterrupt


def _files(path: Path) -> dict[str, str]:
    """The files of a folder, without its manifest."""
    found = {str(file.relative_to(path)): file.read_text() for file in path.rglob("*") if file.is_file()}
    return {name: text for name, text in found.items() if name != MANIFEST}


def test_new_folder(tmp_path: Path) -> None:
    """With those above it."""
    path = tmp_path / "new" / "site"
    assert _site(path, {"index.html": "1", "tags/a.html": "2"}) == Changed(written=2)
    assert _files(path) == {"index.html": "1", "tags/a.html": "2"}


def test_only_what_changed_is_written(tmp_path: Path) -> None:
    _site(tmp_path, {"index.html": "1", "tags/a.html": "2"})
    before = {name: (tmp_path / name).stat().st_ino for name in ("index.html", "tags/a.html")}
    assert _site(tmp_path, {"index.html": "1", "tags/a.html": "3"}) == Changed(written=1, kept=1)
    assert [name for name in before if before[name] != (tmp_path / name).stat().st_ino] == ["tags/a.html"]
    assert _files(tmp_path)["tags/a.html"] == "3"


def test_what_went_is_removed(tmp_path: Path) -> None:
    """And its folder, once that is empty."""
    _site(tmp_path, {"index.html": "1", "tags/a.html": "2", "accounts/b.html": "3"})
    (tmp_path / "accounts" / "note.txt").write_text("mine")
    assert _site(tmp_path, {"index.html": "1"}) == Changed(kept=1, removed=2)
    assert _files(tmp_path) == {"index.html": "1", "accounts/note.txt": "mine"}
    assert not (tmp_path / "tags").exists()


def test_file_of_others_under_a_name_that_went(tmp_path: Path) -> None:
    """A file that a site has removed isn't its own any longer."""
    _site(tmp_path, {"a": "1", "b": "2"})
    _site(tmp_path, {"a": "1"})
    (tmp_path / "b").write_text("mine")
    assert _site(tmp_path, {"a": "1"}) == Changed(kept=1)
    assert _files(tmp_path) == {"a": "1", "b": "mine"}


def test_file_that_somebody_removed(tmp_path: Path) -> None:
    _site(tmp_path, {"a": "1", "b": "2"})
    (tmp_path / "a").unlink()
    (tmp_path / "b").unlink()
    assert _site(tmp_path, {"a": "1"}) == Changed(written=1)


@pytest.mark.parametrize("content", ["", "{}", '{"made_by": "others", "files": []}', '{"made_by": 1}', "no JSON"])
def test_manifest_of_something_else(content: str, tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text(content)
    with pytest.raises(UsageError, match=r"site\.json isn't that of a site: name a new or empty folder"):
        _site(tmp_path, {"a": "1"})
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {MANIFEST: content}


@pytest.mark.parametrize("name", ["../mine", "/etc/mine", "a/../../mine", "a\\..\\mine", "", 5])
def test_manifest_removes_nothing_elsewhere(name: object, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("1")
    path = tmp_path / "site"
    _site(path, {"a": "1"})
    (path / MANIFEST).write_text(json.dumps({"made_by": "wechat-collector", "files": [name]}))
    with pytest.raises(UsageError, match="isn't that of a site"):
        _site(path, {"a": "1"})
    assert (tmp_path / "mine").read_text() == "1"


def test_folder_of_others(tmp_path: Path) -> None:
    (tmp_path / "thesis.doc").write_text("mine")
    with pytest.raises(UsageError, match="has other files in it: name a new or empty folder for the site"):
        _site(tmp_path, {"index.html": "1"})
    assert _files(tmp_path) == {"thesis.doc": "mine"}


def test_file_instead_of_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("mine")
    for place in (path, path / "below"):
        with pytest.raises(UsageError, match="isn't a folder"):
            _site(place, {"index.html": "1"})
    assert path.read_text() == "mine"


def test_file_of_others_in_the_way(tmp_path: Path) -> None:
    """Whatever its content is."""
    _site(tmp_path, {"index.html": "1"})
    (tmp_path / "a").write_text("1")
    with pytest.raises(OutputError, match=r"a is in the way, and no site wrote it: move it away"):
        _site(tmp_path, {"index.html": "1", "a": "1"})
    assert _files(tmp_path) == {"index.html": "1", "a": "1"}


def test_stop_leaves_what_is_there(tmp_path: Path) -> None:
    """The next site knows the files of the one that was stopped."""
    _site(tmp_path, {"index.html": "1", "a": "1"})
    with pytest.raises(KeyboardInterrupt), site_folder(tmp_path, ["index.html", "b", "c"]) as folder:
        _write_and_stop(folder)
    assert _files(tmp_path) == {"index.html": "1", "a": "1", "b": "2"}
    assert _site(tmp_path, {"index.html": "1"}) == Changed(kept=1, removed=2)
    assert _files(tmp_path) == {"index.html": "1"}


def test_one_at_a_time(tmp_path: Path) -> None:
    with (
        site_folder(tmp_path, ["a"]),
        pytest.raises(OutputError, match="another report is being written in"),
        site_folder(tmp_path, ["a"]),
    ):
        pass
    assert _site(tmp_path, {"a": "1"}) == Changed(written=1)


def test_full_disk(tmp_path: Path) -> None:
    """The old files stay whole."""
    with small_disk(tmp_path):
        path = tmp_path / "site"
        _site(path, {"index.html": "1", "a": "1"})
        fill(tmp_path / "ballast")
        with pytest.raises(OutputError, match=r"could not write the site in .*: No space left on device"):
            _site(path, {"index.html": "2" * 1_000_000, "a": "1"})
        assert (path / "index.html").read_text() == "1"
