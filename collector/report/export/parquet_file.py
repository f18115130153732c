"""Rows as Parquet; the only door to PyArrow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

from collector.errors import UsageError
from collector.report.export.rows import Column, Kind, Row
from collector.report.export.target import target_of
from collector.shell import install_line

ROWS_AT_ONCE = 50_000
"""Rows of a row group, which are in memory together: some 20 MB."""


@contextmanager
def parquet_writer(file: BinaryIO, columns: Sequence[Column]) -> Iterator[Callable[[Iterable[Row]], None]]:
    """Write rows as Parquet, compressed with Zstandard. Days are dates, and texts of several a list.

    Raises `UsageError` where PyArrow isn't installed.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415 (an extra)
        from pyarrow import parquet  # noqa: PLC0415
    except ModuleNotFoundError:
        raise UsageError(f"Parquet needs the extra `export`: {install_line('export')}. CSV needs nothing") from None
    types = {
        Kind.TEXT: pa.string(),
        Kind.TEXTS: pa.list_(pa.string()),
        Kind.DAY: pa.date32(),
        Kind.NUMBER: pa.int64(),
    }
    schema = pa.schema([(column.name, types[column.kind]) for column in columns])
    held: list[Row] = []

    def flush() -> None:
        arrays = [pa.array(values, field.type) for values, field in zip(zip(*held, strict=True), schema, strict=True)]
        written.write_batch(pa.record_batch(arrays, schema=schema))
        held.clear()

    def write(rows: Iterable[Row]) -> None:
        held.extend(rows)
        if len(held) >= ROWS_AT_ONCE:
            flush()

    # Its own `with` would make a valid file of the rows so far where something fails.
    with target_of(file) as target:
        written = parquet.ParquetWriter(target, schema, compression="zstd")
        yield write
        if held:
            flush()
        written.close()
