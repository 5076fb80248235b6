"""Tell people and dead-man's switches; what cannot be told in time is a warning."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from compose_ops import redaction
from compose_ops.console import say
from compose_ops.errors import needs_extra
from compose_ops.notify.events import KINDS, Event

LIMIT = 10.0
"""Seconds that all messages and pings of a moment may take."""
LOAD_LIMIT = 30.0
"""Seconds that the sender may take to load Apprise and its plugins."""
READ_SECONDS = 1.0
SENDER = "compose_ops.notify.sender"
MOST = 100
"""Lines of a file of URLs that are read."""


@dataclass(frozen=True, slots=True)
class Ping:
    """A request to a dead-man's switch; `body` is for people who look at it."""

    url: str
    body: str = ""


class Delivery:
    """
    Messages and pings on their way; `finish` waits for them.

    They have *limit* seconds, once the sender has loaded what it sends with.
    """

    def __init__(
        self,
        messages: Sequence[Event] = (),
        urls: Sequence[str] = (),
        pings: Sequence[Ping] = (),
        *,
        limit: float = LIMIT,
    ) -> None:
        for url in (*urls, *(ping.url for ping in pings)):
            redaction.learn(url)
        self._limit = limit
        named = [
            {"target": f"notification {number} ({url.partition(':')[0]})", "url": url}
            for number, url in enumerate(urls if messages else (), 1)
        ]
        asked = [
            {"target": "ping", "url": ping.url, "body": redaction.clean(ping.body)}
            for ping in pings
        ]
        self._expected = [str(one["target"]) for one in (*named, *asked)]
        self._answers: list[dict[str, str]] = []
        self._ready = threading.Event()
        self._deadline = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        if self._expected:
            said = [_as_json(message) for message in messages]
            self._begin({"messages": said, "urls": named, "pings": asked})

    def finish(self) -> list[str]:
        """Return what could not be told, and why; it is said as a warning, too."""
        if self._process is None:
            return []
        self._ready.wait(LOAD_LIMIT)
        why = f"no answer within {self._limit:.0f} s"
        try:
            self._process.wait(max(0.0, self._deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        else:
            why = f"the sender ended with exit code {self._process.returncode}"
        self._reader.join(READ_SECONDS)
        faults = [f"{a['target']}: {a['fault']}" for a in self._answers if a["fault"]]
        silent = list(self._expected)
        for answer in self._answers:
            silent.remove(answer["target"])
        faults += [f"{target}: {why}" for target in silent]
        for fault in faults:
            say(f"warning: not delivered: {fault}")
        return [redaction.clean(f"not delivered: {fault}") for fault in faults]

    def _begin(self, asked: Mapping[str, Any]) -> None:
        package = str(Path(__file__).parents[2])
        path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", SENDER],
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._deadline = time.monotonic() + LOAD_LIMIT + self._limit
        self._reader = threading.Thread(
            target=self._read, args=(self._process,), daemon=True
        )
        self._reader.start()
        with suppress(OSError), self._process.stdin or nullcontext() as stdin:
            if stdin:
                stdin.write(json.dumps(asked).encode())

    def _read(self, process: "subprocess.Popen[bytes]") -> None:
        with process.stdout or nullcontext(()) as lines:
            for line in lines:
                answer = json.loads(line)
                if "ready" in answer:
                    self._deadline = time.monotonic() + self._limit
                    self._ready.set()
                else:
                    self._answers.append(answer)
        self._ready.set()


def _as_json(message: Event) -> dict[str, str]:
    return {
        "title": redaction.clean(message.title),
        "body": redaction.clean(message.body),
        "kind": KINDS[message.name],
    }


def require() -> None:
    """Raise ConfigurationError where the extra is not installed."""
    if find_spec("apprise") is None:
        with needs_extra("notify"):
            raise ModuleNotFoundError(name="apprise")


def urls_in(path: Path) -> list[str]:
    """
    Return the URLs of a secret file, one on each line; `#` begins a comment.

    Raises OSError where it cannot be read. Each is redacted from now on.
    """
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    found = [line for line in lines if line and not line.startswith("#")][:MOST]
    for url in found:
        redaction.learn(url)
    if path.stat().st_mode & 0o077:
        say(f"warning: {path} is open to others; chmod 600 it")
    return found
