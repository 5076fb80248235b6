"""A store that is to start on data of another version is named before it does."""

from collections.abc import Iterable
from pathlib import Path

import pytest
from backup_steps import back_up, opened, two_stores
from backup_world import World

from compose_ops.backup import version_jumps
from compose_ops.docker.api import Image, Output
from compose_ops.errors import DataError, UsageError
from compose_ops.runtime.context import StackContext
from compose_ops.stack import up


class Tagged(World):
    """An engine where each name is an image of its own."""

    def images(self, names: Iterable[str]) -> dict[str, Image]:
        return {name: self.image(name) for name in names}


@pytest.fixture
def world(tmp_path: Path) -> Tagged:
    (tmp_path / "volumes").mkdir()
    made = Tagged(tmp_path / "volumes", two_stores())
    for name in ("memo", "pair"):
        made.change(f"id-{name}", image="localhost/store:2.1", image_id="sha256:old")
    return made


@pytest.fixture
def stack(tmp_path: Path, world: World) -> StackContext:
    return opened(tmp_path, world)


def wanted(stack: StackContext, image: str) -> list[str]:
    """Return the jumps of memo, were *image* to start on its data."""
    stack.engine.services["memo"]["image"] = image  # type: ignore[attr-defined]
    stack.reload()
    return [
        f"{j.kept} {j.wanted} {j.is_back}" for j in version_jumps.find(stack, ["memo"])
    ]


@pytest.mark.parametrize(
    ("image", "found"),
    [
        ("localhost/store:3.0", ["2.1 3.0 False"]),
        ("localhost/store:v10-alpine", ["2.1 10 False"]),
        ("localhost/store:1.9", ["2.1 1.9 True"]),
        ("localhost/store:2.0", ["2.1 2.0 True"]),
        ("localhost/store:2.2", []),
        ("localhost/store:2", []),
        ("localhost/store:latest", []),
        ("localhost:5000/store", []),
        ("localhost/store@sha256:" + "0" * 64, []),
    ],
)
def test_tags_tell_a_jump(stack: StackContext, image: str, found: list[str]) -> None:
    assert wanted(stack, image) == found


def test_command_of_the_store_is_asked_in_both_images(
    stack: StackContext, world: World
) -> None:
    said = {"sha256:old": "store 2.1.0", "localhost/store:latest": "store 3.0.1"}
    world.services["memo"]["labels"]["compose-ops.backup.version"] = "store --version"
    world.run = lambda spec, **_: Output(0, said[spec.image], "")  # type: ignore[method-assign]

    assert wanted(stack, "localhost/store:latest") == ["2.1.0 3.0.1 False"]


def test_without_a_container_the_newest_set_tells(
    stack: StackContext, world: World
) -> None:
    """After `down` the volume is there, and nothing else says what made it."""
    for name in ("memo", "pair"):
        world.change(f"id-{name}", image_id="sha256:localhost/store:2.1")
    for volume in ("memo_data", "left_data", "right_data"):
        world.write(volume, 3)
    back_up(stack)
    world.there.clear()
    stack.everyone = ()

    assert version_jumps.find(stack, ["memo"]) == ()
    assert wanted(stack, "localhost/store:1.0") == ["2.1 1.0 True"]
    [jump] = version_jumps.find(stack, ["memo"])
    assert "its last verified backup is" in str(jump)

    world.remove_volume("trial_memo_data")
    assert wanted(stack, "localhost/store:1.0") == [], "a new volume has no version"


def test_older_version_is_refused_before_anything_changes(
    stack: StackContext, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StackContext, "require", lambda *_, **__: None)
    wanted(stack, "localhost/store:1.0")
    done = list(world.done)

    with pytest.raises(DataError, match=r"of version 2\.1, 1\.0 is to start"):
        up.up(stack, ["memo"])

    assert world.done == done


@pytest.mark.parametrize("image", ["localhost/store:1.0", "localhost/store:3.0"])
def test_terminal_is_asked(
    stack: StackContext, world: World, monkeypatch: pytest.MonkeyPatch, image: str
) -> None:
    monkeypatch.setattr(StackContext, "require", lambda *_, **__: None)
    monkeypatch.setattr(up, "can_ask", lambda: True)
    monkeypatch.setattr(up, "confirm", lambda *_, **__: False)
    wanted(stack, image)

    with pytest.raises(UsageError, match="not confirmed"):
        up.up(stack, ["memo"])
    assert ("up", "memo") not in world.done[len(two_stores()) :]


def test_labels_that_make_no_sense_are_no_matter_of_up(
    stack: StackContext, world: World
) -> None:
    world.services["pair"]["labels"]["compose-ops.data.volume"] = "left_data"

    assert wanted(stack, "localhost/store:3.0") == []
