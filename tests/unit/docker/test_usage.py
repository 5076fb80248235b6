"""Sampling memory and CPU while containers come and go."""

import json

from compose_ops.docker.api import Output
from compose_ops.docker.client import DockerEngine


class Sampled(DockerEngine):
    """Docker's own fault: one container that has ended fails the whole sample."""

    def __init__(self, *running: str) -> None:
        super().__init__()
        self.running = set(running)

    def docker(self, *arguments: str, timeout: float = 0) -> Output:  # noqa: ARG002
        names = arguments[arguments.index("{{json .}}") + 1 :]
        if not set(names) <= self.running:
            return Output(1, "", "EOF")
        lines = [
            json.dumps({"ID": n, "CPUPerc": "5%", "MemUsage": "2MiB / 1GiB"})
            for n in names
        ]
        return Output(0, "\n".join(lines), "")


def test_all_that_runs_is_sampled_at_once() -> None:
    found = Sampled("a", "b").usage("a", "b")

    assert [(u.container, u.cpu, u.memory) for u in found] == [
        ("a", 5.0, 2 * 1024**2),
        ("b", 5.0, 2 * 1024**2),
    ]


def test_container_that_ends_meanwhile_is_left_out() -> None:
    """The others are still worth knowing."""
    assert [u.container for u in Sampled("a", "c").usage("a", "b", "c")] == ["a", "c"]


def test_nothing_is_asked_for_nothing() -> None:
    assert Sampled().usage() == ()
