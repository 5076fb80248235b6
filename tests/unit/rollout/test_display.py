"""What a terminal shows while an update runs, and what a log gets."""

import io
import sys
from contextlib import nullcontext

import pytest
from fakes import container

from compose_ops import console
from compose_ops.rollout.display import Tally, displayed, rows
from compose_ops.rollout.policy import ProbeSettings
from compose_ops.rollout.recording import Answers, Recorder
from compose_ops.rollout.statistics import Request
from compose_ops.rollout.traffic_probe import TrafficProbe

TRAFFIC = ProbeSettings(8000, "/", "/echo", "/health", "SIGUSR1", "gateway", "front")


class Screen(io.StringIO):
    """A terminal; one that is gone takes nothing."""

    def __init__(self, *, gone: bool = False) -> None:
        super().__init__()
        self.gone = gone

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self.gone:
            raise OSError(5, "Input/output error")
        return super().write(text)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder(lambda: 12.0, 2.0)


def screen(patch: pytest.MonkeyPatch, term: str = "xterm") -> Screen:
    """Return the terminal that stderr is from now on, until the test ends."""
    screen = Screen()
    patch.setenv("TERM", term)
    patch.setattr(sys, "stderr", screen)
    return screen


def probe(*requests: Request) -> TrafficProbe:
    made = TrafficProbe("127.0.0.1", 1, TRAFFIC)
    made.requests += requests
    return made


def test_the_table_names_slots_and_what_the_probe_saw(recorder: Recorder) -> None:
    """Each container with its state and for how long, requests, cuts, versions."""
    recorder.cut(3)
    recorder.answered(9.0, Answers(old=40, new=21))
    tally = Tally([Request(0.0, 0.01), Request(0.1, 0.2, wrong="GET / 500")], 0.0)
    states = {"app-3": ("admitted", 4.0), "app-1": ("draining", 8.0)}

    found = {name: words for name, *words in rows(states, recorder, tally)}

    assert found["app-3"] == ["admitted", "6"]
    assert found["app-1"] == ["draining", "2"]
    assert found["requests"][0].startswith("2 requests, 1 failed")
    assert found["cut"][0].startswith("3 ")
    assert found["answers"] == ["40 a second by the old version, 21 by the new one", ""]


def test_latency_is_of_the_last_seconds() -> None:
    """What was slow a minute ago is in the sums alone."""
    slow, quick = Request(0.0, 2.0), [Request(i, i + 0.01) for i in range(60, 64)]
    requests = [slow]
    tally = Tally(requests, 0.0)
    assert "p99 2000 ms" in tally.line()

    requests += quick

    assert tally.line() == "5 requests, 0 failed; 1 a second, p50 10 ms, p99 10 ms"


def test_a_terminal_gets_a_live_table(
    monkeypatch: pytest.MonkeyPatch, recorder: Recorder
) -> None:
    """The last state of each container stands in it at the end."""
    shown = screen(monkeypatch)
    with displayed("app", None, recorder) as note:
        note("app-3: started, waiting for health")
        note("app-3: admitted, watched for 4 s")

    assert "admitted" in shown.getvalue()


def test_brackets_in_a_name_are_no_markup(
    monkeypatch: pytest.MonkeyPatch, recorder: Recorder
) -> None:
    shown = screen(monkeypatch)
    with displayed("app", None, recorder) as note:
        note("[/app]: it said [bold]")

    assert "it said [bold]" in shown.getvalue()


def test_an_update_outlives_its_terminal(
    monkeypatch: pytest.MonkeyPatch, recorder: Recorder
) -> None:
    """A session that is lost in the middle stops nothing."""
    shown = screen(monkeypatch)
    with displayed("app", None, recorder) as note:
        shown.gone = True
        note("app-3: admitted, watched for 4 s")

    assert recorder.notes[0].text == "app-3: admitted, watched for 4 s"


@pytest.mark.parametrize("is_inside_another", [False, True])
def test_waiting_for_health_outlives_its_terminal(
    monkeypatch: pytest.MonkeyPatch, recorder: Recorder, *, is_inside_another: bool
) -> None:
    shown = screen(monkeypatch)
    around = displayed("app", None, recorder) if is_inside_another else nullcontext()
    with around, console.health_progress() as report:
        report([container("app", state="running")])
        shown.gone = True
        report([container("app", state="running")])

    assert sys.stderr is shown


@pytest.mark.parametrize("term", ["dumb", ""])
def test_a_terminal_that_cannot_go_back_gets_lines(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, term: str
) -> None:
    shown = screen(monkeypatch, term)
    with displayed("app", None, recorder) as note:
        note("app-3: draining")

    assert shown.getvalue() == "app-3: draining\n"


def test_elsewhere_each_step_is_a_line(
    recorder: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    """On stderr, where --json leaves room for it; with what the probe has seen."""
    with displayed("app", None, recorder) as note:
        note("app-3: draining")
    with displayed("app", probe(Request(0.0, 0.01)), recorder) as note:
        note("app-1: draining")

    first, second = capsys.readouterr().err.splitlines()
    assert first == "app-3: draining"
    assert second.startswith("app-1: draining (1 requests, 0 failed; ")
