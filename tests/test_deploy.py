"""The files of deploy/ are what systemd and Kubernetes take, and configure what they say."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any

import dask
import kubernetes_validate
import pytest
import yaml
from distributed.cli import dask_scheduler, dask_worker

from collector import config
from collector.cluster import tls

DEPLOY = Path(__file__).parents[1] / "deploy"
MANIFESTS: list[dict[str, Any]] = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))
CONFIGURATION: dict[str, str] = MANIFESTS[0]["data"]

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
