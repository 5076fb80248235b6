"""Reading HAProxy's statistics, and what a good answer is."""

from typing import Any

import pytest

from compose_ops.rollout.proxy import haproxy
from compose_ops.rollout.proxy.haproxy import (
    Server,
    parse,
    wait_admitted,
    wait_released,
)
from compose_ops.rollout.replica_probe import judge
from compose_ops.runtime.health import Clock

HEADER = "# pxname,svname,qcur,scur,status,check_status,addr,cookie,\n"
STATISTICS = (
    HEADER
    + """\
public,FRONTEND,,3,OPEN,,,,
app,app1,0,2,UP,L7OK,10.0.0.2:8000,,
app,app2,0,0,DOWN,L7STS,10.0.0.3:8000,,
app,app3,0,0,UP,INI,10.0.0.4:8000,,
app,app4,0,0,MAINT (resolution),,,,
app,BACKEND,0,2,UP,,,,
"""
)
OLD = "10.0.0.2:8000"


def state(*rows: str) -> str:
    """Return statistics with *rows*: status, check, requests, and address."""
    lines = [
        f"app,app{number},0,{held},{status},{check},{address},,"
        for number, row in enumerate(rows, 1)
        for status, check, held, address in [row.split("|")]
    ]
    return HEADER + "\n".join(["app,BACKEND,0,9,UP,,,,", *lines, ""])


class Gateway:
    """An engine whose gateway answers with each of *states*, the last for ever."""

    def __init__(self, *states: str) -> None:
        self.states = list(states)
        self.time = 0.0

    def exec_readonly(self, *_words: Any) -> str:
        return self.states[0] if len(self.states) == 1 else self.states.pop(0)

    def sleep(self, seconds: float) -> None:
        self.time += seconds

    def released(self, *, limit: float = 3.0) -> bool:
        clock = Clock(now=lambda: self.time, sleep=self.sleep)
        return wait_released(self, "gateway", [OLD], clock, limit)  # type: ignore[arg-type]

    def admitted(self) -> None:
        clock = Clock(now=lambda: self.time, sleep=self.sleep)
        wait_admitted(self, "gateway", [OLD], clock, 0.5)  # type: ignore[arg-type]


def test_only_checked_servers_are_up() -> None:
    """One that has just been resolved counts when its check has passed."""
    assert parse(STATISTICS) == {
        "10.0.0.2:8000": Server(
            is_admitted=True, gets_requests=True, refuses=False, held=2
        ),
        "10.0.0.3:8000": Server(
            is_admitted=False, gets_requests=False, refuses=True, held=0
        ),
        "10.0.0.4:8000": Server(
            is_admitted=False, gets_requests=True, refuses=False, held=0
        ),
    }


@pytest.mark.parametrize(
    "row",
    [
        f"UP|L7OK|0|{OLD}",
        f"UP|* L7OK|0|{OLD}",  # a check runs at this moment
        f"UP 1/2|L7STS|0|{OLD}",  # one of the two failures that it takes
        f"UP 1/2|* L7STS|0|{OLD}",
        f"no check||0|{OLD}",
        f"DOWN|L7STS|1|{OLD}",  # an answer is still to come
        "MAINT (resolution)||1|",  # the same, and its name is gone already
    ],
)
def test_a_replica_that_can_have_a_request_is_not_let_go(row: str) -> None:
    """Whatever its last check said: a stop now could cost a request."""
    assert not Gateway(state(row)).released()


@pytest.mark.parametrize(
    ("row", "least"),
    [
        (f"DOWN|L7STS|0|{OLD}", haproxy.PERIOD),
        (f"DOWN|* L7STS|0|{OLD}", haproxy.PERIOD),
        # Not by its own word: the next check could bring it back.
        (f"DOWN|L4TOUT|0|{OLD}", haproxy.CALM_SECONDS),
        (f"DOWN|* L7TOUT|0|{OLD}", haproxy.CALM_SECONDS),
    ],
)
def test_a_drained_replica_is_let_go(row: str, least: float) -> None:
    """The gateway sends it nothing, and has been seen to do so twice."""
    gate = Gateway(state(row, "UP|L7OK|4|10.0.0.9:8000"))

    assert gate.released()
    assert gate.time >= least


def test_a_replica_that_is_not_known_is_let_go() -> None:
    """Its name is gone, and with it what could be sent there."""
    assert Gateway(state("MAINT (resolution)||0|")).released()


def test_two_places_with_one_address_count_together() -> None:
    """The one that is in use decides, in whatever order they stand."""
    used, unused = f"UP|L7OK|1|{OLD}", f"MAINT (resolution)||0|{OLD}"

    assert not Gateway(state(used, unused)).released()
    assert not Gateway(state(unused, used)).released()


def test_a_replica_that_comes_back_is_waited_for_again() -> None:
    """It was down for a late answer, and its next check was good."""
    down, back = state(f"DOWN|L4TOUT|0|{OLD}"), state(f"UP|L7OK|0|{OLD}")

    assert not Gateway(down, down, back).released()
    gate = Gateway(down, down, back, down)
    assert gate.released()
    assert gate.time >= 3 * haproxy.PERIOD + haproxy.CALM_SECONDS


@pytest.mark.parametrize("check", ["L7OK", "* L7OK"])
def test_a_replica_whose_check_passed_is_admitted(check: str) -> None:
    """Also while its next check runs."""
    gate = Gateway(state(f"UP|INI|0|{OLD}"), state(f"UP|{check}|0|{OLD}"))
    gate.admitted()

    assert gate.time > 0


def test_an_answer_is_judged_by_status_and_body() -> None:
    """A POST must come back with what was sent, a GET with something."""
    assert judge("GET", "/", b"", 200, b"page") == ""
    assert judge("POST", "/echo", b"sent", 200, b"sent") == ""
    assert judge("GET", "/", b"", 503, b"page")
    assert judge("GET", "/", b"", 200, b"")
    assert judge("POST", "/echo", b"sent", 200, b"other")
