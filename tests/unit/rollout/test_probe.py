"""What the proof of an update is made of: the requests that the probe sends."""

import asyncio
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from tempfile import TemporaryFile
from typing import Any, cast

import pytest
from fakes import FakeEngine
from small_server import Asked, SmallServer, answer, good, serving

from compose_ops.docker.api import Engine, RunSpec
from compose_ops.docker.interactive import Conversation
from compose_ops.docker.lines import lines_of
from compose_ops.rollout import open_loop
from compose_ops.rollout import traffic_probe as probing
from compose_ops.rollout.statistics import TrafficReport
from compose_ops.rollout.traffic_probe import TrafficProbe

RATE = 200.0


def probed(server: SmallServer, requests: int, *, rate: float = RATE) -> TrafficReport:
    """Send at least *requests* requests to a server, and sum up."""
    probe = TrafficProbe("127.0.0.1", server.port, server.traffic, rate=rate)
    probe.start()
    deadline = time.monotonic() + 10
    while len(probe.requests) < requests:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return probe.stop()


def test_half_of_the_requests_come_on_fresh_connections() -> None:
    """The other half on few that are kept; GET and POST on either."""
    with serving() as server:
        proof = probed(server, 80)

    uses = Counter(asked.connection for asked in server.asked)
    fresh = [a for a in server.asked if not a.keeps]
    kept = [a for a in server.asked if a.keeps]

    assert proof.failed == 0
    assert abs(len(fresh) - len(kept)) <= 1
    assert {uses[a.connection] for a in fresh} == {1}
    assert len({a.connection for a in kept}) <= len(kept) / 4
    for half in (fresh, kept):
        methods = Counter(a.method for a in half)
        assert abs(methods["GET"] - methods["POST"]) <= 2


def test_nothing_is_sent_twice() -> None:
    """Not even what was refused, dropped or not answered: each counts once."""
    with serving(
        lambda asked: b"" if asked.method == "POST" else good(asked)
    ) as server:
        proof = probed(server, 40)

    bodies = [asked.body for asked in server.asked if asked.body]

    assert len(server.asked) == proof.requests
    assert len(bodies) == len(set(bodies)) == proof.failed


def test_bodies_are_compared() -> None:
    """A POST that comes back with another body has failed, whatever its status."""
    with serving(lambda asked: answer(200, asked.body[:-1] or b"page")) as server:
        proof = probed(server, 40)

    posts = [asked for asked in server.asked if asked.method == "POST"]

    assert proof.failed == len(posts) > 0
    assert "another body" in proof.failures[0]


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"broken",
        b"broken\r\n\r\n",
        b"broken " + b"x" * 100_000,
        b"broken status 200\r\n\r\n",
        answer(503, b"busy"),
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfew\r\n",
    ],
)
def test_whatever_is_no_answer_is_a_failure(broken: bytes) -> None:
    """None is left out of the count, and the probe goes on."""
    with serving(lambda _asked: broken) as server:
        proof = probed(server, 12)

    assert proof.requests == proof.failed >= 12
    assert proof.failures


def test_a_server_that_is_not_there_fails_each_request() -> None:
    """Refused connections count like refused requests."""
    with serving() as server:
        pass

    assert probed(server, 12).failed >= 12


def test_a_hang_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time that an answer may take, and it counts with all of it."""
    monkeypatch.setattr(open_loop, "ANSWER_SECONDS", 0.2)

    def hang(asked: Asked) -> bytes:
        time.sleep(0.6)
        return good(asked)

    with serving(hang) as server:
        proof = probed(server, 12)

    assert proof.failed == proof.requests
    assert proof.longest_gap_ms >= 200
    assert proof.p99_during_ms >= 200
    assert "TimeoutError" in proof.failures[0]


def test_latency_counts_from_when_a_request_was_due(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What waited behind a client that stood still counts with its wait."""
    connect, stall = asyncio.open_connection, iter([0.5])

    def stalled(*words: Any, **named: Any) -> Any:
        time.sleep(next(stall, 0.0))
        return connect(*words, **named)

    monkeypatch.setattr(asyncio, "open_connection", stalled)
    with serving() as server:
        probe = TrafficProbe("127.0.0.1", server.port, server.traffic, rate=RATE)
        probe.start()
        while len(probe.requests) < 0.6 * RATE:
            time.sleep(0.01)
        probe.stop()

    late = [r for r in probe.requests if r.latency > 0.2]

    assert len(late) > 0.2 * RATE


