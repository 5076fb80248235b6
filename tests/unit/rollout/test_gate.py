"""What a new replica must get through before a request is sent to it."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from fakes import EPOCH, FakeEngine, container
from served import done
from small_server import Asked, SmallServer, answer, good, serving

from compose_ops.docker.api import Container, Event, Output, Probe, RunSpec
from compose_ops.errors import UnhealthyError
from compose_ops.rollout import background, health_command, health_gate
from compose_ops.rollout.context import UpdateContext
from compose_ops.rollout.helpers import Helpers
from compose_ops.rollout.policy import ProbeSettings
from compose_ops.runtime.health import Clock

LIMIT, WINDOW = 30.0, 4.0
Happens = dict[float, dict[str, Any]]


class SlotState(FakeEngine):
    """An engine whose one container changes at given seconds, each with an event."""

    def __init__(self, happens: Happens, **changes: Any) -> None:
        super().__init__([container(networks={"front": "127.0.0.1"}, **changes)])
        self.happens = happens
        self.time = 0.0

    def container(self, reference: str) -> Container | None:
        [found] = self.there
        return found if reference in {found.id, "two"} else None

    def next(self, timeout: float) -> Event | None:
        """Let time pass until something happens, but no more than *timeout*."""
        due = min([t for t in self.happens if t > self.time], default=float("inf"))
        end = self.time + timeout
        if due > end:
            self.time = end
            return None
        self.time = due
        changed = {"networks": {"front": "127.0.0.1"}, **self.happens[due]}
        self.there = [container(**changed)]
        return Event(self.time, "container", "changed", "id-app", {})

    def sleep(self, seconds: float) -> None:
        self.time += seconds

    def site(self, traffic: ProbeSettings | None = None) -> UpdateContext:
        return UpdateContext(
            engine=self,  # type: ignore[arg-type]
            project="trial",
            service="app",
            traffic=traffic,
            network="front" if traffic else "",
            gateway="gateway" if traffic else "",
            health_limit=LIMIT,
            drain_timeout=10.0,
            clock=Clock(now=lambda: self.time, sleep=self.sleep),
            helpers=Helpers(self, "trial", lambda: "helper"),  # type: ignore[arg-type]
        )

    def wait(self) -> None:
        health_gate.wait_healthy(self.site(), ["id-app"], self)

    def watch(
        self,
        server: SmallServer | None = None,
        *ids: str,
        window: float = WINDOW,
        outside: Callable[[], str] = lambda: "",
    ) -> int:
        site = self.site(server.traffic if server else None)
        watch = health_gate.Watch(site, ids or ["id-app"], self, outside)
        begin = self.time
        watch.probe_n(health_gate.PROBES, within=window)
        if (left := begin + window - self.time) > 0:
            watch.observe_for(left)
        return watch.answered


@pytest.fixture
def server() -> Iterator[SmallServer]:
    with serving() as server:
        yield server


def test_health_is_waited_for_by_events() -> None:
    """It goes on in the moment in which the container is healthy."""
    place = SlotState({2.34: {"health": "healthy"}}, health="starting")

    place.wait()

    assert place.time == 2.34


def test_what_has_no_health_check_must_answer_first(server: SmallServer) -> None:
    """It may take a while to listen, and nobody would wait for that."""
    answers: list[int] = []

    def after_a_while(asked: Asked) -> bytes:
        answers.append(1)
        return answer(503, b"") if len(answers) < 4 else good(asked)

    server.reply = after_a_while
    place = SlotState({}, health="")

    health_gate.wait_healthy(place.site(server.traffic), ["id-app"], place)

    assert len(answers) == 4
    assert place.time < 1


def test_what_never_answers_is_told_with_its_answer(server: SmallServer) -> None:
    server.reply = lambda _asked: answer(404, b"")
    place = SlotState({}, health="")

    with pytest.raises(UnhealthyError, match=r"does not answer .* answered 404"):
        health_gate.wait_healthy(place.site(server.traffic), ["id-app"], place)


@pytest.mark.parametrize(
    ("becomes", "said"),
    [
        ({"state": "exited", "health": "", "exit_code": 3}, "exit code 3"),
        ({"state": "exited", "oom_killed": True, "exit_code": 137}, "memory limit"),
        ({"oom_killed": True, "health": "starting"}, "memory limit"),
        ({"state": "dead", "exit_code": 1}, "exit code 1"),
        ({"restart_count": 1, "health": "starting", "exit_code": 9}, "exit code 9"),
        ({"state": "restarting", "health": "starting"}, "restarted"),
        ({"health": "unhealthy"}, "unhealthy"),
    ],
)
def test_the_first_sign_of_an_end_is_enough(becomes: dict[str, Any], said: str) -> None:
    """Nobody waits for the limit, and the last log lines come with the reason."""
    place = SlotState({1.5: becomes}, health="starting")

    with pytest.raises(UnhealthyError, match=said) as ended:
        place.wait()

    assert place.time == 1.5
    assert "log lines of trial-app" in ended.value.detail


@pytest.mark.parametrize("state", [{"state": "exited"}, {"oom_killed": True}])
def test_what_has_ended_already_is_not_waited_for(state: dict[str, Any]) -> None:
    """A container may be gone before anybody looks."""
    place = SlotState({}, **{"health": "starting", **state})

    with pytest.raises(UnhealthyError):
        place.wait()

    assert place.time == 0


def test_a_replica_that_is_never_healthy_has_its_time() -> None:
    """And no more."""
    place = SlotState({}, health="starting")

    with pytest.raises(UnhealthyError, match="not healthy after 30 s"):
        place.wait()

    assert LIMIT <= place.time < LIMIT + health_gate.PERIOD


def test_each_replica_answers_two_hundred_requests(server: SmallServer) -> None:
    """Page, echo and health in turn, on the replica itself."""
    answered = SlotState({}).watch(server, "id-app", "two")
    asked = Counter((a.method, a.path) for a in server.asked)

    assert health_gate.PROBES == 200
    assert answered == len(server.asked) >= 400
    assert set(asked) == {("GET", "/"), ("POST", "/echo"), ("GET", "/health")}
    assert max(asked.values()) - min(asked.values()) <= 2


def test_they_are_asked_however_short_the_window_is(server: SmallServer) -> None:
    """A small `monitor` makes it no easier."""
    assert SlotState({}).watch(server, window=0.0) == 200


def test_a_long_window_is_asked_in_to_its_end(server: SmallServer) -> None:
    """Nobody looks away once 200 answers are in."""
    place = SlotState({})

    place.watch(server, window=60.0)

    assert place.time >= 60.0
    assert len(server.asked) >= 600


def failing_at(number: int, how: bytes) -> Callable[[Asked], bytes]:
    left = iter(range(1, number))
    return lambda asked: good(asked) if next(left, 0) else how


@pytest.mark.parametrize("how", [answer(500, b"no"), answer(200, b""), b""])
def test_one_wrong_answer_of_two_hundred_is_one_too_many(how: bytes) -> None:
    """It is the last request that the replica gets."""
    with serving(failing_at(200, how)) as server, pytest.raises(UnhealthyError):
        SlotState({}).watch(server)

    assert len(server.asked) == 200


@pytest.mark.parametrize(
    "becomes",
    [
        {"state": "exited", "exit_code": 7},
        {"oom_killed": True, "state": "exited"},
        {"restart_count": 1},
        {"health": "unhealthy"},
        {"probes": (Probe(EPOCH, 1, "failed"),)},
    ],
)
def test_the_window_ends_with_the_first_sign_of_an_end(becomes: dict[str, Any]) -> None:
    """Also for a service that no request is sent to."""
    place = SlotState({1.25: becomes})

    with pytest.raises(UnhealthyError):
        place.watch()

    assert place.time == 1.25


def test_trouble_elsewhere_ends_the_window(server: SmallServer) -> None:
    """A request through the gateway that failed, for instance."""
    troubles = iter(["", "", "a request failed"])

    with pytest.raises(UnhealthyError, match="a request failed"):
        SlotState({}).watch(server, outside=lambda: next(troubles))

    assert len(server.asked) == 3


class Remote(SlotState):
    """
    An engine elsewhere: this host has no route to its containers.

    A helper in the container's network answers with the next of *statuses*.
    """

    def __init__(self, *statuses: int) -> None:
        super().__init__({})
        self.there = [container(networks={})]
        self.statuses = iter(statuses)
        self.specs: list[RunSpec] = []
        self.asked: list[dict[str, Any]] = []

    @contextmanager
    def run_interactive(self, spec: RunSpec) -> Iterator["Remote"]:
        self.specs.append(spec)
        yield self

    def send(self, line: str) -> None:
        self.asked.append(json.loads(line))

    def receive(self) -> str:
        sent = self.asked[-1]["body"] or "page"
        return json.dumps({"status": next(self.statuses, 200), "body": sent})


def test_a_replica_without_a_route_is_asked_from_its_own_network(
    server: SmallServer,
) -> None:
    """As often, by one helper; nothing is asked of the replica's image."""
    good_one, bad_one = Remote(), Remote(200, 200, 500)

    good_one.watch(server)
    with pytest.raises(UnhealthyError, match="500"):
        bad_one.watch(server)

    assert (len(good_one.asked), len(bad_one.asked), server.asked) == (200, 3, [])
    [spec] = good_one.specs
    assert spec.network == "container:id-app"
    assert {a["host"] for a in good_one.asked} == {"127.0.0.1"}


