"""Inspecting what may be gone by the time it is asked about."""

import json

import pytest

from compose_ops.docker.api import Output
from compose_ops.docker.client import DockerEngine
from compose_ops.errors import ComposeOpsError

DAEMON = "Error response from daemon: "


class Inspected(DockerEngine):
    """Docker, which knows of one thing and says *complaint* about the others."""

    def __init__(self, complaint: str) -> None:
        super().__init__()
        self.complaint = complaint

    def docker(self, *arguments: str, timeout: float = 0) -> Output:  # noqa: ARG002
        return Output(1, json.dumps([{"Id": arguments[-2]}]), self.complaint)


@pytest.mark.parametrize(
    ("noun", "complaint"),
    [
        ("container", "Error: No such container: b"),
        ("image", "Error: No such image: b"),
        ("network", DAEMON + "network b not found"),
        ("volume", DAEMON + "get b: no such volume"),
    ],
)
def test_what_is_gone_meanwhile_is_left_out(noun: str, complaint: str) -> None:
    """Another project's, for instance, between listing and looking."""
    assert Inspected(complaint).inspect(noun, ["a", "b"]) == [{"Id": "a"}]


def test_any_other_refusal_is_an_error() -> None:
    """It is not taken for absence."""
    with pytest.raises(ComposeOpsError):
        Inspected(DAEMON + "permission denied").inspect("network", ["a", "b"])
