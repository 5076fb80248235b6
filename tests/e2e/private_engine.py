"""
A Docker Engine of a test's own, to break without breaking anyone else's.

`PrivateEngine` runs a second dockerd beside the machine's. It has its own data,
containerd, socket, cgroup, and network, process and mount namespaces, so its
bridges and iptables rules are invisible outside and the other engine's inside:

    with PrivateEngine() as engine:
        engine.load("localhost/jimbot-base:bookworm")
        engine.docker("run", "--detach", "--name", "one", "IMAGE", "sleep", "60")
        engine.restart()                 # the daemon stops its containers and is back
        engine.kill()                    # SIGKILL: containers go on, nobody answers
        with engine.frozen(): ...        # SIGSTOP: it takes calls and answers none
        engine.start()                   # back with the same data; without
                                         # live_restore it ends what went on (10 s)
        subprocess.run(argv, env=engine.environment())   # any docker client
        engine.reach(["curl", "http://127.0.0.1:8000"])  # a port it publishes

Paths of this machine can be bind-mounted, except those under /run. Nothing in it
reaches the outside: images come from the machine's engine through `load`. Needs
root, util-linux and dockerd. Leaving the block kills every process in it at once,
and so does the end of the process that made it.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

# The first process of the namespaces. It reaps orphans, and ends, taking all
# others along, when the pipe to its standard input closes.
_FIRST_PROCESS = """
import fcntl, os, signal, socket, struct, subprocess, sys
if sys.argv[1]:
    socket.sethostname(sys.argv[1])
signal.signal(signal.SIGCHLD, signal.SIG_DFL)
subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plug:
    up = struct.pack("16sh", b"lo", 0x1 | 0x40)
    fcntl.ioctl(plug, 0x8914, up)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
