"""How long an update of two replicas takes, and what is waited for."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from composing import opened
from served import ROLLED, SERVED, Served, quick

from compose_ops.rollout import update
from compose_ops.rollout.update import UpdateRequest

MONITOR, DELAY = 8.0, 10.0


class Timed(Served):
    """Notes when each container is started and admitted."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = {"start": [], "admit": []}
        super().__init__()
        config = {"monitor": "8s", "delay": "10s", "order": "start-first"}
        app = {**SERVED, "deploy": {**ROLLED, "update_config": config}}
        self.services = {**self.services, "app": app}
        for noted in self.times.values():
            noted.clear()

    def start(self, *containers: str) -> None:
        self._note("start")
        super().start(*containers)

    def connect(
        self, network: str, container: str, *, aliases: Sequence[str] = ()
    ) -> None:
        self._note("admit")
        super().connect(network, container, aliases=aliases)

    def _note(self, what: str) -> None:
        self.times[what].append(self.clock.now())


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Timed:
    engine = Timed()
    quick(monkeypatch, engine)
    return engine


def test_both_windows_and_the_delay_are_kept(engine: Timed, tmp_path: Path) -> None:
    """Half of `monitor` before admission, half after it, and then the delay."""
    update.update(opened(tmp_path, engine), "app", UpdateRequest(build=True))

    (first_start, second_start) = engine.times["start"]
    (first, second) = engine.times["admit"]

    assert first - first_start >= MONITOR / 2
    assert second - second_start >= MONITOR / 2
    assert second - first >= MONITOR / 2 + DELAY


def test_the_next_replica_is_watched_during_the_delay(
    engine: Timed, tmp_path: Path
) -> None:
    """Nothing that can overlap is waited for in a row."""
    begin = engine.clock.now()

    update.update(opened(tmp_path, engine), "app", UpdateRequest(build=True))

    (first, second) = engine.times["admit"]
    assert engine.times["start"][1] < first + MONITOR / 2 + 2
    assert second < first + MONITOR / 2 + DELAY + 1
    assert engine.clock.now() - begin < 2 * MONITOR + DELAY
