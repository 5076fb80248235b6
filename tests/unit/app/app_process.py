"""Start the application as a process on a loopback port of its own."""

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from repository import ROOT
from standin_servers import free_ports
from waiting import eventually

DEADLINE = 30.0


@dataclass(frozen=True, slots=True)
class Application:
    """A running application, and the folder that holds its code."""

    process: subprocess.Popen[str]
    port: int
    root: Path

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)

    def get(self, path: str) -> tuple[int, Mapping[str, str], Any]:
        """Ask on a connection of its own: status, headers and the JSON body."""
        with closing(self.connect()) as connection:
            return got(connection, path)

    def answers(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"ended with {self.process.returncode}")
        try:
            return self.get("/health")[0] == http.HTTPStatus.OK
        except OSError:
            return False

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ended(self) -> int:
        """Wait for the end; the exit code."""
        return self.process.wait(DEADLINE)


def got(
    connection: http.client.HTTPConnection, path: str
) -> tuple[int, Mapping[str, str], Any]:
    """Ask on *connection*: status, headers in lower case and the JSON body."""
    connection.request("GET", path)
    answer = connection.getresponse()
    headers = {name.lower(): value for name, value in answer.getheaders()}
    return answer.status, headers, json.loads(answer.read())


@dataclass(slots=True)
class Applications:
    """Starts applications from a copy of the code and ends those that still run."""

    folder: Path
    started: list[Application] = field(default_factory=list)

    def start(
        self,
        *,
        seconds: Mapping[str, float] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> Application:
        """Start one and wait until it answers."""
        (port,) = free_ports(1)
        process = self.spawn({"PORT": str(port), **(environ or {})}, seconds or {})
        application = Application(process, port, self.folder)
        self.started.append(application)
        eventually(application.answers)
        return application

    def spawn(
        self, environ: Mapping[str, str], seconds: Mapping[str, float]
    ) -> subprocess.Popen[str]:
        """Start the process with nothing in its environment but this."""
        shutil.copytree(ROOT / "jimbot", self.folder / "jimbot", dirs_exist_ok=True)
        (self.folder / "config").mkdir(exist_ok=True)
        (self.folder / "config/app.json").write_text(json.dumps({"seconds": seconds}))
        return subprocess.Popen(
            [sys.executable, "-m", "jimbot.main"],
            cwd=self.folder,
            env={
                "PATH": os.environ["PATH"],
                "LOG_DIR": str(self.folder),
                "PYTHONDONTWRITEBYTECODE": "1",
                **{f"{name}_HOST": "127.0.0.1" for name in STORES},
                **{f"{name}_PORT": str(port) for name, port in closed_ports().items()},
                **environ,
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def end(self) -> None:
        """Kill what still runs."""
        for application in self.started:
            application.process.kill()
            application.process.communicate(timeout=DEADLINE)


STORES = ("MEMGRAPH", "QUESTDB", "EVENTSTORE")


def closed_ports() -> Mapping[str, int]:
    """Return a port for each store that nobody listens on."""
    return dict(zip(STORES, free_ports(len(STORES)), strict=True))
