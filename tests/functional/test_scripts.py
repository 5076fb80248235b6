"""What the shell scripts say, refuse and leave alone."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from shell import ROOT, SCRIPTS, Shell, bare_shell

COMMANDS = ("onboard.sh", "engine.sh", "base-image.sh", "lock.sh")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return bare_shell(tmp_path)


@pytest.mark.parametrize("name", [*COMMANDS, "test.sh"])
def test_help_says_how_and_does_nothing(shell: Shell, name: str) -> None:
    result = shell.script(name, "--help")
    assert result.returncode == 0
    assert result.stdout.startswith(f"usage: scripts/{name}")
    assert result.stderr == ""


@pytest.mark.parametrize("name", COMMANDS)
def test_unknown_argument_is_usage(shell: Shell, name: str) -> None:
    result = shell.script(name, "--no-such-thing")
    error, hint = result.stderr.splitlines()
    assert result.returncode == 2
    assert error.startswith("error: ")
    assert "--no-such-thing" in error
    assert hint.startswith("hint: ")


def test_base_image_refuses_unknown_source(shell: Shell) -> None:
    assert shell.script("base-image.sh", "--from", "nowhere").returncode == 2
    assert shell.script("base-image.sh", "--from").returncode == 2


def test_machine_without_python_is_told_what_to_type(shell: Shell) -> None:
    result = shell.source('distribution() { echo "debian 12"; }; ensure_environment')
    assert result.returncode == 5
    assert "python3-venv" in result.stderr


def test_machine_without_node_is_told_what_to_type(shell: Shell) -> None:
    result = shell.source('distribution() { echo "debian 12"; }; ensure_node')

    assert result.returncode == 5
    assert "sudo apt-get install nodejs npm" in result.stderr


def test_older_python_is_passed_over(shell: Shell) -> None:
    shell.add("python3", "exit 1")
    shell.add("python3.12", "exit 0")
    assert shell.source("find_python").stdout == "python3.12\n"


def test_current_environment_is_left_alone(shell: Shell) -> None:
    (shell.directory / "requirements.lock").write_text("invoke==1\n")
    folder = shell.directory / ".venv"
    (folder / "bin").mkdir(parents=True)
    for name in ("python", "invoke"):
        (folder / "bin" / name).symlink_to(shell.programs / "true")
    (folder / "installed.lock").write_text("invoke==1\n")
    shell.add("uv", "exit 1")
    result = shell.source('ensure_environment; echo "changes: $CHANGES"')
    assert "changes: 0" in result.stdout, result.stderr
    assert shell.calls("uv") == []
    (shell.directory / "requirements.lock").write_text("invoke==2\n")
    assert shell.source("ensure_environment").returncode == 5
    assert shell.calls("uv")


def test_completion_is_written_once(shell: Shell) -> None:
    folder = shell.directory / ".venv" / "bin"
    folder.mkdir(parents=True)
    (folder / "invoke").write_text("#!/bin/sh\necho complete me\n")
    (folder / "invoke").chmod(0o755)
    text = 'offer_completion; echo "changes: $CHANGES"'
    asked = {"SHELL": "/bin/bash", "ASSUME_YES": "1"}
    assert "changes: 1" in shell.source(text, **asked).stdout
    assert "changes: 0" in shell.source(text, **asked).stdout
    [file] = [p for p in shell.directory.rglob("*completions/invoke") if p.is_file()]
    assert file.read_text() == "complete me\n"


def test_memory_demand_counts_replicas() -> None:
    def limited(size: str, **more: int) -> dict[str, object]:
        return {"deploy": {"resources": {"limits": {"memory": size}}, **more}}

    model = {"services": {"a": limited("100"), "b": limited("10", replicas=2), "c": {}}}
    printed = subprocess.run(
        [sys.executable, SCRIPTS / "lib" / "memory_demand.py"],
        input=json.dumps(model),
        capture_output=True,
        text=True,
        check=True,
    )
    assert printed.stdout == "120\n"


def test_lock_pins_and_hashes_all_that_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    names = {re.split(r"[<>=!~\[; ]", item)[0].lower() for item in asked}
    lock = (ROOT / "requirements.lock").read_text()
    entries = re.findall(
        r"^(\S+)==\S+.*((?:\\\n    --hash=sha256:\w{64} ?)+)", lock, re.MULTILINE
    )
    assert names <= {name for name, _hashes in entries}
    assert len(entries) == len(re.findall("==", re.sub(";.*", "", lock)))


def test_lock_names_no_host() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert not re.search(r"https?:|index-url|find-links", lock)


@pytest.mark.parametrize(
    "path", [*SCRIPTS.glob("*.sh"), ROOT / ".ci" / "run"], ids=lambda path: path.name
)
def test_script_can_be_run(path: Path) -> None:
    assert path.stat().st_mode & 0o111 == 0o111


def test_interruption_is_said_where_a_person_sees_it(shell: Shell) -> None:
    text = (
        "trap 'error interrupted; exit 130' INT\n"
        "as_root() { sleep 0.3; }\n"
        "(sleep 0.1; kill -INT $$) &\n"
        "quietly as_root\n"
    )
    result = shell.source(text)
    assert (result.returncode, result.stderr) == (130, "error: interrupted\n")
