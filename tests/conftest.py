"""What every test gets: no engine unless its markers say so."""

import functools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from compose_ops import console, interrupts

TESTS = Path(__file__).parent
# Helpers of tests are modules by their own names, and those of images as in the images.
FOLDERS = (
    *(TESTS, *(f for f in TESTS.glob("*/") if f.name != "unit")),
    *TESTS.glob("unit/*/"),
    *TESTS.parent.glob("docker/standins/*/"),
    TESTS.parent / "compose_ops/backup/helper_image",
)
sys.path[1:1] = [str(folder) for folder in FOLDERS if folder.is_dir()]

IN_CI = os.environ.get("CI", "").lower() == "true"
pytest_plugins = ["parallel", "time_per_file", "e2e_fixtures"]

CLIENTS = {"docker", "docker-compose", "docker-buildx"}
ENGINE_MARKERS = ("docker", "compose", "real_images")


def pytest_configure() -> None:
    """Let signals reach tasks also where a script runs the tests in the background."""
    for number in interrupts.SIGNALS:
        if signal.getsignal(number) is signal.SIG_IGN:
            is_ctrl_c = number is signal.SIGINT
            own = signal.default_int_handler if is_ctrl_c else signal.SIG_DFL
            signal.signal(number, own)


@pytest.fixture(autouse=True)
def _attached_console() -> Iterator[None]:
    """Let operations say what they do, as they do in a task."""
    console.attach()
    yield
    console.detach()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose engine is missing; in CI that is a failure."""
    markers = [m for m in ENGINE_MARKERS if item.get_closest_marker(m)]
    if markers and not _answers(tuple(markers)):
        missing = "no Docker Engine answers; ./scripts/engine.sh starts one"
        if IN_CI:
            pytest.fail(missing)
        pytest.skip(missing)


@functools.cache
def _answers(markers: tuple[str, ...]) -> bool:
    if shutil.which("docker") is None:
        return False
    words = ["compose", "version"] if markers == ("compose",) else ["info"]
    done = subprocess.run(["docker", *words], capture_output=True, check=False)
    return done.returncode == 0


@pytest.fixture(autouse=True)
def _engine_only_when_marked(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let only marked tests run docker."""
    if not any(request.node.get_closest_marker(m) for m in ENGINE_MARKERS):
        _forbid_docker(monkeypatch)


def _forbid_docker(monkeypatch: pytest.MonkeyPatch) -> None:
    start = subprocess.Popen.__init__

    def guarded(self: Any, args: Any, *more: Any, **named: Any) -> None:
        words = [args] if isinstance(args, str | os.PathLike) else list(args)
        program = next((str(w) for w in words if "=" not in str(w) and w != "env"), "")
        found = shutil.which(program) or program
        nowhere = os.environ.get("DOCKER_HOST", "").startswith("unix:///nowhere")
        if Path(found).name in CLIENTS and not nowhere:
            raise RuntimeError("a test that is not marked docker ran docker")
        start(self, args, *more, **named)

    monkeypatch.setattr(subprocess.Popen, "__init__", guarded)
