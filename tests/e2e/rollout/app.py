"""
A web application that can be told to fail, in the ways that an update must find.

MODE is good, never-healthy, dies-N (N s after its start), flaky (one request in ten),
turns-bad (one second after the first request that came through a gateway) or sick-N
(the N-th container of this version is never healthy). GET /
answers with the version, a POST with its body; /slow answers either after 3 s, GET
/paced after 20 ms. POST /die counts itself in /data/executed and dies before it
answers, GET /kept is the count; GET /die dies the first time that it is asked.

GET /, /slow and a POST need one of WORKERS for 6 ms, as others need a database: so it
is known how many of them a replica answers a second at most.
SIGUSR1 makes /health answer 503 from then on; SIGTERM ends the process.
"""

import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

MODE = os.environ["MODE"]
EXECUTED = Path("/data/executed")
ASKED = Path("/data/asked")
STARTS = Path("/data/starts-" + os.environ["VERSION"])
SLOW_SECONDS = 3
PACE_SECONDS = 0.02
WORK_SECONDS = 0.006
workers = threading.BoundedSemaphore(int(os.environ.get("WORKERS", "1")))
numbers = count(1)
draining = threading.Event()
through_gateway: list[float] = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/health":
            bad = draining.is_set() or SICK
            self._answer(503 if bad else 200, b"health\n")
        elif self.path == "/slow":
            self._work()
            self._answer(200, b"slow\n")
        elif self.path == "/paced":
            time.sleep(PACE_SECONDS)
            self._answer(200, b"paced\n")
        elif self.path == "/kept":
            kept = EXECUTED.read_bytes() if EXECUTED.exists() else b""
            self._answer(200, str(kept.count(b"\n")).encode())
        elif self.path == "/die":
            self._answer(200, f"asked {again()} times".encode())
        else:
            self._work()
            version = {"version": os.environ["VERSION"], "pid": os.getpid()}
            self._answer(self._status(), json.dumps(version).encode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/die":
            with EXECUTED.open("a") as file:
                file.write("executed\n")
            os._exit(1)
        self._work()
        self._answer(self._status(), body)

    def _work(self) -> None:
        with workers:
            time.sleep(WORK_SECONDS)
        if self.path == "/slow":
            time.sleep(SLOW_SECONDS)

    def _status(self) -> int:
        now = time.monotonic()
        if "X-Forwarded-For" in self.headers:
            through_gateway.append(now)
        if MODE == "flaky" and next(numbers) % 10 == 0:
            return 500
        if MODE == "turns-bad" and through_gateway and now - through_gateway[0] > 1:
            return 500
        return 200

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        del words


def is_sick() -> bool:
    """Count the containers of this version; say whether this one is never healthy."""
    if not MODE.startswith("sick-"):
        return MODE == "never-healthy"
    with STARTS.open("a") as file:
        file.write("started\n")
    return len(STARTS.read_text().splitlines()) == int(MODE.removeprefix("sick-"))


def again() -> int:
    """Return how often this was called, in whatever replica; end it the first time."""
    with ASKED.open("a") as file:
        file.write("asked\n")
    times = len(ASKED.read_text().splitlines())
    if times == 1:
        os._exit(1)
    return times


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def die() -> None:
    time.sleep(float(MODE.removeprefix("dies-")))
    print("this version dies", file=sys.stderr)  # noqa: T201
    os._exit(7)


SICK = is_sick()
signal.signal(signal.SIGUSR1, lambda *_: draining.set())
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
if MODE.startswith("dies-"):
    threading.Thread(target=die, daemon=True).start()
Server(("0.0.0.0", 8000), Handler).serve_forever()
