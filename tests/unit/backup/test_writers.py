"""What writes to a store's data beside the store: no copy is taken under it."""

from dataclasses import replace
from typing import Any

import pytest
from backup_steps import back_up, bring_back, opened, store
from backup_world import World
from fakes import container

from compose_ops.backup import repository, service_control
from compose_ops.docker.api import Mount
from compose_ops.docker.values import ONEOFF_LABEL
from compose_ops.errors import ConfigurationError, DataError
from compose_ops.runtime.context import StackContext
from compose_ops.state import journal

MOUNT = {"type": "volume", "source": "memo_data", "target": "/shared"}
VOLUME = Mount("volume", "trial_memo_data", "", "/shared", writable=True)


@pytest.fixture
def shared(stack: StackContext, world: World) -> StackContext:
    """Return a stack in which `indexer` writes to the volume of memo, too."""
    world.services["indexer"] = {"image": "localhost/indexer:1", "volumes": [MOUNT]}
    world.there.append(container("indexer", mounts=(VOLUME,)))
    world.done.clear()
    return opened(stack.root, world)


def one_off(service: str, state: str = "running") -> Any:
    labels = {ONEOFF_LABEL: "True"}
    made = container(service, id="run", mounts=(VOLUME,), labels=labels)
    return replace(made, name=f"trial-{service}-run-1a2b", state=state)


def states(world: World) -> dict[str, str]:
    return {c.service: c.state for c in world.there}


@pytest.mark.parametrize("task", [back_up, bring_back])
@pytest.mark.parametrize("service", ["memo", "reader"])
def test_container_of_compose_run_is_refused_by_name(
    stack: StackContext, world: World, task: Any, service: str
) -> None:
    back_up(stack, "memo")
    world.there.append(one_off(service))
    world.done.clear()

    with pytest.raises(DataError, match=rf"trial-{service}-run-1a2b \(docker compose"):
        task(stack, "memo")

    assert not [words for words in world.done if words[0] in {"stop", "pause"}]
    assert journal.pending(stack) == ()


NET = {"trial_default": "10.0.0.2"}
NEEDS_MEMO = {"com.docker.compose.depends_on": "memo:service_healthy:false"}
NEEDS_READER = {"com.docker.compose.depends_on": "reader:service_started:false"}
GATEWAY = {"compose-ops.gateway.configuration": "digest"}
RUN = {ONEOFF_LABEL: "True"}


def beside(stack: StackContext, world: World, service: str, **what: Any) -> Any:
    """Let the stores share a network, and a container run that nobody lets rest."""
    world.services["bystander"] = {"image": "localhost/bystander:1"}
    for name in ("memo", "pair"):
        world.change(f"id-{name}", networks=NET)
    made = container(service, id="beside", name=f"trial-{service}-x")
    world.there.append(replace(made, **what))
    world.done.clear()
    return opened(stack.root, world)


@pytest.mark.parametrize(
    ("service", "what"),
    [
        ("reader", {"labels": RUN}),
        ("reader", {"labels": RUN, "state": "restarting"}),
        ("memo", {"labels": RUN}),
        ("bystander", {"labels": RUN | NEEDS_READER}),
        ("tool", {"labels": NEEDS_MEMO}),
        ("tool", {"labels": NEEDS_READER}),
        ("tool", {"networks": NET}),
        ("tool", {"raw": {"HostConfig": {"NetworkMode": "container:id-memo"}}}),
    ],
)
@pytest.mark.parametrize("dry", [False, True])
def test_what_may_write_and_does_not_rest_makes_no_set_of_one_moment(
    stack: StackContext, world: World, service: str, what: Any, *, dry: bool
) -> None:
    """A `docker compose run`, an inactive profile, a service of an older file."""
    stack = beside(stack, world, service, **what)
    stack.dry = dry

    with pytest.raises(DataError, match=rf"trial-{service}-x \(.*may write") as refused:
        back_up(stack)

    assert f"docker stop trial-{service}-x" in refused.value.hint
    assert not [words for words in world.done if words[0] in {"stop", "pause"}]


@pytest.mark.parametrize(
    ("service", "what"),
    [
        ("bystander", {"labels": RUN | NEEDS_READER, "state": "exited"}),
        ("tool", {"labels": NEEDS_MEMO, "state": "exited"}),
        ("tool", {"networks": {"trial_other": "10.1.0.2"}}),
        ("tool", {"networks": {"none": ""}}),
        ("gateway", {"networks": NET, "labels": GATEWAY}),
        ("", {"networks": NET}),
        ("reader", {"labels": RUN, "networks": NET, "project": "other"}),
    ],
)
def test_what_cannot_write_hinders_no_set_of_one_moment(
    stack: StackContext,
    world: World,
    capsys: pytest.CaptureFixture[str],
    service: str,
    what: Any,
) -> None:
    assert back_up(beside(stack, world, service, **what))
    assert "goes on during the copy" not in capsys.readouterr().err


