"""Files that a pattern names, and folders that exist and can't be searched for them."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from collector.secrets.files import user_name

LET_READ = "Let that user read it: chgrp it to a group of that user, then chmod g+rX."


def user() -> str:
    """Return the name of the user that this process runs as, for messages."""
    return os.environ.get("USERNAME", "") if sys.platform == "win32" else user_name(os.geteuid())


def is_forbidden(path: Path) -> bool:
    """Return True where a parent folder keeps this user from seeing whether there is such a file."""
    try:
        path.stat()
    except PermissionError:
        return True
    except OSError:
        pass
    return False


def matching(pattern: str, folder: Path) -> list[Path]:
    """Return the files that a pattern names, relative to `folder`, in the order of their names."""
    # Path.glob refuses absolute patterns and matches hidden files, such as those of an editor.
    return [folder / name for name in sorted(glob.glob(pattern, root_dir=folder, recursive=True))]  # noqa: PTH207


def forbidden(pattern: str, folder: Path) -> list[Path]:
    """Return the folders that must be searched for a pattern's files, and can't be; `matching` is silent about them."""
    effective = os.access in os.supports_effective_ids
    closed = (
        path
        for path, needed in _searched(pattern, folder)
        # Path.is_dir raises where a parent folder is forbidden.
        if os.path.isdir(path) and not os.access(path, needed, effective_ids=effective)  # noqa: PTH112
    )
    return [*dict.fromkeys(closed)]  # `d` and `d/**` are one folder


def _searched(pattern: str, folder: Path) -> Iterator[tuple[Path, int]]:
    """Iterate over the folders in which a pattern's files are looked for, each with the rights that this needs."""
    parts = Path(pattern).parts
    for place, part in enumerate(parts):
        needed = os.R_OK | os.X_OK if glob.has_magic(part) else os.X_OK
        for path in matching(os.path.join(*parts[:place]), folder) if place else [folder]:  # noqa: PTH118 (a pattern)
            yield path, needed
