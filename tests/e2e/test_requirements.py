"""The images' locked requirements resolve on both Pythons that they are built with."""

import subprocess
import sys
from pathlib import Path

import pytest
from repository import ROOT

# What the index offers for a locked version changes with its packages alone.
pytestmark = pytest.mark.upgrade

SERVICES = ROOT / "docker" / "services"
LOCKS = {
    "app": (SERVICES / "app/requirements.in", SERVICES / "app/requirements.txt"),
    "ray": (SERVICES / "ray/requirements.in", SERVICES / "ray/constraints.txt"),
}
# Published as pure Python source alone; all else must come as a wheel.
SOURCE_ALONE = ("gpustat",)
PYTHONS = {"3.9": "the guide's", "3.11": "the offline base's"}


@pytest.mark.parametrize("python", PYTHONS, ids=PYTHONS.__getitem__)
@pytest.mark.parametrize("service", LOCKS)
def test_locked_requirements_resolve(service: str, python: str) -> None:
    """Every package is there for that Python, in the locked version and as a wheel."""
    wanted, lock = LOCKS[service]
    resolved = resolve(wanted, lock, python)

    assert set(resolved) <= set(lines(lock.read_text()))
    assert {"ray==2.9.0"} <= set(resolved)


def resolve(wanted: Path, lock: Path, python: str) -> list[str]:
    """Return the versions that fit *wanted* and *lock* on *python*, on x86-64 Linux."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "uv", "pip", "compile", "--quiet"),
            *("--no-header", "--no-annotate", "--no-emit-index-url"),
            *("--python-version", python),
            *("--python-platform", "x86_64-manylinux_2_28"),
            *("--only-binary", ":all:"),
            *(word for name in SOURCE_ALONE for word in ("--no-binary", name)),
            *("--constraint", str(lock), str(wanted)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return lines(done.stdout)


def lines(text: str) -> list[str]:
    """Return the pins of a requirements file, without markers and hashes."""
    return [line.split()[0] for line in text.splitlines() if "==" in line.split(";")[0]]
