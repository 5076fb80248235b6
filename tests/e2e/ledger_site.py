"""A store of a few files, declared by labels alone, for tasks of the bare program."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import forked_tasks
from e2e_scenario import docker

COMPOSE = """
services:
  ledger:
    image: localhost/jimbot-base:bookworm
    init: true
    command: [sleep, infinity]
    network_mode: none
    volumes: ["data:/data"]
    labels:
      compose-ops.data.volumes: data
      compose-ops.backup.clean-exits: "0 143"
      compose-ops.backup.count: "ls /data | wc -l"
volumes: {data: }
"""
HELPER = '[backup]\nhelper_base = ["localhost/jimbot-base:bookworm"]\n'


@dataclass
class Ledger:
    """A project of the store alone, in a folder that every user may look into."""

    folder: Path
    name: str

    def task(
        self, *words: str, code: int = 0, user: tuple[int, int] | None = None
    ) -> str:
        """Run a task in a bare environment; return its messages."""
        done = forked_tasks.run(
            words,
            self.folder,
            {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent"},
            program="compose-ops",
            user=user,
        )
        assert done.returncode == code, f"{words}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr
        return done.stderr

    def execute(self, *words: str) -> str:
        return docker("exec", f"{self.name}-ledger-1", *words)

    def files(self) -> list[str]:
        return self.execute("ls", "/data").split()

    def started(self) -> str:
        name = f"{self.name}-ledger-1"
        return docker("inspect", name, "--format", "{{.State.StartedAt}}")


@contextmanager
def ledger(folder: Path) -> Iterator[Ledger]:
    """Make the project in *folder*; it is not up yet."""
    found = Ledger(folder, f"ledger{os.urandom(3).hex()}")
    folder.mkdir(mode=0o755)
    compose = f"name: {found.name}\n{COMPOSE}"
    for name, text in (("compose.yaml", compose), ("compose-ops.toml", HELPER)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o644)
    try:
        yield found
    finally:
        found.task("down", "--volumes", "--yes")
