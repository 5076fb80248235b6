"""Reading HAProxy's statistics, and what a good answer is."""

import pytest

from compose_ops.errors import ConfigurationError, UnhealthyError
from compose_ops.rollout.open_loop import ProbeRequest
from compose_ops.rollout.proxy import haproxy
from compose_ops.rollout.proxy.haproxy import HAProxy, Server, parse
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
    """
    A runtime API that answers `show stat` with each of *states*, the last for ever.

    `commands` are all others, which it answers with *said*.
    """

    def __init__(self, *states: str, said: str = "\n") -> None:
        self.states = list(states)
        self.said = said
        self.time = 0.0
        self.commands: list[str] = []
        clock = Clock(now=lambda: self.time, sleep=self.sleep)
        self.proxy = HAProxy("gateway", 9999, self.ask, clock)

    def ask(self, command: str) -> str:
        if command != "show stat":
            self.commands.append(command)
            return self.said
        return self.states[0] if len(self.states) == 1 else self.states.pop(0)

    def sleep(self, seconds: float) -> None:
        self.time += seconds

    def released(self, *, limit: float = 3.0) -> bool:
        return self.proxy.wait_released([OLD], limit)

    def admitted(self) -> None:
        self.proxy.wait_admitted([OLD], 0.5)


def test_only_checked_servers_are_up() -> None:
    """One that has just been resolved counts when its check has passed."""
    assert parse(STATISTICS) == {
        "10.0.0.2:8000": Server(
            ("app/app1",),
            is_admitted=True,
            gets_requests=True,
            stays_out=False,
            is_draining=False,
            held=2,
        ),
        "10.0.0.3:8000": Server(
            ("app/app2",),
            is_admitted=False,
            gets_requests=False,
            stays_out=True,
            is_draining=False,
            held=0,
        ),
        "10.0.0.4:8000": Server(
            ("app/app3",),
            is_admitted=False,
            gets_requests=True,
            stays_out=False,
            is_draining=False,
            held=0,
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
        f"DRAIN|L7OK|1|{OLD}",
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
        (f"DRAIN|L7OK|0|{OLD}", haproxy.PERIOD),
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


def test_a_drained_replica_is_used_again_when_it_is_admitted() -> None:
    """An update that was killed as it drained one left it so."""
    gate = Gateway(state(f"DRAIN|L7OK|0|{OLD}"), state(f"UP|L7OK|0|{OLD}"))
    gate.admitted()

    assert gate.commands == ["set server app/app1 state ready"]


def test_every_server_of_an_address_drains() -> None:
    """The same replica may stand in several backends."""
    gate = Gateway(state(f"UP|L7OK|0|{OLD}", f"UP|L7OK|0|{OLD}"))

    assert gate.proxy.drain([OLD]) == ("app/app1", "app/app2")
    assert gate.commands == [f"set server app/app{n} state drain" for n in (1, 2)]


def test_a_server_is_free_for_the_next_replica_once_its_own_has_ended() -> None:
    """Before that it would send requests to one that is stopping."""
    there, down = state(f"DRAIN|L7OK|0|{OLD}"), state(f"DOWN|L4CON|0|{OLD}")
    gate = Gateway(there, there, down)

    gate.proxy.ready(["app/app1"])

    assert gate.time == pytest.approx(2 * haproxy.PERIOD)
    assert gate.commands == ["set server app/app1 state ready"]


def test_what_lasts_too_long_is_cut_and_counted() -> None:
    """Its sessions are ended by name."""
    gate = Gateway(state(f"DRAIN|L7OK|3|{OLD}", "UP|L7OK|4|10.0.0.9:8000"))

    assert gate.proxy.cut([OLD]) == 3
    assert gate.commands == ["shutdown sessions server app/app1"]


def test_a_refused_command_names_the_line_that_it_needs() -> None:
    gate = Gateway(state(f"UP|L7OK|0|{OLD}"), said="Permission denied\n")

    assert not gate.proxy.can_drain()
    with pytest.raises(UnhealthyError) as refused:
        gate.proxy.drain([OLD])
    assert "stats socket ipv4@127.0.0.1:9999 level admin" in refused.value.hint


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["UP|L7OK|0|10.0.0.9:8000"] * 4, "no server at 10.0.0.2:8000"),
        ([f"UP|L7OK|0|{OLD}"] * 2, "has 2 servers, and the update needs 3"),
        ([f"no check||0|{OLD}"] * 4, "does not check its servers"),
    ],
)
def test_a_gateway_that_cannot_serve_an_update_is_refused(
    rows: list[str], said: str
) -> None:
    """Before anything is changed, with the line to add."""
    with pytest.raises(ConfigurationError, match=said) as refused:
        Gateway(state(*rows)).proxy.require([OLD], 3)

    assert "check" in refused.value.hint


def test_a_gateway_with_room_for_one_more_is_enough() -> None:
    rows = [f"UP|L7OK|0|{OLD}", "UP|L7OK|0|10.0.0.9:8000", "MAINT (resolution)||0|"]

    Gateway(state(*rows)).proxy.require([OLD, "10.0.0.9:8000"], 3)


def test_an_answer_is_judged_by_status_and_body() -> None:
    """An echo must come back with what was sent, a page with something."""
    page = ProbeRequest("GET", "/", b"", frozenset({200, 302, 204}))
    echo = ProbeRequest("POST", "/echo", b"", frozenset({200}), echoes=True)

    assert page.judge(200, b"page") == ""
    assert page.judge(302, b"moved") == ""
    assert page.judge(204, b"") == ""
    assert echo.judge(200, b"sent", b"sent") == ""
    assert page.judge(503, b"page")
    assert page.judge(200, b"")
    assert echo.judge(200, b"other", b"sent")
