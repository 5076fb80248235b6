"""Run the shell scripts with fake programs in the place of docker, apt-get, ..."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts"
# What the scripts may use without asking: in Debian's essential packages.
ESSENTIAL = (
    "awk",
    "basename",
    "cat",
    "chmod",
    "cmp",
    "cp",
    "cut",
    "date",
    "dirname",
    "dpkg",
    "env",
    "false",
    "find",
    "grep",
    "head",
    "id",
    "ls",
    "mkdir",
    "mktemp",
    "mv",
    "printf",
    "rm",
    "sed",
    "setsid",
    "sh",
    "sha256sum",
    "sleep",
    "sort",
    "tail",
    "tar",
    "tee",
    "timeout",
    "touch",
    "tr",
    "true",
    "uname",
    "wc",
    "xargs",
)


@dataclass(frozen=True, slots=True)
class Shell:
    """A machine that has the essential programs and what a test adds."""

    directory: Path

    @property
    def programs(self) -> Path:
        """The only folder on PATH."""
        return self.directory / "bin"

    def add(self, name: str, script: str) -> None:
        """Put a program on PATH that notes its arguments and runs a shell script."""
        path = self.programs / name
        log = self.directory / f"{name}.log"
        path.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >>"{log}"\n{script}\n')
        path.chmod(0o755)

    def calls(self, name: str) -> list[str]:
        """Return the argument lines that a program was called with."""
        log = self.directory / f"{name}.log"
        return log.read_text().splitlines() if log.exists() else []

    def run(
        self, *argv: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command without a terminal."""
        return subprocess.run(
            argv,
            env={
                "PATH": str(self.programs),
                "HOME": str(self.directory),
                "ENGINE_LOG": str(self.directory / "dockerd.out"),
                "DAEMON_PIDFILE": str(self.directory / "dockerd.pid"),
                **(environment or {}),
            },
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    def script(
        self, name: str, *arguments: str, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run one of the project's scripts."""
        return self.run(str(SCRIPTS / name), *arguments, environment=environment)

    def source(self, text: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run shell text after the libraries of the scripts were read."""
        libraries = "".join(
            f'. "{SCRIPTS}/lib/{name}.sh"\n'
            for name in ("console", "debian", "engine", "python", "completion", "node")
        )
        program = f'set -eu\nroot="{self.directory}"\n{libraries}{text}'
        return self.run("sh", "-c", program, environment=environment)


def bare_shell(directory: Path) -> Shell:
    """Return a machine without docker, Python and apt-get."""
    shell = Shell(directory)
    shell.programs.mkdir()
    for name in ESSENTIAL:
        for folder in os.defpath.split(os.pathsep):
            if folder and (Path(folder) / name).exists():
                (shell.programs / name).symlink_to(Path(folder) / name)
                break
    return shell
