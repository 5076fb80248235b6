"""The wheel in an empty environment, beside a project that knows nothing of it."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from e2e_scenario import docker, inspected
from repository import ROOT

pytestmark = pytest.mark.docker

FOREIGN = Path(__file__).parent / "foreign"
LABEL = "com.docker.compose.project"


@dataclass(frozen=True)
class Foreign:
    """A folder with a compose file, and the program that was installed."""

    folder: Path
    program: Path

    @property
    def project(self) -> str:
        return self.folder.name

    def task(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run `compose-ops WORDS` in the folder and require its exit code."""
        done = subprocess.run(
            [self.program, *words],
            cwd=self.folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=240,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode == code, f"{words}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, *words: str) -> Any:
        return json.loads(self.task(*words, "--json").stdout)

    def compose(self, *words: str) -> None:
        """Run plain Compose in the folder, as before anybody installed anything."""
        command = ["docker", "compose", "--progress", "quiet", *words]
        subprocess.run(command, cwd=self.folder, env=environment(), check=True)

    def containers(self) -> dict[str, str]:
        """Return what runs: id and time of start."""
        ids = docker("ps", "-q", "--filter", f"label={LABEL}={self.project}").split()
        return {c["Id"]: c["State"]["StartedAt"] for c in inspected("container", ids)}

    def files(self) -> set[str]:
        found = self.folder.rglob("*")
        return {str(path.relative_to(self.folder)) for path in found}


def environment() -> dict[str, str]:
    """Return a shell's variables without any that would lead back to the checkout."""
    foreign = ("COMPOSE_", "PYTHON", "VIRTUAL_ENV")
    return {k: v for k, v in os.environ.items() if not k.startswith(foreign)}


def run(*words: str | Path) -> None:
    subprocess.run(words, check=True, env=environment())


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel, install it alone in an empty environment, return its program."""
    folder = tmp_path_factory.mktemp("wheel")
    uv = (sys.executable, "-m", "uv")
    source = folder / "source"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        wanted = name.startswith("compose_ops/") or "/" not in name
        if wanted and (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name)
    venv = folder / "venv"
    run(*uv, "build", "--quiet", "--wheel", "--out-dir", folder, source)
    (wheel,) = folder.glob("*.whl")
    run(*uv, "venv", "--quiet", venv)
    run(*uv, "pip", "install", "--quiet", "--python", venv / "bin/python", wheel)
    shutil.rmtree(source)
    return venv / "bin/compose-ops"


@pytest.fixture
def foreign(tmp_path: Path, program: Path) -> Iterator[Foreign]:
    """Return a copy of the foreign project under a name of its own."""
    found = Foreign(tmp_path / f"foreign-{uuid.uuid4().hex[:8]}", program)
    shutil.copytree(FOREIGN, found.folder)
    yield found
    found.compose("down", "--volumes", "--remove-orphans", "--rmi", "local")


def test_program_needs_nothing_but_its_wheel(foreign: Foreign) -> None:
    """The tasks are there without a tasks.py, and the extras are not."""
    listed = foreign.task("--list").stdout

    assert "rolling-update" in listed
    assert foreign.task("--version").stdout.startswith("compose-ops 0.2.0")
    missing = "import pyrage"
    python = foreign.program.with_name("python")
    done = subprocess.run(
        [python, "-c", missing], capture_output=True, env=environment(), check=False
    )
    assert done.returncode != 0


def test_lint_and_status_write_nothing(foreign: Foreign) -> None:
    """Nor does doctor, on a project that was never started."""
    before = foreign.files()

    assert foreign.json("lint")["findings"] == []
    services = foreign.json("status")["services"]
    assert [(s["service"], s["state"]) for s in services] == [("web", "absent")]
    foreign.task("doctor")

    assert foreign.files() == before


def test_what_plain_compose_started_is_taken_as_it_is(foreign: Foreign) -> None:
    """`up` recreates nothing; doctor and lint have nothing to say."""
    foreign.compose("up", "--detach", "--build", "--wait")
    before = foreign.containers()

    (web,) = foreign.json("status")["services"]
    assert (web["state"], web["health"]) == ("running", "healthy")
    foreign.task("up")
    assert foreign.containers() == before
    report = foreign.json("doctor")
    assert [c for c in report["checks"] if c["outcome"] in {"fail", "crashed"}] == []

    foreign.task("restart")
    assert foreign.containers().keys() == before.keys()
    foreign.task("down")
    assert foreign.containers() == {}


def test_messages_name_the_program_that_runs(foreign: Foreign) -> None:
    """There is no `invoke` here that anybody could type."""
    done = foreign.task("restart", code=2)

    assert "compose-ops up" in done.stderr
    assert "invoke" not in done.stderr


def test_first_commands_of_the_guide_work_as_they_stand(foreign: Foreign) -> None:
    """docs/library.md begins with what any project can do."""
    text = (ROOT / "docs/library.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    commands = [shlex.split(line, comments=True) for line in blocks[1].splitlines()]
    assert [words[1] for words in commands] == ["lint", "doctor", "status", "up"]

    for words in commands:
        foreign.task(*words[1:])

    (web,) = foreign.json("status")["services"]
    assert web["health"] == "healthy"