class Checked(SlotState):
    """An engine on which the container has a health check, with these exit codes."""

    def __init__(self, *codes: int, test: Sequence[str] = ("CMD", "check")) -> None:
        config = {"Healthcheck": {"Test": list(test), "Timeout": 2_000_000_000}}
        super().__init__({}, raw={"Config": config})
        self.codes = iter(codes)
        self.ran: list[tuple[float, Sequence[str], float]] = []

    def execute(self, _name: str, words: Sequence[str], *, timeout: float) -> Output:
        self.ran.append((self.time, words, timeout))
        return Output(next(self.codes, 0), "no answer\n", "")


@pytest.fixture
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "begin", done)


@pytest.mark.usefixtures("_at_once")
def test_the_health_check_is_run_every_second_of_the_window() -> None:
    """However long the engine's own interval is."""
    place = Checked()

    place.watch(window=5.0)

    assert [round(at) for at, _, _ in place.ran] == [0, 1, 2, 3, 4]
    assert {(tuple(words), limit) for _, words, limit in place.ran} == {
        (("check",), 2.0)
    }


@pytest.mark.usefixtures("_at_once")
def test_a_health_check_that_fails_in_the_window_ends_it() -> None:
    """A second later, with what the check said."""
    place = Checked(0, 0, 3)

    with pytest.raises(UnhealthyError, match="exit code 3, no answer"):
        place.watch(window=9.0)

    assert place.time == pytest.approx(3, abs=0.2)


@pytest.mark.parametrize(
    ("test", "command"),
    [
        (["CMD", "curl", "-f"], ("curl", "-f")),
        (["CMD-SHELL", "curl -f || exit 1"], ("/bin/sh", "-c", "curl -f || exit 1")),
        (["NONE"], None),
        ([], None),
    ],
)
def test_the_health_check_is_the_engines(
    test: list[str], command: tuple[str, ...] | None
) -> None:
    """In the image's shell where it is one line of it."""
    found = health_command.of(Checked(test=test).there[0])

    assert (found and tuple(found.command)) == command


@pytest.mark.usefixtures("_at_once")
def test_a_replica_is_healthy_when_its_check_passes() -> None:
    """The engine would run the first one only after an interval of 30 s."""
    place = Checked(1, 1, 0)
    place.there = [container(health="starting", raw=place.there[0].raw)]

    place.wait()

    assert [round(at) for at, _, _ in place.ran] == [0, 1, 2, 3]
