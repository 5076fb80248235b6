"""
From a machine with nothing but apt to a healthy stack, as root and as a user.

One machine for the whole file: each step starts where the one before it ended, as
on a person's machine. The images are built in it, as nothing is there before.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from machine import Machine, bare_machine
from waiting import eventually

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.bare_machine]

PACKAGES = "dpkg-query --show"
CONTAINERS = "docker ps --all --quiet --no-trunc"
# Every file of the clone that a person could miss a change in, with its content.
FILES = (
    "find . -type f -not -path './.venv/*' -not -name '*.pyc'"
    " -exec sha256sum {} + ; stat --format '%n %Y' .venv .env secrets/*"
)
SERVICES = {"memgraph", "questdb", "eventstore", "ray-head", "app"}


@pytest.fixture(scope="module")
def fresh() -> Iterator[Machine]:
    with bare_machine() as machine:
        yield machine


@pytest.fixture(scope="module")
def packages_before(fresh: Machine) -> set[str]:
    return fresh.lines(PACKAGES)


@pytest.fixture(scope="module")
def interrupted(fresh: Machine, packages_before: set[str]) -> Machine:
    """Interrupt the first run while it installs packages, as Ctrl-C would."""
    assert packages_before
    script = "env --default-signal=INT ./scripts/onboard.sh --yes"
    begin = f"setsid {script} >/tmp/first.log 2>&1 & echo $!"
    group = fresh.run(begin).stdout.strip()
    eventually(lambda: "installing" in fresh.run("cat /tmp/first.log").stdout)
    fresh.run(f"kill -INT -- -{group}")
    eventually(lambda: fresh.run(f"kill -0 -- -{group}", code=None).returncode != 0)
    return fresh


@pytest.fixture(scope="module")
def onboarded(
    interrupted: Machine, record_testsuite_property: Callable[[str, object], None]
) -> Machine:
    started = time.monotonic()
    interrupted.run("./scripts/onboard.sh --yes")
    record_testsuite_property("onboarding seconds", time.monotonic() - started)
    return interrupted


def test_all_services_are_healthy(onboarded: Machine) -> None:
    services = onboarded.services()
    assert set(services) >= SERVICES
    assert set(services.values()) == {("running", "healthy")}


def test_nothing_that_was_installed_changed(
    onboarded: Machine, packages_before: set[str]
) -> None:
    assert packages_before < onboarded.lines(PACKAGES)


def test_second_run_changes_nothing_and_says_so(onboarded: Machine) -> None:
    probes = (PACKAGES, CONTAINERS, FILES, "docker image ls --quiet --no-trunc")
    before = [onboarded.lines(probe) for probe in probes]
    printed = onboarded.run("./scripts/onboard.sh --yes").stdout
    assert [onboarded.lines(probe) for probe in probes] == before
    assert "Nothing changed" in printed


def test_stopped_daemon_is_started_again(onboarded: Machine) -> None:
    onboarded.run("kill $(cat /var/run/docker.pid)")
    eventually(lambda: onboarded.run("docker version", code=None).returncode != 0)
    onboarded.run("./scripts/onboard.sh --yes")
    assert set(onboarded.services().values()) == {("running", "healthy")}


def test_user_of_the_docker_group_needs_no_root(onboarded: Machine) -> None:
    onboarded.run(".venv/bin/invoke down")
    onboarded.run("useradd --create-home --uid 1234 --groups docker somebody")
    user = replace(onboarded, user="somebody", clone="/home/somebody/clone")
    user.receive_clone(umask="077")
    packages = user.lines(PACKAGES)
    user.run("umask 077 && ./scripts/onboard.sh --yes")
    assert set(user.services().values()) == {("running", "healthy")}
    assert user.lines(PACKAGES) == packages
    assert user.lines("find . -not -user somebody") == set()
    assert user.lines("stat --format '%n %a' secrets .env") == {
        "secrets 700",
        ".env 600",
    }
