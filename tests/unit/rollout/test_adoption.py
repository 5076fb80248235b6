"""The start of a service behind a gateway of ours: the gap is announced and told."""

import time
from pathlib import Path
from typing import Any

import pytest
from composing import Composing, opened
from fakes import container
from small_server import answer, good, serving
from waiting import eventually

from compose_ops.errors import UnhealthyError
from compose_ops.project.labels import GATEWAY_LABEL
from compose_ops.rollout.gateway import adoption
from compose_ops.rollout.gateway.adoption import Outage
from compose_ops.runtime.health import Clock
from compose_ops.stack.up import up

LABELS = {
    f"compose-ops.rollout.{key}": value
    for key, value in {
        "port": "8000",
        "gateway": "web-gateway",
        "network": "web-gateway",
        "alias": "web-replicas",
    }.items()
}
SERVICES = {
    "web": {"image": "shop", "labels": LABELS},
    "web-gateway": {"image": "haproxy"},
}
CLOCK = Clock(now=time.monotonic, sleep=time.sleep)


def started(root: Path, engine: Composing) -> None:
    def compose() -> None:
        engine.done.append(("compose",))

    adoption.start(opened(root, engine), ["web"], compose, CLOCK)


def test_containers_are_there_before_they_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An image that cannot be had stops nothing, and no replica gets its old name."""
    engine = Composing(SERVICES)
    aliases: Any = {"NetworkSettings": {"Networks": {"default": {"Aliases": ["web"]}}}}
    networks = {"default": "as created"}
    new = container("web", id="new", state="created", networks=networks, raw=aliases)
    engine.there = [container("web", id="old"), new]

    started(tmp_path, engine)

    connected_again = {"default": "10.0.0.2"}
    verbs = [done for done in engine.done if done[0] in {"up", "compose"}]
    assert verbs == [
        ("up", ("web", "web-gateway"), {}),
        ("compose",),
        ("up", ("web-gateway",), {"dependencies": False}),
    ]
    assert [c.networks for c in engine.there if c.id == "new"] == [connected_again]
    said = capsys.readouterr().err
    assert "web goes behind web-gateway" in said
    assert "web did not serve for" in said


def test_what_runs_behind_its_gateway_is_just_started(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = Composing(SERVICES)
    engine.there = [container("web"), container("web-gateway")]

    started(tmp_path, engine)

    assert engine.done == [("compose",)]
    assert capsys.readouterr().err == ""


def test_a_first_start_is_no_gap(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    started(tmp_path, Composing(SERVICES))

    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("quick_update")
def test_a_gateway_of_ours_goes_without_a_question(tmp_path: Path) -> None:
    """What nobody asks for any more holds the ports that the service publishes."""
    engine = Composing({"web": {"image": "shop"}})
    engine.there = [
        container("web"),
        container("web-gateway", labels={GATEWAY_LABEL: "digest"}),
    ]

    up(opened(tmp_path, engine))

    assert {c.service for c in engine.there} == {"web"}


def test_the_longest_time_without_an_answer_is_told() -> None:
    """What a proxy says for want of a replica is none, and any other answer is one."""
    with serving() as server:
        server.reply = lambda _asked: answer(404, b"as before")
        outage = Outage("web", server.traffic, CLOCK, "127.0.0.1", server.port)
        outage.begin()
        eventually(lambda: outage.answered)
        server.reply = lambda _asked: answer(503, b"")
        begin = len(server.asked)
        eventually(lambda: len(server.asked) > begin + 4)
        assert not outage.is_over
        server.reply = good
        eventually(lambda: outage.is_over)
        outage.end()

    assert 0.2 <= outage.longest < 5
    assert outage.told() == f"web did not serve for {outage.longest:.1f} s"


def test_what_never_answered_is_not_waited_for() -> None:
    with serving() as server:
        server.reply = lambda _asked: answer(503, b"")
        outage = Outage("web", server.traffic, CLOCK, "127.0.0.1", server.port)
        outage.begin()
        eventually(lambda: server.asked)
        assert outage.is_over
        outage.end()

    assert outage.told() == "web answers no requests, as before"


def test_a_gateway_that_does_not_start_is_told_with_its_log(tmp_path: Path) -> None:
    """`up` fails, and says what takes the gateway away again."""
    with serving() as server:
        gateway = {"image": "haproxy", "ports": [published(server.port)]}
        engine = Composing({**SERVICES, "web-gateway": gateway})
        engine.there = [container("web")]

        def compose() -> None:
            before = len(server.asked)
            eventually(lambda: len(server.asked) > before)
            server.reply = lambda _asked: answer(503, b"")
            engine.there[-1] = container("web-gateway", health="unhealthy")

        with pytest.raises(UnhealthyError, match="web-gateway is unhealthy") as failed:
            adoption.start(opened(tmp_path, engine), ["web"], compose, CLOCK)

    assert "the last 10 lines" in failed.value.detail
    assert "[rollout.web]" in failed.value.hint


def published(port: int) -> dict[str, Any]:
    return {"target": 8000, "published": str(port), "host_ip": "127.0.0.1"}