def test_a_client_that_sends_too_little_proves_nothing() -> None:
    """Below 50 requests a second the proof has failed."""
    with serving() as server:
        few = probed(server, 12, rate=25.0)
        enough = probed(server, 12, rate=60.0)

    assert few.failed > 0
    assert "too few" in few.failures[0]
    assert (enough.failed, enough.failures) == (0, ())


def test_the_page_is_asked_for_as_the_application_wants_it() -> None:
    """By its name, with its method and body, and a status that it calls good."""

    def wanting(asked: Asked) -> bytes:
        right = (asked.host, asked.method, asked.body) == (
            "shop.example",
            "PUT",
            b"ping",
        )
        return answer(202, b"done") if right else answer(400, b"no")

    with serving(wanting) as server:
        wanted = replace(
            server.traffic,
            post="",
            host="shop.example",
            method="PUT",
            body=b"ping",
            statuses=frozenset({202, 204}),
        )
        probe = TrafficProbe("127.0.0.1", server.port, wanted, rate=RATE)
        probe.start()
        while len(probe.requests) < 10:
            time.sleep(0.01)
        failure = probe.failure()
        probe.stop()

    assert failure == ""


class ElsewhereEngine(FakeEngine):
    """Runs the probe's own file as a container on the engine's host would."""

    process: "subprocess.Popen[bytes]"

    @contextmanager
    def run_interactive(self, spec: RunSpec) -> Iterator[Conversation]:
        argv = [sys.executable, "-I", *spec.command]
        with subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        ) as process:
            assert process.stdin
            assert process.stdout
            with lines_of(process.stdout) as lines, TemporaryFile() as errors:
                self.process = process
                yield Conversation(process, lines, errors)
            process.stdin.close()


def elsewhere(server: SmallServer) -> tuple[ElsewhereEngine, TrafficProbe]:
    engine = ElsewhereEngine()
    spec = RunSpec("image", ("-c", probing.SOURCE.read_text()), network="host")
    host = probing.ProbeHost(cast("Engine", engine), spec)
    probe = TrafficProbe(
        "127.0.0.1", server.port, server.traffic, rate=RATE, elsewhere=host
    )
    return engine, probe


def test_requests_are_sent_where_the_ports_are() -> None:
    """Each with the same judgement, and times of this machine's clock."""
    with serving(lambda asked: answer(200, asked.body[:-1] or b"page")) as server:
        _, probe = elsewhere(server)
        before = time.monotonic()
        probe.start()
        while len(probe.requests) < 80:
            time.sleep(0.01)
        proof = probe.stop()
        after = time.monotonic()
        sent = [asked for asked in server.asked if asked.body]

    assert proof.requests == len(server.asked)
    assert proof.failed == len(sent) > 0
    assert "another body" in proof.failures[0]
    assert all(before <= r.due <= r.done <= after for r in probe.requests)


def test_probe_elsewhere_that_ends_proves_nothing() -> None:
    """A lost connection to the engine's host must not count as no failure."""
    with serving() as server:
        engine, probe = elsewhere(server)
        probe.start()
        while len(probe.requests) < 10:
            time.sleep(0.01)
        engine.process.kill()
        while not probe.failure():
            time.sleep(0.01)
        proof = probe.stop()

    assert proof.failed > 0
    assert "the probe on the engine's host ended" in probe.failure()
