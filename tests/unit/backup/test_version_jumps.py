"""A store that is to start on data of another version is named before it does."""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from backup_steps import back_up, opened, two_stores
from backup_world import World

from compose_ops.backup import destinations, version_jumps
from compose_ops.backup.addresses import RepositoryAddress
from compose_ops.config.schema import DestinationTable
from compose_ops.docker.api import Image, Output
from compose_ops.errors import DataError, UsageError
from compose_ops.library import backups as sets
from compose_ops.runtime.context import StackContext
from compose_ops.stack import up


class Tagged(World):
    """An engine where each name is an image of its own."""

    absent: set[str]

    def images(self, names: Iterable[str]) -> dict[str, Image]:
        found = {name: self.image(name) for name in names}
        return {name: image for name, image in found.items() if image}

    def image(self, reference: str) -> Image | None:
        return None if reference in self.absent else super().image(reference)


@pytest.fixture
def world(tmp_path: Path) -> Tagged:
    (tmp_path / "volumes").mkdir()
    made = Tagged(tmp_path / "volumes", two_stores())
    made.absent = set()
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


@pytest.mark.parametrize("has_container", [True, False])
def test_tags_tell_where_the_new_image_is_not_pulled_yet(
    stack: StackContext, world: Tagged, *, has_container: bool
) -> None:
    """The usual way: a tag is edited, and `up` would pull it."""
    world.services["memo"]["labels"]["compose-ops.backup.version"] = "store --version"
    world.run = lambda *_, **__: Output(0, "store 7.2.4", "")  # type: ignore[method-assign]
    for volume in ("memo_data", "left_data", "right_data"):
        world.write(volume, 3)
    back_up(opened(stack.root, world), "memo")
    if not has_container:
        world.there.clear()
        stack.everyone = ()
    world.absent.add("localhost/store:1.9")

    assert wanted(stack, "localhost/store:1.9") == ["2.1 1.9 True"]


def _nowhere(stack: StackContext) -> None:
    del stack


def _on_a_disk(stack: StackContext) -> None:
    sets.backup(stack, stack.root / "disk", services=["memo"])


def _on_a_disk_that_is_named(stack: StackContext) -> None:
    _on_a_disk(stack)
    (stack.state / destinations.FILE).unlink()
    _name(stack, DestinationTable(folder=str(stack.root / "disk")))


def _in_a_repository(stack: StackContext) -> None:
    near = RepositoryAddress("near", "", stack.root, stack.root / "password")
    destinations.remember(stack.backups, stack.state, near, "20261128T012315Z-0001")


def _in_a_repository_that_is_named(stack: StackContext) -> None:
    _name(stack, DestinationTable(repository="rest:https://host/"))


def _on_a_disk_and_in_a_repository(stack: StackContext) -> None:
    _on_a_disk(stack)
    _in_a_repository(stack)


def _name(stack: StackContext, table: DestinationTable) -> None:
    stack.config = replace(stack.config, destinations={"other": table})


@pytest.mark.parametrize(
    ("keep", "says"),
    [
        (_nowhere, "no verified backup"),
        (_on_a_disk, r"its last verified backup is \d+s old"),
        (_on_a_disk_that_is_named, r"its last verified backup is \d+s old"),
        (_in_a_repository, "its backups in repositories are not known here"),
        (_in_a_repository_that_is_named, "its backups in repositories are not known"),
        (
            _on_a_disk_and_in_a_repository,
            r"its last verified backup in a folder is \d+s old",
        ),
    ],
)
def test_no_backup_is_said_only_where_that_is_known(
    stack: StackContext, world: World, keep: Callable[[StackContext], None], says: str
) -> None:
    for volume in ("memo_data", "left_data", "right_data"):
        world.write(volume, 3)
    keep(stack)
    wanted(stack, "localhost/store:3.0")

    [jump] = version_jumps.find(stack, ["memo"])

    assert re.search(f"; {says}", str(jump))


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