print("ready", flush=True)
sys.stdin.read()
"""

_NEW_NAMESPACES = [
    *("unshare", "--net", "--mount", "--uts", "--pid", "--fork", "--mount-proc")
]


class PrivateEngineError(Exception):
    """The private daemon was not up, or not down, in time; holds its last words."""


class PrivateEngine:
    """A second Docker Engine; a context manager that starts and removes it."""

    def __init__(
        self,
        *,
        live_restore: bool = False,
        room: str = "",
        path: str = "",
        deadline: float = 30,
        hostname: str = "",
        settings: Mapping[str, object] | None = None,
    ) -> None:
        """
        Prepare one; `deadline` is the seconds that a start or stop may take.

        With `room`, such as 1100m, its data lies on a small filesystem of its own;
        `path` is where its programs are looked for, PATH by default. `settings` are
        further ones of its daemon.json.
        """
        self.directory = Path(tempfile.mkdtemp(prefix="jimbot-engine-"))
        self.host = f"unix://{self.directory}/docker.sock"
        self.log = self.directory / "dockerd.log"
        self._settings = self.directory / "daemon.json"
        self._settings.write_text(
            json.dumps({"live-restore": live_restore, **(settings or {})})
        )
        self._hostname = hostname
        self._deadline = deadline
        self._room = room
        self._path = path or os.environ["PATH"]
        self.data = self.directory / "data"
        self._cgroup = self.directory.name
        self._first: subprocess.Popen[str] | None = None
        self._daemon: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it and wait until it answers."""
        try:
            self._mount_data()
            self._make_namespaces()
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove every process, mount and file of it."""
        self.close()

    def environment(self) -> dict[str, str]:
        """Return this process's environment, with docker pointed at this engine."""
        return {**os.environ, "DOCKER_HOST": self.host}

    def docker(self, *arguments: str, check: bool = True) -> str:
        """
        Run a docker command on this engine and return what it printed.

        Raises CalledProcessError when it fails, unless `check` is false.
        """
        return subprocess.run(
            ["docker", *arguments],
            env=self.environment(),
            check=check,
            stdout=subprocess.PIPE,
            stderr=None if check else subprocess.DEVNULL,
            text=True,
        ).stdout.strip()

    def load(self, *images: str) -> None:
        """Copy images from the machine's engine to this one."""
        with subprocess.Popen(
            ["docker", "save", *images], stdout=subprocess.PIPE
        ) as save:
            subprocess.run(
                ["docker", "load", "--quiet"],
                env=self.environment(),
                stdin=save.stdout,
                stdout=subprocess.DEVNULL,
                check=True,
            )
        if save.returncode:
            raise subprocess.CalledProcessError(save.returncode, save.args)

    def reach(self, argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a command where this engine's bridges and published ports are."""
        return subprocess.run(
            [*self._enter("--net"), *argv],
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def pid(self) -> int:
        """The first process of its namespaces."""
        if self._first is None:
            raise PrivateEngineError("it is closed")
        [first] = _children(self._first.pid)
        return first

    def hide(self, folder: Path) -> None:
        """Let its daemon and containers find an empty folder there."""
        mount = ["mount", "-t", "tmpfs", "tmpfs", str(folder)]
        subprocess.run([*self._enter("--mount"), *mount], check=True)

    def begin(self, argv: Sequence[str]) -> subprocess.Popen[str]:
        """Begin what `reach` runs; its standard streams are pipes."""
        return subprocess.Popen(
            [*self._enter("--net"), *argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def answers(self) -> bool:
        """Say whether the daemon answers."""
        probe = ["docker", "version", "--format", "{{.Server.Version}}"]
        return not subprocess.run(
            probe, env=self.environment(), capture_output=True, check=False
        ).returncode

    def start(self) -> None:
        """Start the daemon on its data and wait until it answers."""
        with self.log.open("ab") as log:
            self._daemon = subprocess.Popen(
                [
                    *self._enter("--net", "--mount", "--uts", "--pid"),
                    *self._daemon_command(),
                ],
                env={**os.environ, "PATH": self._path},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        end = time.monotonic() + self._deadline
        while not self.answers():
            if self._daemon.poll() is not None or time.monotonic() > end:
                raise PrivateEngineError(self.log.read_text()[-2000:])
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop the daemon as a service manager does; it stops its containers."""
        self._end_daemon(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the daemon as the out-of-memory killer does; containers go on."""
        self._end_daemon(signal.SIGKILL)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop the daemon's process within the block: it takes calls, answers none."""
        if self._daemon is None:
            raise PrivateEngineError("it is closed")
        [daemon] = _children(self._daemon.pid)
        os.kill(daemon, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._daemon.pid, signal.SIGCONT)  # nsenter stopped with its child
            os.kill(daemon, signal.SIGCONT)

    def restart(self) -> None:
        """Stop the daemon and start it again."""
        self.stop()
        self.start()

    def close(self) -> None:
        """End every process in the namespaces and remove the data."""
        if self._first is not None:
            self._first.communicate()
            self._first = None
        if self._daemon is not None:
            self._daemon.wait()
            self._daemon = None
        self._remove_cgroups()
        if self._room:
            unmount = ["umount", "--lazy", str(self.data)]
            subprocess.run(unmount, check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _mount_data(self) -> None:
        self.data.mkdir()
        if self._room:
            mount = ["mount", "-t", "tmpfs", "-o", f"size={self._room}", "tmpfs"]
            subprocess.run([*mount, str(self.data)], check=True)

    def _make_namespaces(self) -> None:
        self._first = subprocess.Popen(
            [*_NEW_NAMESPACES, sys.executable, "-c", _FIRST_PROCESS, self._hostname],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        line = self._first.stdout.readline() if self._first.stdout else ""
        if line.strip() != "ready":
            raise PrivateEngineError("the namespaces could not be made; is this root?")

    def _enter(self, *namespaces: str) -> list[str]:
        """Return the command prefix that runs something in the namespaces."""
        if self._first is None:
            raise PrivateEngineError("it is closed")
        return ["nsenter", f"--target={self.pid}", *namespaces, "--"]

    def _daemon_command(self) -> list[str]:
        return [
            "dockerd",
            f"--host={self.host}",
            f"--data-root={self.data}",
            "--exec-root=/run/docker",
            "--pidfile=/run/docker.pid",
            f"--cgroup-parent=/{self._cgroup}",
            f"--config-file={self._settings}",
        ]

    def _end_daemon(self, number: signal.Signals) -> None:
        if self._daemon is None or self._daemon.poll() is not None:
            return
        for pid in _children(self._daemon.pid):
            os.kill(pid, number)
        try:
            self._daemon.wait(self._deadline)
        except subprocess.TimeoutExpired as error:
            raise PrivateEngineError(self.log.read_text()[-2000:]) from error

    def _remove_cgroups(self) -> None:
        """Remove the cgroups that killed containers leave behind."""
        for top in cgroups_named(self._cgroup):
            end = time.monotonic() + self._deadline
            while top.exists() and time.monotonic() < end:
                for folder, _, _ in os.walk(top, topdown=False):
                    with suppress(OSError):
                        Path(folder).rmdir()


def cgroups_named(name: str) -> list[Path]:
    """Return the cgroups of that name, while others come and go beside them."""
    return [
        Path(folder, name)
        for folder, folders, _ in os.walk("/sys/fs/cgroup")
        if name in folders
    ]


def _children(pid: int) -> list[int]:
    """Return the process ids of a process's children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in children.split()]
