"""A file that takes nothing more once its writer has failed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO


class Target:
    """A file as long as it is open. What is written to it later is dropped."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.closed = False

    def write(self, data: bytes) -> int:
        """Write to the file."""
        return len(data) if self.closed else self._file.write(data)

    def flush(self) -> None:
        """Flush the file."""
        if not self.closed:
            self._file.flush()

    def close(self) -> None:
        """Drop what comes from now on; the file itself stays open."""
        self.closed = True


@contextmanager
def target_of(file: BinaryIO) -> Iterator[Target]:
    """Give a library a file that is closed where the body fails.

    XlsxWriter and PyArrow would write the end of a file then, so that a part would look like a whole.
    """
    target = Target(file)
    try:
        yield target
    finally:
        target.close()
