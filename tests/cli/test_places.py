"""The options that say where a run is done."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from collector.cli import app as commands
from collector.cli import places
from collector.cli.app import app
from collector.cluster.engine import Local, Remote
from collector.cluster.spread import Spread
from collector.errors import ConfigError, UsageError
from collector.shell import install_line

ACCOUNT = {"name": "a", "appid": "wx0123456789abcdef", "secret": "x"}
SHARED = {"mongodb": {"uri": "mongodb://db.test"}}


class Asked(Exception):  # noqa: N818 - no error: it ends the command before anything is done
    """The run that a command would have started."""


@pytest.fixture
def spread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return how the command would spread a run, or raise what it raises."""

    def asked(_common: object, _job: object, spread: Spread | None, *, dry_run: bool) -> None:
        raise Asked(spread)

    monkeypatch.setattr(commands, "run_or_plan", asked)

    def of(*arguments: str, **sections: Any) -> Any:
        file = tmp_path / "accounts.yaml"
        file.write_text(json.dumps({"accounts": [ACCOUNT], **sections}))
        ended = CliRunner().invoke(app, ["run", *arguments, "-c", str(file)])
        if isinstance(ended.exception, Asked):
            return ended.exception.args[0]
        assert ended.exception, ended.output
        raise ended.exception

    return of


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    options = []
    for name in ("ca", "cert", "key"):
        (tmp_path / name).touch()
        options += [f"--dask-{name}", str(tmp_path / name)]
    return options


def test_one_process(spread: Any) -> None:
    assert spread() is None
    assert spread("--processes", "1", run={"processes": "4"}) is None


def test_processes(spread: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "_cores", lambda: 8)
    assert spread("--processes", "3", run={"processes": "4"}).place == Local(3)
    assert spread(run={"processes": "4"}).place == Local(4)
    assert spread(run={"processes": "auto"}).place == Local(8)
    assert spread("--processes", "auto").place == Local(8)


@pytest.mark.parametrize("number", ["0", "257", "-1", "many", ""])
def test_no_number_of_processes(spread: Any, number: str) -> None:
    with pytest.raises(SystemExit) as ended:
        spread("--processes", number)
    assert ended.value.code == 2


def test_cluster(spread: Any, files: list[str]) -> None:
    place = spread("--dask", "tls://10.0.0.2:8786", *files, **SHARED).place
    assert place == Remote("tls://10.0.0.2:8786", *map(Path, files[1::2]))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "[::1]", "localhost"])
def test_without_encryption_on_loopback_alone(spread: Any, host: str) -> None:
    assert spread("--dask", f"tcp://{host}:8786", **SHARED).place == Remote(f"tcp://{host}:8786")


@pytest.mark.parametrize("host", ["10.0.0.2", "dask.test", "0.0.0.0", "[::]", "localhost.test"])
def test_no_encryption(spread: Any, host: str) -> None:
    with pytest.raises(UsageError, match="has no encryption: use tls:// for any host but this one"):
        spread("--dask", f"tcp://{host}:8786", **SHARED)


@pytest.mark.parametrize(
    "address", ["10.0.0.2:8786", "http://10.0.0.2:8786", "tls://10.0.0.2", "tls://h:x", "tls://:1"]
)
def test_no_address(spread: Any, files: list[str], address: str) -> None:
    with pytest.raises(UsageError, match="is no address of a Dask scheduler: write it as tls://HOST:8786"):
        spread("--dask", address, *files, **SHARED)


def test_files(spread: Any, files: list[str]) -> None:
    with pytest.raises(UsageError, match="needs --dask-ca, --dask-cert and --dask-key"):
        spread("--dask", "tls://10.0.0.2:8786", *files[:4], **SHARED)
    with pytest.raises(UsageError, match="are for tls://"):
        spread("--dask", "tcp://127.0.0.1:8786", *files, **SHARED)
    with pytest.raises(UsageError, match="need --dask"):
        spread(*files)
    with pytest.raises(UsageError, match="exclude each other"):
        spread("--dask", "tcp://127.0.0.1:8786", "--processes", "2", **SHARED)


def test_local_mongod(spread: Any, files: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"accounts\.yaml: --dask needs a MongoDB that all hosts share"):
        spread("--dask", "tls://10.0.0.2:8786", *files)


def test_extra_is_missing(spread: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("collector.cluster")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=re.escape(f"need the extra `cluster`: {install_line('cluster')}")):
        spread("--processes", "2")
