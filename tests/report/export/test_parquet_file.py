"""Parquet, read back by PyArrow and by DuckDB."""

from __future__ import annotations

import gc
import sys
from contextlib import suppress
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from pyarrow import parquet
from report.export.samples import COLUMNS, DAY, HOSTILE, NAMES, ROWS, row

from collector.errors import UsageError
from collector.report.export import parquet_file
from collector.report.export.parquet_file import parquet_writer
from collector.shell import install_line


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of several row groups."""
    monkeypatch.setattr(parquet_file, "ROWS_AT_ONCE", 10)
    with (tmp_path / "out.parquet").open("wb") as file, parquet_writer(file, COLUMNS) as write:
        for each in ROWS:
            write([each])
    return tmp_path / "out.parquet"


def test_read_back(path: Path) -> None:
    """All is as it was: texts, days, lists, and None where nothing is stored."""
    table = parquet.read_table(path)
    assert table.to_pylist() == [
        dict(zip(NAMES, ("wx1", name, ["=tag", "b"], DAY, 5, 2, 3, None), strict=True)) for name in HOSTILE
    ]
    types = [pa.string(), pa.string(), pa.list_(pa.string()), pa.date32(), *[pa.int64()] * 4]
    assert [(field.name, field.type) for field in table.schema] == [*zip(NAMES, types, strict=True)]
    assert parquet.ParquetFile(path).num_row_groups == 3


def test_duckdb(path: Path) -> None:
    query = f"select count(*), sum(net_user), count(cumulate_user), max(ref_date), any_value(tags) from '{path}'"
    assert duckdb.execute(query).fetchall() == [(len(HOSTILE), 3 * len(HOSTILE), 0, DAY, ["=tag", "b"])]


def test_no_tags(tmp_path: Path) -> None:
    """An empty list, not a missing one."""
    with (tmp_path / "out.parquet").open("wb") as file, parquet_writer(file, COLUMNS) as write:
        write([row("a", tags=())])
    assert parquet.read_table(tmp_path / "out.parquet")["tags"].to_pylist() == [[]]


def test_part_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where something fails in mid way, what is written by then can't be taken for a whole file."""
    monkeypatch.setattr(parquet_file, "ROWS_AT_ONCE", 10)
    with (tmp_path / "part").open("wb") as file, suppress(ZeroDivisionError), parquet_writer(file, COLUMNS) as write:
        write(ROWS)
        raise ZeroDivisionError
    gc.collect()
    with pytest.raises(pa.ArrowInvalid):
        parquet.read_table(tmp_path / "part")


def test_missing_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with (tmp_path / "out.parquet").open("wb") as file, pytest.raises(UsageError) as caught:
        parquet_writer(file, COLUMNS).__enter__()
    assert install_line("export") in str(caught.value)