def test_service_that_goes_on_beside_a_store_is_named(
    stack: StackContext, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody can tell whether it writes."""
    stack = beside(stack, world, "bystander", networks=NET)

    assert back_up(stack)

    named = "trial-bystander-x: no depends_on a store, goes on during the copy"
    assert named in capsys.readouterr().err
    assert ("stop", "beside") not in world.done


def test_set_of_each_store_by_itself_is_hindered_by_no_bystander(
    stack: StackContext, world: World
) -> None:
    stack = beside(stack, world, "reader", labels=RUN)

    assert back_up(stack, coherent=False)


def test_container_of_compose_run_that_ended_does_not_matter(
    stack: StackContext, world: World
) -> None:
    """It says nothing about how the store itself ended."""
    ended = replace(one_off("memo", "exited"), exit_code=1)
    world.there.insert(0, ended)
    world.stop("id-memo")

    back_up(stack, "memo")

    (kept,) = repository.listed(stack.root / "backups", "trial")
    assert repository.valid_manifest(kept).stores[0].consistency == "stop"


@pytest.mark.parametrize("consistency", ["", "stop"])
def test_service_that_writes_to_the_volume_is_stopped_for_the_copy(
    shared: StackContext, world: World, consistency: str
) -> None:
    copied: list[dict[str, str]] = []
    world.when["stop", "id-memo"] = lambda: copied.append(states(world))

    back_up(shared, "memo", consistency=consistency)

    assert copied[0]["indexer"] == "exited"
    assert states(world) == dict.fromkeys(states(world), "running")
    assert journal.pending(shared) == ()


def test_service_that_writes_is_stopped_for_a_native_copy_too(
    shared: StackContext, world: World
) -> None:
    labels = {"backup.consistency": "native", "backup.native.prepare": "prepare"}
    more = {"backup.native.release": "release"}
    world.services["memo"] = store("memo_data", **labels, **more)
    seen: list[dict[str, str]] = []
    output = world.commands["count"](world.of("memo"))

    def prepare(_asked: Any) -> Any:
        seen.append(states(world))
        return output

    world.commands |= {"prepare": prepare, "release": lambda _asked: output}

    back_up(opened(shared.root, world), "memo")

    assert seen[0]["indexer"] == "exited"
    assert seen[0]["memo"] == "running"
    assert states(world) == dict.fromkeys(states(world), "running")


def test_service_that_writes_is_stopped_for_a_restore(
    shared: StackContext, world: World
) -> None:
    back_up(shared, "memo")
    world.write("memo_data", 90)
    world.done.clear()

    bring_back(shared, "memo")

    assert world.done.index(("stop", "id-indexer")) < world.done.index(
        ("stop", "id-memo")
    )
    assert world.lines("memo_data") == 3
    assert states(world) == dict.fromkeys(states(world), "running")


def test_copy_is_discarded_when_a_writer_was_started_under_it(
    shared: StackContext, world: World
) -> None:
    world.when["stop", "id-memo"] = lambda: world.start("id-indexer")

    with pytest.raises(DataError, match="trial-indexer was started"):
        back_up(shared, "memo")

    assert repository.listed(shared.root / "backups", "trial") == []


def test_volume_that_two_services_declare_is_in_a_set_once(
    shared: StackContext, world: World
) -> None:
    world.services["indexer"]["labels"] = {"compose-ops.data.volumes": "memo_data"}
    now = opened(shared.root, world)

    back_up(now)

    (kept,) = repository.listed(shared.root / "backups", "trial")
    stores = repository.valid_manifest(kept).stores
    assert [a.key for s in stores for a in s.archives].count("memo_data") == 1
    assert states(world) == dict.fromkeys(states(world), "running")


def test_services_that_declare_a_part_of_each_others_data_are_refused(
    shared: StackContext, world: World
) -> None:
    own = {"type": "volume", "source": "own", "target": "/own"}
    world.services["indexer"] |= {
        "volumes": [MOUNT, own],
        "labels": {"compose-ops.data.volumes": "memo_data own"},
    }

    with pytest.raises(ConfigurationError, match="both declare trial_memo_data"):
        back_up(opened(shared.root, world))


def test_journal_keeps_stopped_containers_in_a_form_that_is_read_back(
    world: World,
) -> None:
    stopped = service_control.to_stop([world.of("memo")])

    facts = {"stores": service_control.as_facts(stopped)}

    assert set(facts["stores"][0]) == {"id", "name", "service", "paused", "started"}
    assert service_control.from_facts(facts, "stores") == stopped
    assert service_control.from_facts(facts, "dependents") == []


def test_task_goes_on_beside_a_journal_of_other_services_that_cannot_be_undone(
    stack: StackContext, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what concerns the same services waits for it."""
    back_up(stack)
    stopped = service_control.as_facts(service_control.to_stop([world.of("memo")]))
    journal.begin(stack, "backup", "dead", stores=stopped)
    world.stop("id-memo")
    start = world.start

    def refuse(*names: str) -> None:
        if "id-memo" in names:
            raise DataError("no space left")
        start(*names)

    monkeypatch.setattr(world, "start", refuse)

    assert back_up(stack, "pair")
    assert bring_back(stack, "pair")
    with pytest.raises(DataError, match="no space left"):
        back_up(stack, "memo")
    with pytest.raises(DataError, match="no space left"):
        bring_back(stack, "memo")
