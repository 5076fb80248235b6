"""A docker client that is a script of the test's, which writes down how it was run."""

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

HEAD = f"""#!{sys.executable}
import json, os, signal, sys, time
with open(os.environ["DOCKER_LOG"], "a") as log:
    log.write(json.dumps([sys.argv[1:], dict(os.environ), os.getpid()]) + "\\n")
"""


@dataclass
class Script:
    """The client; `runs` are the times that it ran, each as words, environment, pid."""

    log: Path

    @property
    def runs(self) -> list[tuple[list[str], dict[str, str], int]]:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [tuple(json.loads(line)) for line in lines]

    @property
    def words(self) -> Sequence[str]:
        [(words, _, _)] = self.runs
        return words

    def is_alive(self) -> bool:
        """Say whether the last process that it was still runs."""
        return Path(f"/proc/{self.runs[-1][2]}").exists()


Client = Callable[[str], Script]


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Return what makes a docker of lines in Python."""

    def make(body: str) -> Script:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        (folder / "docker").write_text(HEAD + body)
        (folder / "docker").chmod(0o755)
        return Script(tmp_path / "log")

    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    monkeypatch.setenv("DOCKER_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    return make


def printing(value: Any) -> str:
    """Return a body that prints *value* as JSON."""
    return f"print({json.dumps(json.dumps(value))})\n"
