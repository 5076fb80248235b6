"""Paths that services mount from an engine's host, when that is another machine."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fakes import FakeEngine

from compose_ops.docker.api import Endpoint, Output
from compose_ops.doctor.checks.folders import bind_elsewhere
from compose_ops.doctor.facts.folders import remote_binds
from compose_ops.doctor.registry import NotMeasuredError
from compose_ops.project.model import Model
from compose_ops.runtime.engine_location import EngineLocation

MOUNTS = [
    {"type": "bind", "source": "/there", "target": "/a"},
    {"type": "bind", "source": "/here", "target": "/b"},
    {"type": "volume", "source": "data", "target": "/c"},
]
MODEL = Model({"name": "trial", "services": {"app": {"volumes": MOUNTS}}})
FAR = EngineLocation(is_local=False, is_rootless=False, remaps_users=False, why="far")


class Far(FakeEngine):
    """An engine on a machine that has one path, and images."""

    def __init__(self, host: str = "ssh://far", images: str = "abc\n") -> None:
        super().__init__()
        self.host, self.images = host, images

    def endpoint(self) -> Endpoint:
        return Endpoint("default", self.host)

    def docker(self, *words: str) -> Output:
        assert words == ("image", "ls", "--quiet")
        return Output(0, self.images, "")

    def path_exists(self, path: Path, *, image: str) -> bool:
        assert image == "abc"
        return path == Path("/there")


def found(engine: Far, place: EngineLocation = FAR) -> Any:
    stack: Any = SimpleNamespace(engine=engine)
    return remote_binds(stack, MODEL, ("app",), place, {})


def test_mount_that_is_not_on_the_engine_s_host_is_refused() -> None:
    (verdict,) = bind_elsewhere(found(Far()))

    assert verdict.outcome == "fail"
    assert "/here, which is not on the engine's host" in verdict.detail


@pytest.mark.parametrize("host", ["unix:///var/run/docker.sock"])
def test_machine_behind_a_local_socket_is_not_judged_by_this_one(host: str) -> None:
    with pytest.raises(NotMeasuredError, match="far"):
        found(Far(host))


def test_engine_that_is_here_is_not_asked() -> None:
    here = EngineLocation(is_local=True, is_rootless=False, remaps_users=False)

    assert found(Far(), here) == ()


def test_engine_without_any_image_cannot_be_asked() -> None:
    with pytest.raises(NotMeasuredError):
        found(Far(images=""))
