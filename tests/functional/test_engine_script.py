"""Finding, installing and starting an engine, on machines that tests make up."""

import subprocess
from pathlib import Path

import pytest
from shell import Shell, bare_shell

LIVE = """
case "$*" in
"version --format {{.Server.Version}}") echo "${ENGINE:-26.1.5}" ;;
"compose version --short") echo "${COMPOSE:-2.26.1-4}" ;;
"buildx version") echo "github.com/docker/buildx 0.13.1 hash" ;;
esac
"""
CLIENT_ONLY = """
case "$*" in
version) echo "Cannot connect to the Docker daemon" >&2; exit 1 ;;
*) echo "docker: unknown command" >&2; exit 1 ;;
esac
"""
FORBIDDEN = """
case "$*" in
version) echo "permission denied while trying to connect" >&2 ;;
"compose version --short") echo 2.26.1; exit 0 ;;
"buildx version") echo "buildx 0.13.1"; exit 0 ;;
esac
exit 1
"""


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return bare_shell(tmp_path)


def test_engine_that_answers_is_used_as_it_is(shell: Shell) -> None:
    shell.add("docker", LIVE)
    shell.add("apt-get", "exit 1")
    result = shell.script("engine.sh", "--yes")
    assert result.returncode == 0, result.stderr
    assert "26.1.5" in result.stdout
    assert shell.calls("apt-get") == []


@pytest.mark.parametrize(
    ("variable", "version"), [("ENGINE", "20.10.24"), ("COMPOSE", "2.24.3")]
)
def test_older_version_is_named_and_left_alone(
    shell: Shell, variable: str, version: str
) -> None:
    shell.add("docker", LIVE)
    shell.add("apt-get", "exit 1")
    result = shell.script("engine.sh", "--yes", **{variable: version})
    assert result.returncode == 5
    assert version in result.stderr
    assert "hint: " in result.stderr
    assert shell.calls("apt-get") == []


def test_check_without_engine_changes_nothing(shell: Shell) -> None:
    shell.add("docker", CLIENT_ONLY)
    shell.add("apt-get", "exit 1")
    shell.add("dockerd", "exit 1")
    assert shell.script("engine.sh", "--check").returncode == 5
    assert shell.calls("apt-get") == shell.calls("dockerd") == []


def test_forbidden_engine_is_neither_installed_nor_started(shell: Shell) -> None:
    shell.add("docker", FORBIDDEN)
    shell.add("dockerd", "exit 1")
    result = shell.script("engine.sh", "--yes")
    assert result.returncode == 5
    assert "usermod -aG docker" in result.stderr
    assert shell.calls("dockerd") == []


def test_nobody_to_ask_installs_nothing(shell: Shell) -> None:
    shell.add("docker", CLIENT_ONLY)
    shell.add("apt-get", "exit 1")
    result = shell.source('distribution() { echo "debian 12"; }; ensure_engine')
    assert result.returncode == 5
    assert len(result.stderr.splitlines()) == 4
    assert shell.calls("apt-get") == []


@pytest.mark.parametrize("manager", ["dnf", "pacman", "zypper", "apk"])
def test_unknown_distribution_gets_two_lines_to_type(
    shell: Shell, manager: str
) -> None:
    shell.add(manager, "exit 1")
    result = shell.source(
        'distribution() { echo "other 1"; }; ensure_engine', ASSUME_YES="1"
    )
    _error, _hint, install, start = result.stderr.splitlines()
    assert result.returncode == 5
    assert install.split()[:2] == ["sudo", manager]
    assert start.split()[0] == "sudo"
    assert shell.calls(manager) == []


def test_only_missing_plugin_is_installed(shell: Shell) -> None:
    no_compose = LIVE.replace('echo "${COMPOSE:-2.26.1-4}"', "exit 1")
    shell.add("docker", no_compose)
    shell.add("dockerd", "exit 1")
    result = shell.source("engine_packages /trixie")
    assert result.stdout.split() == ["docker-compose/trixie"]


@pytest.mark.parametrize(
    "plan",
    [
        "1 upgraded, 4 newly installed, 0 to remove and 3 not upgraded.",
        "0 upgraded, 4 newly installed, 2 to remove and 3 not upgraded.",
    ],
)
def test_installation_that_would_touch_others_is_refused(
    shell: Shell, plan: str
) -> None:
    shell.add("apt-get", f'printf "Reading package lists...\\n{plan}\\n"')
    result = shell.source("install_packages docker.io/trixie")
    assert result.returncode != 0
    assert plan in result.stderr
    assert [call.split()[:2] for call in shell.calls("apt-get")] == [
        ["install", "--simulate"]
    ]


def test_installation_that_only_adds_goes_ahead(shell: Shell) -> None:
    plan = "0 upgraded, 4 newly installed, 0 to remove and 3 not upgraded."
    shell.add("apt-get", f'printf "Reading package lists...\\n{plan}\\n"')
    shell.add("sudo", '[ "$1" = -- ] && shift; exec "$@"')
    result = shell.source("install_packages docker.io/trixie")
    assert result.returncode == 0, result.stderr
    last = shell.calls("apt-get")[-1]
    assert "--no-install-recommends" in last
    assert "--simulate" not in last


def test_daemon_that_never_answers_ends_within_its_time(shell: Shell) -> None:
    shell.add("docker", FORBIDDEN.replace("permission denied", "cannot connect"))
    shell.add("dockerd", "echo no good reason")
    shell.add("sudo", '[ "$1" = -- ] && shift; exec "$@"')
    result = shell.source(
        "has_systemd() { false; }; ensure_engine", ENGINE_START_SECONDS="1"
    )
    assert result.returncode == 5
    assert "did not answer within 1 s" in result.stderr
    assert (shell.directory / "dockerd.out").read_text() == "no good reason\n"


def test_daemon_that_is_still_stopping_is_waited_for(shell: Shell) -> None:
    shell.add("docker", FORBIDDEN.replace("permission denied", "cannot connect"))
    shell.add("dockerd", f"date +%s.%N >{shell.directory}/started")
    shell.add("sudo", '[ "$1" = -- ] && shift; exec "$@"')
    old = shell.directory / "dockerd-old"
    old.mkdir()
    (old / "dockerd").write_text(
        "#!/bin/sh\nprintf dockerd >/proc/$$/comm\nsleep 0.4\n"
        f"date +%s.%N >{shell.directory}/ended\n"
    )
    stopping = subprocess.Popen(["sh", old / "dockerd"])
    (shell.directory / "dockerd.pid").write_text(f"{stopping.pid}\n")
    shell.source(
        "has_systemd() { false; }; start_daemon; sleep 0.2", ENGINE_START_SECONDS="9"
    )
    stopping.wait()
    ended, started = (
        float((shell.directory / name).read_text()) for name in ("ended", "started")
    )
    assert ended < started


@pytest.mark.parametrize(
    ("version", "minimum", "enough"),
    [
        ("26.1.5+dfsg1", "25.0.0", True),
        ("v2.24.4", "2.24.4", True),
        ("2.24.3", "2.24.4", False),
        ("2.100.0", "2.24.4", True),
        ("", "25.0.0", False),
    ],
)
def test_versions_compare_by_number(
    shell: Shell, version: str, minimum: str, *, enough: bool
) -> None:
    result = shell.source(f'at_least "{version}" "{minimum}"')
    assert (result.returncode == 0) is enough
