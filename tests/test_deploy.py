"""The files of deploy/ are what systemd and Kubernetes take, and configure what they say."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import dask
import kubernetes_validate
import pytest
import trustme
import typer.main
import yaml
from distributed.cli import dask_scheduler, dask_worker

from collector import config
from collector.cli.app import app
from collector.cluster import tls

Fetch = Callable[..., tuple[int, str | None]]

DEPLOY = Path(__file__).parents[1] / "deploy"
MANIFESTS: list[dict[str, Any]] = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))
CONFIGURATION: dict[str, str] = MANIFESTS[0]["data"]

SITE = "collector-site.conf"

UNITS = sorted([*DEPLOY.glob("*.timer"), *DEPLOY.glob("*.service")])

needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd isn't on this host")


@needs_systemd
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_units_are_what_systemd_takes(unit: Path, tmp_path: Path) -> None:
    instance = unit.name.replace("@.", "@1-2.")
    for each in UNITS:
        text = re.sub("/opt/collector/bin/[a-z]+", shutil.which("true") or "", each.read_text())
        (tmp_path / each.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / instance], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")  # an unknown key is a warning alone


@needs_systemd
def test_instance_names_the_shard() -> None:
    shard = subprocess.run(["systemd-escape", "--unescape", "1-2"], capture_output=True, text=True, check=True).stdout
    assert shard == "1/2\n"
    assert "--shard %I " in (DEPLOY / "collector@.service").read_text()


def test_unit_of_a_shard_is_the_other_one_for_a_part() -> None:
    whole, part = ((DEPLOY / name).read_text().splitlines() for name in ("collector.service", "collector@.service"))
    differ = {(one or two or "").split("=")[0] for one, two in zip_longest(whole[1:], part[2:]) if one != two}
    assert differ == {"Description", "ExecStart"}


@needs_systemd
def test_site_is_written_after_a_run_that_failed(tmp_path: Path) -> None:
    """The drop-in is what systemd takes, and its command one that the collector knows."""
    true = shutil.which("true") or ""
    (tmp_path / "collector.service.d").mkdir()
    for name, copy in (("collector.service", "collector.service"), (SITE, "collector.service.d/site.conf")):
        (tmp_path / copy).write_text((DEPLOY / name).read_text().replace("/opt/collector/bin/collector", true))
    unit = tmp_path / "collector.service"
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    stop = re.search("^ExecStopPost=-/opt/collector/bin/collector (.*)$", (DEPLOY / SITE).read_text(), re.MULTILINE)
    assert stop
    line = stop[1]
    report = typer.main.get_command(app).commands["report"]  # type: ignore[attr-defined] # it is a group
    known = {option for each in report.params for option in each.opts}
    assert line.split()[:2] == ["report", "/srv/collector-site/"]
    assert set(re.findall(r"--[a-z-]+", line)) <= known


def test_settings_of_dask_are_its_own() -> None:
    """It ignores keys that it doesn't know."""
    ours = yaml.safe_load((DEPLOY / "dask.yaml").read_text())["distributed"]
    assert set(_keys(ours)) <= set(_keys(dask.config.get("distributed")))
    for each in ("scheduler", "worker"):
        assert ours[each]["preload"] == [tls.__name__]


