"""
What the version before left: sets, interrupted tasks, data that a restore keeps.

`tests/fixtures/previous-version` was written by that version itself, on an engine in
memory, and then trimmed; @ROOT@ stands for its checkout.
"""

import json
import shutil
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from backup_steps import back_up, bring_back, opened
from backup_world import PROJECT, World
from fakes import container
from volume_helper import reserved

from compose_ops.backup import (
    destinations,
    drill,
    helper,
    repository,
    restore_points,
    restore_undo,
    verify,
)
from compose_ops.backup.helper import HelperJob
from compose_ops.docker.api import FILES_LABEL, Mount, RunSpec, Volume
from compose_ops.doctor import baseline
from compose_ops.errors import DataError
from compose_ops.runtime.context import StackContext
from compose_ops.state import recovery

LEFT = Path(__file__).parents[2] / "fixtures/previous-version"
VOLUMES = ("memo_data", "left_data", "right_data")


@pytest.fixture
def left(tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what puts a case in place, and opens the project as it was left."""
    old = b".jimbot-restore"
    monkeypatch.setattr(reserved, "NAMES", frozenset({reserved.NAME, old}))
    monkeypatch.setattr(reserved, "LEFT_OUT", reserved.NAMES | {b"lost+found"})

    def put(case: str) -> StackContext:
        shutil.copytree(LEFT / case, tmp_path, dirs_exist_ok=True, symlinks=True)
        for file in tmp_path.rglob("*"):
            if file.suffix in {".json", ".yml"}:
                file.write_text(file.read_text().replace("@ROOT@", str(tmp_path)))
        world.there[:] = map(_container, json.loads(_containers(tmp_path)))
        for folder in (tmp_path / "volumes").iterdir():
            labels = {PROJECT: folder.name.partition("_")[0]}
            world.made[folder.name] = Volume(folder.name, "local", {}, labels)
        world.done.clear()
        return opened(tmp_path, world)

    return put


def _containers(root: Path) -> str:
    return (root / "containers.json").read_text()


def _container(entry: dict[str, str]) -> Any:
    volumes = {"memo": ("memo_data",), "pair": ("left_data", "right_data")}
    mounts = tuple(
        Mount("volume", f"{entry['project']}_{key}", "", f"/{key}", writable=True)
        for key in volumes.get(entry["service"], ())
    )
    made = container(entry["service"], id=entry["id"], mounts=mounts)
    if "file" in entry:
        made = replace(made, labels={FILES_LABEL: entry["file"]})
    health = "healthy" if entry["state"] == "running" else ""
    return replace(made, project=entry["project"], state=entry["state"], health=health)


def running(world: World) -> set[str]:
    return {c.service for c in world.there if c.state == "running"}


def lines(world: World) -> list[int]:
    return [world.lines(volume) for volume in VOLUMES]


def test_interrupted_backup_is_ended(left: Any, world: World) -> None:
    """What it stopped runs again, and its partial set is gone."""
    stack = left("backup")
    assert running(world) == {"memo", "pair"}
    assert [found.kind for found in recovery.pending(stack)] == ["backup"]

    recovery.recover(stack)

    assert running(world) == {"memo", "pair", "reader"}
    assert not list((stack.root / "backups/trial").iterdir())
    assert not recovery.pending(stack)
    assert not (stack.root / ".state").exists()


def test_interrupted_restore_is_taken_back(left: Any, world: World) -> None:
    """Two of three volumes were swapped: all have the data from before it again."""
    stack = left("restore")
    assert lines(world) == [3, 5, 70]
    assert recovery.pending(stack)[0].services == ("memo", "pair", "reader")

    recovery.recover(stack)

    assert lines(world) == [30, 50, 70]
    assert running(world) == {"memo", "pair", "reader"}
    assert not [p for v in VOLUMES for p in world.data(v).glob(".*")]
    assert not recovery.pending(stack)


def test_interrupted_drill_leaves_nothing(left: Any, world: World) -> None:
    """Its compose file moved with the folder of the state."""
    stack = left("drill")
    assert {c.project for c in world.there} == {"trial", "trial-drill"}

    recovery.recover(stack)

    assert {c.project for c in world.there} == {"trial"}
    assert not [name for name in world.made if "drill" in name]
    assert not recovery.pending(stack)


def test_interrupted_drill_takes_nothing_of_another_project(
    left: Any, world: World
) -> None:
    """A project of the drill's name was there: its containers name another file."""
    stack = left("drill")
    [memo] = [c for c in world.there if c.id == "trial-drill-memo"]
    other = {FILES_LABEL: "/srv/other/compose.yml"}
    world.there.append(replace(memo, id="other", service="other", labels=other))
    world.create_volume("trial-drill_more", labels={PROJECT: "trial-drill"})

    recovery.recover(stack)

    assert {c.id for c in world.there if c.project == "trial-drill"} == {"other"}
    drills = {name for name in world.made if "drill" in name}
    assert drills == {"trial-drill_memo_data", "trial-drill_more"}
    assert not recovery.pending(stack)


def test_drill_follows_a_recovered_one(left: Any, world: World) -> None:
    stack = left("drill")
    for volume in VOLUMES:
        world.create_volume(f"trial_{volume}", labels={PROJECT: "trial"})
        world.write(volume, 1)
    back_up(stack)

    drill.drill(stack, drill.DrillRequest(stack.root / "backups"))

    assert {c.project for c in world.there} == {"trial"}


def test_helpers_of_the_version_before_are_found(left: Any, world: World) -> None:
    """Its containers carry its labels."""
    stack = left("backup")
    run = "20260101T000000Z-0001"
    labels = {"jimbot.stack.helper": "trial", "jimbot.stack.run": run}
    stray = container("helper", id="stray", labels=labels)
    world.there.append(replace(stray, project=""))

    helper.remove_strays(stack, run)

    assert not [c for c in world.there if c.id == "stray"]


def test_helper_is_told_where_the_version_before_kept_data(left: Any) -> None:
    """Else its data would be copied, and taken for data of the store."""
    stack = left("kept")
    spec: RunSpec = helper.spec(stack, HelperJob(run="1", label="memo"))

    assert spec.environment == {"COMPOSE_OPS_RESERVED_BEFORE": ".jimbot-restore"}
    assert spec.image.startswith("localhost/compose-ops-helper:")


def test_set_is_listed_verified_and_restored(left: Any, world: World) -> None:
    stack = left("kept")
    [found] = repository.listed(stack.root / "backups", "trial")
    assert found.manifest is not None
    assert found.manifest.tool == "jimbot-stack 1"
    assert found.verified

    verify.check(stack, found, ())
    bring_back(stack)

    assert lines(world) == [3, 5, 7]


def test_set_of_a_newer_version_is_refused_by_name(left: Any) -> None:
    stack = left("kept")
    [manifest] = (stack.root / "backups").rglob("manifest.json")
    data = json.loads(manifest.read_text()) | {"schema": 3}
    del data["digest"]
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    data["digest"] = sha256(text.encode()).hexdigest()
    manifest.write_text(json.dumps(data))

    [found] = repository.listed(stack.root / "backups", "trial")

    assert found.manifest is None
    assert "schema is 3" in found.fault
    with pytest.raises(DataError, match=found.id):
        repository.valid_manifest(found)


def test_data_that_a_restore_kept_is_brought_back(left: Any, world: World) -> None:
    stack = left("kept")
    assert lines(world)[0] == 3
    assert [point.services for point in restore_points.listed(stack)] == [("memo",)]

    restore_undo.undo(stack, ["memo"], yes=True)

    assert lines(world)[0] == 30


def test_data_that_a_restore_kept_is_discarded(left: Any, world: World) -> None:
    stack = left("kept")

    restore_undo.discard(stack, [], yes=True)

    assert not list(world.data("memo_data").glob(".*"))
    assert not restore_points.listed(stack)


def test_data_that_a_restore_kept_is_not_backed_up(left: Any, world: World) -> None:
    stack = left("kept")
    name = back_up(stack)

    found = repository.load(stack.root / "backups/trial" / name).manifest
    assert found is not None
    assert {a.files for s in found.stores for a in s.archives} == {2}
    assert world.data("memo_data").joinpath(".jimbot-restore").is_dir()


def test_what_it_remembered_is_known(left: Any) -> None:
    """Destinations and accepted findings; reading moves nothing."""
    stack = left("kept")

    assert destinations.known(stack.backups, stack.state) == (
        stack.root / "backups",
        stack.root / "elsewhere",
    )
    [accepted] = baseline.load(stack.state).values()
    assert (accepted.id, accepted.reason) == ("disk-space", "a small disk")
    assert baseline.keys(stack.state)
    assert (stack.root / ".state").is_dir()
    assert not (stack.root / ".compose-ops").exists()


def test_what_it_remembered_is_written_in_the_present_form(left: Any) -> None:
    stack = left("kept")
    recovery.recover(stack)

    destinations.remember(stack.backups, stack.state, stack.root / "third")

    kept = json.loads((stack.state / destinations.FILE).read_text())
    assert kept["schema"] == 1
    assert len(destinations.known(stack.backups, stack.state)) == 3
