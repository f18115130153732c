import os
from pathlib import Path

import pytest


@pytest.fixture
def pipe(tmp_path: Path) -> tuple[str, int]:
    """A named pipe, and its end to read from."""
    path = tmp_path / "pipe"
    os.mkfifo(path, 0o600)
    return str(path), os.open(path, os.O_RDONLY | os.O_NONBLOCK)