@pytest.mark.parametrize(
    ("name", "command"), [("dask-scheduler.service", dask_scheduler), ("dask-worker@.service", dask_worker)]
)
def test_options_of_dask_are_its_own(name: str, command: Any) -> None:
    line = re.findall(r"^ExecStart=((?:.*\\\n)*.*)$", (DEPLOY / name).read_text(), re.MULTILINE)[0]
    known = {option for each in command.main.params for option in [*each.opts, *each.secondary_opts]}
    assert {"--host", "--no-dashboard"} <= set(re.findall(r"--[a-z-]+", line)) <= known


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Fetch]:
    """Fetch from the nginx of `deploy/`, whose folder has an index, a shared file and the list of files."""
    nginx = shutil.which("nginx")
    if not nginx:
        pytest.skip("nginx isn't on this host")
    root, certificate = tmp_path / "root", trustme.CA().issue_cert("localhost")
    (root / "assets").mkdir(parents=True)
    for name in ("index.html", "assets/page-1.js", "site.json"):
        (root / name).write_text("1")
    (tmp_path / "passwords").write_text("alice:{PLAIN}secret\n")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "pem")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    text = (DEPLOY / "nginx.conf").read_text()
    for pattern, here in (
        (r"listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        (r"listen \[::\]:443 ssl;", ""),
        (r"/etc/ssl/\S+(pem|key)", f"{tmp_path}/pem"),
        (r"/srv/collector-site;", f"{root};"),
        (r"/etc/nginx/collector.htpasswd;", f"{tmp_path}/passwords;"),
    ):
        text, count = re.subn(pattern, here, text)
        assert count, pattern
    process = f"daemon off; user root; pid {tmp_path}/pid; error_log {tmp_path}/log; events {{}}"
    (tmp_path / "nginx.conf").write_text(f"{process} http {{ access_log off; {text} }}")
    with subprocess.Popen([nginx, "-p", tmp_path, "-c", tmp_path / "nginx.conf"]) as server:
        yield partial(_fetched, port)
        server.terminate()


def _fetched(port: int, path: str, password: str = "") -> tuple[int, str | None]:
    """Return the status and Cache-Control; nginx may still be starting."""
    trusting = ssl._create_unverified_context()
    headers = {"Authorization": f"Basic {b64encode(f'alice:{password}'.encode()).decode()}"} if password else {}
    request = Request(f"https://127.0.0.1:{port}{path}", headers=headers)
    for attempt in range(100):
        try:
            with urlopen(request, context=trusting) as answer:
                return answer.status, answer.headers["Cache-Control"]
        except HTTPError as refusal:
            return refusal.code, None
        except URLError:
            time.sleep(0.05 if attempt < 99 else 0)
    raise AssertionError("nginx doesn't answer")


def test_site_is_served_behind_a_password(served: Fetch) -> None:
    """Pages are asked for again each time, shared files are kept, and the list of files isn't served."""
    assert served("/") == served("/index.html") == served("/", "wrong") == (401, None)
    assert served("/", "secret") == (200, "private, no-cache")
    assert served("/assets/page-1.js", "secret") == (200, "private, max-age=31536000, immutable")
    assert served("/site.json", "secret") == (404, None)


def _keys(settings: object, above: str = "") -> Iterator[str]:
    """The keys of settings, with those that they are below."""
    for key, value in settings.items() if isinstance(settings, dict) else ():
        yield f"{above}{key}"
        yield from _keys(value, f"{above}{key}.")


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda manifest: manifest["metadata"]["name"])
def test_manifests_are_what_kubernetes_takes(manifest: dict[str, Any]) -> None:
    kubernetes_validate.validate(manifest, "1.37", strict=True)


def test_configuration_of_kubernetes_is_valid(tmp_path: Path) -> None:
    file = tmp_path / "accounts.yaml"
    file.write_text(CONFIGURATION["accounts.yaml"])
    settings = config.load([file], {}, datetime.now(UTC))
    jobs = [manifest["spec"]["jobTemplate"]["spec"] for manifest in MANIFESTS[1:]]
    labels = {job["template"]["spec"]["nodeSelector"]["egress"] for job in jobs}
    assert settings.egress_labels == labels
    for job in jobs:
        command = job["template"]["spec"]["containers"][0]["command"]
        assert f"index/{job['completions']}" in command
        assert job["template"]["spec"]["nodeSelector"]["egress"] in command


@pytest.mark.parametrize(("code", "expected"), [(0, 0), (3, 3), (1, 1), (11, 0), (75, 0), (78, 78)])
def test_pod_ends_as_the_run_did(code: int, expected: int, tmp_path: Path) -> None:
    pod = _begun(f'[ "$*" = "run --shard index/2" ] && exit {code}', tmp_path)
    pod.communicate()
    assert pod.returncode == expected


def test_pod_lets_the_run_drain(tmp_path: Path) -> None:
    """The signal that ends a pod reaches the collector, whose end is waited for."""
    drains = 'trap "echo drained; exit 143" TERM; echo at work; while :; do sleep 0.05; done'
    pod = _begun(drains, tmp_path)
    assert pod.stdout
    assert pod.stdout.readline() == "at work\n"
    pod.send_signal(signal.SIGTERM)
    assert pod.communicate()[0] == "drained\n"
    assert pod.returncode == 0


def _begun(collector: str, folder: Path) -> subprocess.Popen[str]:
    """Begin the pod's command with this script in the collector's place."""
    (folder / "run.sh").write_text(CONFIGURATION["run.sh"])
    program = folder / "collector"
    program.write_text(f"#!/bin/sh\n{collector}\n")
    program.chmod(0o755)
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    return subprocess.Popen(
        ["sh", str(folder / "run.sh"), "--shard", "index/2"],
        env=os.environ | {"PATH": path},
        stdout=subprocess.PIPE,
        text=True,
    )
