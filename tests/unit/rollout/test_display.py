"""What a terminal shows while an update runs."""

import io
import sys

import pytest

from compose_ops.rollout.display import displayed, rows
from compose_ops.rollout.policy import ProbeSettings
from compose_ops.rollout.statistics import Request
from compose_ops.rollout.traffic_probe import TrafficProbe

TRAFFIC = ProbeSettings(8000, "/", "/echo", "/health", "SIGUSR1", "gateway", "front")


def test_the_table_names_slots_and_what_the_probe_saw() -> None:
    """Each container with its state, and the count of failures."""
    probe = TrafficProbe("127.0.0.1", 1, TRAFFIC)
    probe.requests += [Request(0.0, 0.01), Request(0.1, 0.2, wrong="GET / 500")]

    found = dict(rows({"app-3": "admitted", "app-1": "draining"}, probe))

    assert (found["app-3"], found["app-1"]) == ("admitted", "draining")
    assert found["probe"].startswith("2 requests, 1 failed")


def test_a_terminal_gets_a_live_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last state of each container stands in it at the end."""
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", screen)
    with displayed("app", None) as note:
        note("app-3: started, waiting for health")
        note("app-3: admitted, watched for 4 s")

    assert "admitted" in screen.getvalue()


def test_elsewhere_each_step_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """On stderr, where --json leaves room for it."""
    with displayed("app", None) as note:
        note("app-3: draining")

    assert capsys.readouterr().err == "app-3: draining\n"
