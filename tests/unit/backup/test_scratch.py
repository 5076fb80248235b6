"""A drill touches nothing of the stack that it tries a set of."""

from typing import Any

import pytest
from backup_steps import back_up
from backup_world import COUNT, PROJECT, World
from fakes import container

from compose_ops.backup import drill_project, repository
from compose_ops.docker.api import Mount, Output
from compose_ops.errors import ConfigurationError, DataError
from compose_ops.library import backups as sets
from compose_ops.runtime.context import StackContext
from compose_ops.state import journal

DRILL = drill_project.DrillProject("trial-drill-1a2b3c4d", "run")


def drilled(stack: StackContext, world: World, **more: Any) -> dict[str, Any]:
    """Return how memo would run in a drill if it were declared with *more*."""
    world.services["memo"] |= more
    model = drill_project.model(stack, DRILL, ["memo"])
    service: dict[str, Any] = model["services"]["memo"]
    return service | {"all": model}


def test_folder_of_the_host_can_only_be_read(stack: StackContext, world: World) -> None:
    """A store that keeps data there would write to the live one."""
    bind = {"type": "bind", "source": "/srv/live", "target": "/live"}
    data = {"type": "volume", "source": "memo_data", "target": "/data"}

    found = drilled(stack, world, volumes=[bind, data])["volumes"]

    assert found == [bind | {"read_only": True}, data]


@pytest.mark.parametrize("mode", ["host", "service:pair", "container:other"])
def test_network_of_another_is_not_shared(
    stack: StackContext, world: World, mode: str
) -> None:
    found = drilled(stack, world, network_mode=mode)

    assert "network_mode" not in found
    assert found["networks"] == ["drill"]
    assert found["all"]["networks"]["drill"]["internal"]


def test_service_without_network_keeps_having_none(
    stack: StackContext, world: World
) -> None:
    found = drilled(stack, world, network_mode="none")

    assert found["network_mode"] == "none"
    assert "networks" not in found


def test_one_of_several_replicas_is_tried(stack: StackContext, world: World) -> None:
    found = drilled(stack, world, scale=3, deploy={"replicas": 3, "resources": {}})

    assert "scale" not in found
    assert found["deploy"] == {"resources": {}}


def test_configs_and_secrets_come_along(stack: StackContext, world: World) -> None:
    world.further = {
        "configs": {"ini": {"name": "trial_ini", "content": "a=1"}},
        "secrets": {"word": {"name": "trial_word", "file": "/secret"}},
    }
    uses = {"configs": [{"source": "ini"}], "secrets": [{"source": "word"}]}

    found = drilled(stack, world, **uses)["all"]

    assert found["configs"] == {"ini": {"content": "a=1"}}
    assert found["secrets"] == {"word": {"file": "/secret"}}


@pytest.mark.parametrize("known", [{"environment": "WORD"}, {"external": True}])
def test_secret_that_no_drill_can_have_is_refused_before_anything_is_made(
    stack: StackContext, world: World, known: dict[str, Any]
) -> None:
    world.further = {"secrets": {"word": known}}
    world.services["memo"]["secrets"] = [{"source": "word"}]
    made = back_up(stack, "memo")

    with pytest.raises(ConfigurationError, match="memo cannot be drilled: word of its"):
        sets.drill(stack, "backups", set_id=made, identity="")

    assert ("up", "memo") not in world.done[1:]
    assert journal.pending(stack) == ()


def test_drill_leaves_nothing_and_is_recorded(
    stack: StackContext, world: World
) -> None:
    made = back_up(stack)
    before = dict(world.made)

    done = sets.drill(stack, "backups", set_id=made, identity="")

    counts = {store.service: store.count for store in done.stores}
    assert (done.set_id, counts) == (made, {"memo": 3, "pair": 5})
    assert done.proven
    assert world.made == before
    assert {c.project for c in world.there} == {"trial"}
    assert repository.load(stack.root / "backups/trial" / made).drilled is not None


def test_drill_that_counts_otherwise_is_recorded_as_failed(
    stack: StackContext, world: World
) -> None:
    made = back_up(stack, "memo")
    world.commands[COUNT] = lambda _asked: Output(0, "1", "")

    with pytest.raises(DataError, match="memo counts 1 in the drill, the set says 3"):
        sets.drill(stack, "backups", set_id=made, identity="")

    assert repository.load(stack.root / "backups/trial" / made).drilled is None
    assert not [name for name in world.made if "drill" in name]


def test_count_that_the_set_has_nothing_to_compare_with_proves_nothing(
    stack: StackContext, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """The count command failed while the backup ran, and works in the drill."""
    count, world.commands[COUNT] = world.commands[COUNT], lambda _: Output(1, "", "no")
    made = back_up(stack, "memo")
    assert "count command of memo failed" in capsys.readouterr().err
    world.commands[COUNT] = count

    done = sets.drill(stack, "backups", set_id=made, identity="")

    assert not done.proven


@pytest.fixture
def neighbour(world: World) -> World:
    """Put a project beside the stack that has the name of a drill."""
    own = {PROJECT: "trial-drill"}
    world.create_volume("trial-drill_memo_data", labels=own)
    (world.folder / "trial-drill_memo_data/lines").write_text("line\n" * 90)
    mount = Mount("volume", "trial-drill_memo_data", "", "/memo_data", writable=True)
    world.there.append(
        container("memo", id="neighbour", project="trial-drill", mounts=(mount,))
    )
    return world


def test_drill_touches_no_project_of_a_similar_name(
    stack: StackContext, neighbour: World
) -> None:
    before = [c for c in neighbour.there if c.id == "neighbour"]

    sets.drill(stack, "backups", set_id=back_up(stack), identity="")

    assert [c for c in neighbour.there if c.id == "neighbour"] == before
    lines = neighbour.folder / "trial-drill_memo_data/lines"
    assert lines.read_text().count("line") == 90


def test_drill_refuses_a_name_that_is_in_use(
    stack: StackContext, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda _bytes: "1a2b3c4d")
    name = f"{DRILL.name}_memo_data"
    world.create_volume(name, labels={})
    made = back_up(stack, "memo")
    world.done.clear()

    with pytest.raises(DataError, match=f"{DRILL.name} is in use: {name}"):
        sets.drill(stack, "backups", set_id=made, identity="")

    assert name in world.made
    assert ("up", "memo") not in world.done


def test_only_what_carries_the_drills_label_is_removed(
    stack: StackContext, world: World
) -> None:
    """Somebody put a volume and a container into the drill's project meanwhile."""
    made = back_up(stack, "memo")
    strange: list[str] = []

    def intrude() -> Output:
        [name] = {c.project for c in world.there} - {"trial"}
        strange.extend([f"{name}_other", name])
        world.create_volume(f"{name}_other", labels={PROJECT: name})
        world.there.append(container("other", id="other", project=name))
        return Output(0, "3", "")

    world.commands[COUNT] = lambda _asked: intrude()

    sets.drill(stack, "backups", set_id=made, identity="")

    assert [name for name in world.made if "drill" in name] == strange[:1]
    assert [c.id for c in world.there if c.project == strange[1]] == ["other"]
