"""The commands in the labels of the compose files, with what the stores may answer."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml
from repository import BASE_FILE, ROOT


def run(
    service: str, label: str, path: Path, *, shell: str = "sh"
) -> subprocess.CompletedProcess[str]:
    """Run a label's command with the programs in *path* before all others."""
    services = yaml.safe_load((ROOT / BASE_FILE).read_text())["services"]
    command = services[service]["labels"][f"compose-ops.{label}"].replace("$$", "$")
    return subprocess.run(
        [shell, "-c", command],
        env=os.environ | {"PATH": f"{path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )


def program(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o700)
    return folder


def curl(folder: Path, *, https: str, http: str = "exit 7") -> Path:
    """Put a curl there that does as told for each scheme, and asks for JSON."""
    text = f"""
case $* in *'Accept: application/json'*) ;; *) echo 'ScavengeId: 1'; exit ;; esac
case $* in *https://*) {https} ;; *) {http} ;; esac"""
    return program(folder, "curl", text)


IDLE = """echo '{"scavengeId": "", "scavengeLink": ""}'"""
BUSY = """echo '{"scavengeId": "3b7f", "scavengeLink": "/admin/scavenge/3b7f"}'"""


@pytest.mark.parametrize(("https", "http"), [(IDLE, "exit 7"), ("exit 35", IDLE)])
def test_eventstore_without_a_scavenge_is_copied_while_it_runs(
    tmp_path: Path, https: str, http: str
) -> None:
    """With certificates, and insecure."""
    done = run(
        "eventstore", "backup.native.prepare", curl(tmp_path, https=https, http=http)
    )

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("https", "http", "why"),
    [
        (BUSY, "exit 7", "a scavenge runs"),
        ("exit 35", BUSY, "a scavenge runs"),
        ("exit 22", "exit 52", "it does not say whether a scavenge runs"),
        ("echo '{}'", "exit 7", "it does not say whether a scavenge runs"),
        ("echo 'ScavengeId: 1'", "exit 7", "it does not say whether a scavenge runs"),
        ("exit 28", "exit 28", "it does not say whether a scavenge runs"),
    ],
    ids=["busy", "insecure and busy", "401", "empty", "text", "late"],
)
def test_eventstore_that_may_scavenge_is_not_copied_while_it_runs(
    tmp_path: Path, https: str, http: str, why: str
) -> None:
    """A scavenge removes chunks under the copy; no answer is no leave."""
    done = run(
        "eventstore", "backup.native.prepare", curl(tmp_path, https=https, http=http)
    )

    assert done.returncode != 0
    assert done.stderr.strip() == why
