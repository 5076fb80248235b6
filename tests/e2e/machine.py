"""
A bare Debian machine: a privileged container with a clone of this project in it.

It has apt and nothing else, and an engine that is started in it keeps its data in
a volume of its own. All that ran in it goes with the container.
"""

import json
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e_scenario import ROOT, docker
from own_images import fingerprint

CONTEXT = Path(__file__).with_name("bare_machine")
IMAGE = f"localhost/jimbot-bare-machine:{fingerprint(CONTEXT)}"


@dataclass(frozen=True, slots=True)
class Machine:
    """One bare machine; commands run in its clone."""

    name: str
    user: str = "root"
    clone: str = "/root/clone"

    def run(
        self, command: str, *, code: int | None = 0, timeout: float = 900
    ) -> subprocess.CompletedProcess[str]:
        """Run shell text in the clone and require its exit code (None: any)."""
        done = subprocess.run(
            [*self._execute("--workdir", self.clone), "bash", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )
        if code is not None and done.returncode != code:
            raise AssertionError(f"{command}: {done.returncode}\n{done.stdout[-6000:]}")
        return done

    def lines(self, command: str) -> set[str]:
        """Return the lines that a command prints."""
        return set(self.run(command).stdout.splitlines())

    def services(self) -> dict[str, tuple[str, str]]:
        """Return state and health of every service, as `invoke status` tells them."""
        printed = self.run(".venv/bin/invoke status --json").stdout
        told: dict[str, Any] = json.loads(printed)
        return {
            item["service"]: (item["state"], item["health"])
            for item in told["services"]
        }

    def receive_clone(self, *, umask: str = "022") -> None:
        """Copy the working tree's files in, as the user and with the umask given."""
        with subprocess.Popen(
            ["tar", "--create", "--null", "--files-from=-", "--ignore-failed-read"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as pack:
            assert pack.stdin is not None
            pack.stdin.write(_working_tree())
            pack.stdin.close()
            unpack = "tar --extract --no-same-owner --no-same-permissions"
            script = (
                f"umask {umask} && mkdir {self.clone} && cd {self.clone} && {unpack}"
            )
            subprocess.run(
                [*self._execute("--interactive"), "sh", "-c", script],
                stdin=pack.stdout,
                check=True,
            )

    def _execute(self, *flags: str) -> list[str]:
        return ["docker", "exec", "--user", self.user, *flags, self.name]


def _working_tree() -> bytes:
    """Return the names of the files that a clone would have, each ended by a NUL."""
    listed = subprocess.check_output(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
    )
    names = [name for name in listed.split(b"\0") if name]
    present = [name for name in names if (ROOT / name.decode()).is_file()]
    return b"".join(name + b"\0" for name in present)


@contextmanager
def bare_machine() -> Iterator[Machine]:
    """Start a machine with a clone in it; everything of it is removed afterwards."""
    docker("build", "--quiet", "--tag", IMAGE, str(CONTEXT))
    machine = Machine(f"bare-{uuid.uuid4().hex[:8]}")
    flags = ("--detach", "--init", "--privileged", "--volume", "/var/lib/docker")
    docker("run", *flags, "--name", machine.name, IMAGE)
    try:
        machine.receive_clone()
        yield machine
    finally:
        docker("rm", "--force", "--volumes", machine.name)
