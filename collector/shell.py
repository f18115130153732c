"""Command lines for messages: what the reader can type as it stands."""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import shutil
import sys
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

DISTRIBUTION = "wechat-collector"


def install_line(extra: str) -> str:
    """Return the command that adds `extra` to this installation, from where that was installed."""
    if importlib.util.find_spec("pip") is None:  # a virtual environment that uv made has none
        pip = f"uv pip install --python {shlex.quote(sys.executable)}"
    else:
        beside = Path(sys.executable).with_name("pip")
        is_first = shutil.which("pip") == str(beside)  # another one would install for another Python
        pip = "pip install" if is_first else f"{shlex.quote(sys.executable)} -m pip install"
    checkout = Path(__file__).parents[1]
    if (checkout / "pyproject.toml").is_file():
        return f"{pip} -e {shlex.quote(f'{_short(checkout)}[{extra}]')}"
    source = _source()
    return f"{pip} {shlex.quote(f'{_short(source) if source else DISTRIBUTION}[{extra}]')}"


def command_line(*arguments: str) -> str:
    """Return the command line by which the reader, who has called this command, calls it with other arguments."""
    program = _program()
    on_path = shutil.which("collector")
    is_first = len(program) == 1 and on_path and Path(on_path).resolve() == Path(program[0]).resolve()
    return shlex.join([*(["collector"] if is_first else program), *arguments])


def line_as(user: str) -> str:
    """Return the command line by which this command runs as `user`."""
    is_root = sys.platform != "win32" and os.geteuid() == 0
    # Only root may call `runuser`, which asks for no password and needs no entry in sudoers.
    switch = ["runuser", "-u"] if is_root and shutil.which("runuser") else ["sudo", "-u"]
    return shlex.join([*switch, user, "--", *_program(), *sys.argv[1:]])


def _program() -> list[str]:
    return [sys.executable, "-m", "collector"] if sys.argv[0].endswith("__main__.py") else sys.argv[:1]


def _source() -> Path | None:
    """Return the folder or the wheel from which this was installed, where that is still there."""
    try:
        origin = metadata.distribution(DISTRIBUTION).read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return None
    parts = urlsplit(json.loads(origin)["url"] if origin else "")  # an index leaves no such file
    source = Path(url2pathname(parts.path))
    return source if parts.scheme == "file" and source.exists() else None


def _short(path: Path) -> str:
    """Return `.` for the working directory, as a README has it; else the path."""
    return "." if path.is_dir() and path.samefile(os.curdir) else str(path)
