"""
Servers of restic repositories: OpenSSH's sftp-server, and rclone for REST and S3.

They listen where the engine's own bridge has this machine, so that helpers reach them.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import remote_access
from e2e_scenario import docker
from remote_access import free_port
from waiting import eventually

RCLONE = Path(sys.executable).with_name("rclone")
S3_ID, S3_SECRET = "trial", "a-trial-secret"


@dataclass(slots=True)
class RepositoryServer:
    """A server with its data in `folder`/data; it can be killed and started again."""

    folder: Path
    command: Sequence[str]
    port: int
    environment: dict[str, str] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                env={**os.environ, **self.environment},
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        eventually(self._answers, evidence=(self.folder / "log").read_text)

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "log").read_text()
        return remote_access.listens(bridge(), self.port)

    def kill(self) -> None:
        """End it and its connections at once, as a power cut would."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def holds(self, size: int) -> bool:
        """Say whether at least so many bytes of data have arrived."""
        there = (
            Path(top, name) for top, _, names in os.walk(self.data) for name in names
        )
        total = 0
        for path in there:
            try:
                total += path.stat().st_size
            except FileNotFoundError:
                continue
        return total >= size


def bridge() -> str:
    """Return the address that this machine has on the engine's default bridge."""
    form = "{{(index .IPAM.Config 0).Gateway}}"
    return docker("network", "inspect", "bridge", "--format", form).strip()


@contextmanager
def sftp(folder: Path) -> Iterator[RepositoryServer]:
    """Run an sshd that takes the key `user_key` of its folder and gives files only."""
    port = free_port(bridge())
    remote_access.make_keys(folder)
    remote_access.write_server(
        folder, port, address=bridge(), more="Subsystem sftp internal-sftp\n"
    )
    argv, environment = remote_access.server_command(folder)
    yield from _run(RepositoryServer(folder, argv, port, environment))


@contextmanager
def rest(folder: Path) -> Iterator[RepositoryServer]:
    """Run rclone as a REST server of restic's."""
    yield from _run(_rclone(folder, "restic"))


@contextmanager
def s3(folder: Path) -> Iterator[RepositoryServer]:
    """Run rclone as an S3 server; `credentials` in its folder has the lines."""
    (folder / "credentials").write_text(
        f"AWS_ACCESS_KEY_ID={S3_ID}\nAWS_SECRET_ACCESS_KEY={S3_SECRET}\n"
    )
    yield from _run(_rclone(folder, "s3", "--auth-key", f"{S3_ID},{S3_SECRET}"))


def _rclone(folder: Path, kind: str, *flags: str) -> RepositoryServer:
    address, port = bridge(), free_port(bridge())
    words = [str(RCLONE), "serve", kind, "--addr", f"{address}:{port}", *flags]
    nothing = {"RCLONE_CONFIG": os.devnull}
    return RepositoryServer(folder, [*words, str(folder / "data")], port, nothing)


def _run(server: RepositoryServer) -> Iterator[RepositoryServer]:
    server.data.mkdir()
    server.start()
    try:
        yield server
    finally:
        server.kill()
