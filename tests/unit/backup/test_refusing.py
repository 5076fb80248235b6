"""What is refused before anything is stopped, and what is done only when confirmed."""

import stat
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

import pytest
from backup_steps import back_up, bring_back, opened, store
from backup_world import COUNT, World
from fakes import container

from compose_ops.backup import (
    create,
    helper,
    helper_tag,
    policy,
    preconditions,
    repository,
    restore_undo,
    store_commands,
    update_points,
)
from compose_ops.backup.helper import HelperJob
from compose_ops.backup.retention import Rules
from compose_ops.cli.output import backup as output
from compose_ops.config.schema import DestinationTable
from compose_ops.docker.api import Output, Volume
from compose_ops.docker.run_arguments import run_arguments
from compose_ops.doctor.facts.project import HelperImage, helper_image
from compose_ops.errors import ConfigurationError, DataError, EngineError, UsageError
from compose_ops.library import backups as sets
from compose_ops.runtime.context import StackContext
from compose_ops.state import journal

CHANGES = {"stop", "start", "pause", "unpause", "up", "remove", "down"}


def changed(world: World) -> list[tuple[str, ...]]:
    """Return what was asked of the engine that changes anything."""
    return [words for words in world.done if words[0] in CHANGES]


def _missing(world: World) -> str:
    world.remove_volume("trial_memo_data")
    return "volume trial_memo_data not found"


def _another_projects(world: World) -> str:
    labels = {"com.docker.compose.project": "other"}
    name = "trial_memo_data"
    world.made[name] = Volume(name, "local", {}, labels)
    return "does not belong to the project: it belongs to other"


def _empty(world: World) -> str:
    (world.data("memo_data") / "lines").unlink()
    return "is empty"


def _in_use(world: World) -> str:
    mounts = world.of("memo").mounts
    world.there.append(container("other", project="x", mounts=mounts))
    return "trial-other writes to the volume"


@pytest.mark.parametrize("spoil", [_missing, _another_projects, _empty, _in_use])
def test_volume_that_is_not_fit_for_a_backup_is_refused(
    stack: StackContext, world: World, spoil: Callable[[World], str]
) -> None:
    """Nothing is stopped for it, and no volume is made."""
    why = spoil(world)
    known = set(world.made)
    world.done.clear()

    with pytest.raises(DataError, match=why):
        back_up(stack, "memo")

    assert changed(world) == []
    assert set(world.made) == known
    assert repository.listed(stack.root / "backups", "trial") == []
    assert journal.pending(stack) == ()


@pytest.mark.parametrize(
    ("labels", "definition"),
    [
        ({}, {}),
        ({}, {"name": "trial_memo_data", "external": True}),
        (
            {"com.docker.compose.project": "other"},
            {"name": "trial_memo_data", "external": True},
        ),
    ],
)
def test_volume_that_compose_did_not_create_is_backed_up(
    stack: StackContext,
    world: World,
    labels: dict[str, str],
    definition: dict[str, Any],
) -> None:
    """Made by hand, or external: it is the project's data all the same."""
    name = "trial_memo_data"
    world.made[name] = Volume(name, "local", {}, labels)
    world.further = {"volumes": {**world.model()["volumes"], "memo_data": definition}}
    stack = opened(stack.root, world)

    back_up(stack, "memo")
    world.write("memo_data", 90)
    bring_back(stack, "memo")
    assert world.lines("memo_data") == 3

    restore_undo.undo(stack, (), yes=True)
    assert world.lines("memo_data") == 90
    assert update_points.measure(stack, "memo").bytes


def _back_up(stack: StackContext) -> None:
    back_up(stack)


def _bring_back(stack: StackContext) -> None:
    bring_back(stack)


def _verify(stack: StackContext) -> None:
    sets.verify(stack, "backups", set_id="", project="", identity="")


def _drill(stack: StackContext) -> None:
    sets.drill(stack, "backups", set_id="", identity="")


@pytest.mark.parametrize("task", [_back_up, _bring_back, _verify, _drill])
def test_helper_image_that_was_not_built_is_known_before_anything_stops(
    stack: StackContext,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    task: Callable[[StackContext], None],
) -> None:
    back_up(stack)
    monkeypatch.setattr(world, "image", lambda _name: None)
    world.done.clear()

    with pytest.raises(ConfigurationError, match="invoke init") as refused:
        task(stack)

    assert "helper image" in refused.value.message
    assert changed(world) == []


def _pruned(
    world: World, monkeypatch: pytest.MonkeyPatch, base: str, *, fails: str = ""
) -> list[str]:
    """Let only *base* be here, and what is built; return the names of what is."""
    built: list[str] = []
    here = {base}
    image = world.image

    def build(folder: Path, *, tag: str, arguments: dict[str, str]) -> None:
        assert folder.is_dir()
        assert arguments["BASE"] in here
        if tag == fails:
            raise EngineError(f"the image {tag} did not build", detail="no network")
        here.add(tag)
        built.append(tag)

    monkeypatch.setattr(world, "image", lambda n: image(n) if n in here else None)
    monkeypatch.setattr(world, "build_image", build, raising=False)
    return built


def test_image_with_restic_is_built_again_after_a_prune(
    stack: StackContext, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = _pruned(world, monkeypatch, stack.config.backup.helper_base[0])

    for _ in range(2):
        assert helper.require_repository(stack) == helper_tag.repository_image()

    assert built == [helper_tag.image(), helper_tag.repository_image()]


def test_image_with_restic_that_cannot_be_built_is_named(
    stack: StackContext, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its apt needs a network."""
    base, fails = stack.config.backup.helper_base[0], helper_tag.repository_image()
    _pruned(world, monkeypatch, base, fails=fails)

    with pytest.raises(ConfigurationError, match="restic is not here, and") as refused:
        helper.require_repository(stack)
    assert (refused.value.detail, "apt" in refused.value.hint) == ("no network", True)

    with pytest.raises(ConfigurationError, match="is not built"):
        helper.require_repository(opened(stack.root, world, dry=True))


def test_doctor_asks_for_the_image_with_restic_where_a_repository_is_named(
    stack: StackContext, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, name = stack.config.backup.helper_base[0], helper.image()
    here = {base, name}
    monkeypatch.setattr(
        world,
        "images",
        lambda names: {n: world.image(n) for n in names if n in here},
        raising=False,
    )

    assert helper_image(stack, stack.info) == HelperImage(name, is_here=True)

    table = DestinationTable(repository="rest:https://host/")
    stack.config = replace(stack.config, destinations={"far": table})
    restic = helper_tag.repository_image()
    assert helper_image(stack, stack.info) == HelperImage(
        restic, is_here=False, base=name
    )
    here.add(restic)
    assert helper_image(stack, stack.info).is_here
    here.remove(name)
    assert helper_image(stack, stack.info) == HelperImage(
        name, is_here=False, base=base
    )


def test_native_copy_that_was_asked_for_is_made_or_refused(
    stack: StackContext, world: World
) -> None:
    """A probe that says no stops the store only where that was not ruled out."""
    labels = {
        "backup.consistency": "native stop",
        "backup.native.probe": "probe",
        "backup.native.session": "session",
    }
    world.services["memo"] = store("memo_data", **labels)
    world.commands["probe"] = lambda _asked: Output(1, "", "scavenging")
    stack = opened(stack.root, world)
    world.done.clear()

    with pytest.raises(DataError, match="while it runs: scavenging"):
        back_up(stack, "memo", consistency="native")
    assert ("stop", "id-memo") not in world.done

    back_up(stack, "memo")
    (kept,) = repository.listed(stack.root / "backups", "trial")
    assert repository.valid_manifest(kept).stores[0].consistency == "stop"


def test_consistency_that_a_store_does_not_support_is_refused(
    stack: StackContext, world: World
) -> None:
    world.done.clear()

    with pytest.raises(UsageError, match="it supports: stop, crash") as refused:
        back_up(stack, consistency="native")

    assert "memo cannot be backed up" in refused.value.message
    assert changed(world) == []


@pytest.mark.parametrize(
    ("code", "killed", "level"),
    [
        (0, False, "stop"),
        (137, False, "crash"),
        (0, True, "crash"),
        (1, False, "crash"),
    ],
)
def test_store_that_did_not_end_by_itself_is_marked(
    stack: StackContext, world: World, *, code: int, killed: bool, level: str
) -> None:
    stop = world.stop

    def ending(*names: str) -> None:
        stop(*names)
        world.change("id-memo", exit_code=code, oom_killed=killed)

    world.stop = ending  # type: ignore[method-assign, assignment]

    back_up(stack, "memo")

    (kept,) = repository.listed(stack.root / "backups", "trial")
    (found,) = repository.valid_manifest(kept).stores
    assert (found.consistency, found.exit_code) == (level, code)


def _restore_unasked(stack: StackContext) -> None:
    sets.restore(
        stack,
        "backups",
        services=["memo"],
        yes=False,
    )


def _undo_unasked(stack: StackContext) -> None:
    restore_undo.undo(stack, (), yes=False)


def _discard_unasked(stack: StackContext) -> None:
    restore_undo.discard(stack, (), yes=False)


def _prune_unasked(stack: StackContext) -> None:
    sets.prune(stack, "backups", rules=Rules(last=1), yes=False)


UNASKED = [_restore_unasked, _undo_unasked, _discard_unasked, _prune_unasked]


@pytest.fixture
def restored(stack: StackContext, world: World) -> StackContext:
    """Return a stack with a set of memo, which was restored once."""
    back_up(stack, "memo")
    world.write("memo_data", 90)
    bring_back(stack, "memo")
    world.done.clear()
    return stack


def state(stack: StackContext, world: World) -> dict[str, bytes]:
    """Return every file of the volumes and of the sets."""
    places = [world.folder, stack.root / "backups"]
    return {
        str(path): path.read_bytes()
        for place in places
        for path in place.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("task", UNASKED)
def test_nothing_is_lost_without_a_yes(
    restored: StackContext,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    task: Callable[[StackContext], None],
) -> None:
    """A script that has no terminal has to say --yes."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    back_up(restored, "memo")
    before = state(restored, world)
    world.done.clear()

    with pytest.raises(UsageError, match=r"nothing was|was not confirmed"):
        task(restored)

    assert state(restored, world) == before
    assert changed(world) == []


def _backup_dry(stack: StackContext) -> None:
    sets.backup(stack, "backups", services=["memo"])


def _prune_dry(stack: StackContext) -> None:
    sets.prune(stack, "backups", rules=Rules(last=1), yes=True)


@pytest.mark.parametrize(
    ("task", "plan"),
    [
        (_backup_dry, "would back up memo (stop)"),
        (_restore_unasked, "would replace the data of memo in trial_memo_data"),
        (_undo_unasked, "would bring back the data of memo"),
        (_discard_unasked, "would lose the data of memo"),
        (_prune_dry, "would remove 2"),
    ],
)
def test_dry_run_shows_the_plan_and_does_nothing(
    restored: StackContext,
    world: World,
    capsys: pytest.CaptureFixture[str],
    task: Callable[[StackContext], None],
    plan: str,
) -> None:
    back_up(restored, "memo")
    before = state(restored, world)
    world.done.clear()

    task(opened(restored.root, world, dry=True))

    assert plan in capsys.readouterr().err
    assert state(restored, world) == before
    assert changed(world) == []


@pytest.mark.parametrize(
    "labels",
    [
        {"backup.consistency": "native perfect"},
        {"backup.clean-exits": "0 many"},
        {"backup.clean-exits": "²"},
        {"backup.clean-exits": "9" * 5000},
        {"backup.count-rule": "about"},
        {"data.volumes": "memo_data nobodys_data"},
    ],
)
def test_labels_that_make_no_sense_are_named(
    stack: StackContext, world: World, labels: dict[str, str]
) -> None:
    world.services["memo"] = store("memo_data", **labels)
    now = opened(stack.root, world)

    with pytest.raises(ConfigurationError, match="the labels of memo name"):
        policy.policies(now.model)


@pytest.mark.parametrize(
    "text", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00", "soon"]
)
def test_time_that_no_calendar_has_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no time"):
        output.point_in_time(text)


def test_restore_point_may_be_as_old_as_anybody_writes(stack: StackContext) -> None:
    made = back_up(stack, "memo")
    stack.config = replace(
        stack.config,
        backup=replace(stack.config.backup, restore_point_age="9" * 20 + "h"),
    )

    with pytest.raises(DataError, match="no drill has proven it"):
        update_points.accept(stack, "memo", made)


def test_count_that_is_no_number_is_none(stack: StackContext, world: World) -> None:
    world.commands[COUNT] = lambda _asked: Output(0, "9" * 5000, "")
    memo = policy.policies_of(stack)["memo"]

    assert store_commands.count(stack.engine, memo, world.of("memo")) is None


def test_set_is_for_its_owner_alone(stack: StackContext, world: World) -> None:
    del world
    made = back_up(stack)

    folder = stack.root / "backups/trial" / made
    for path in (folder, folder.parent):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def _long_name(world: World) -> str:
    world.services["memo"] = store("m" * 129)
    return "is not a name that a set can hold"


def _two_of_one_name(world: World) -> str:
    bind = {"type": "bind", "source": str(world.folder), "target": "/data"}
    world.services["memo"] = store("/data") | {"volumes": [bind]}
    world.services["pair"] = store("memo.data")
    return r"two folders .* memo\.data"


@pytest.mark.parametrize("spoil", [_long_name, _two_of_one_name])
def test_name_that_no_set_can_hold_is_refused_before_anything_stops(
    stack: StackContext, world: World, spoil: Callable[[World], str]
) -> None:
    why = spoil(world)
    world.done.clear()

    with pytest.raises(DataError, match=why):
        back_up(opened(stack.root, world))

    assert changed(world) == []


def test_clock_that_no_set_can_hold_is_refused_before_anything_stops(
    stack: StackContext, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Battery(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Battery":
            return cls(1969, 1, 1, tzinfo=tz)

    monkeypatch.setattr(create, "datetime", Battery)
    world.done.clear()

    with pytest.raises(DataError, match="clock of this machine says 1969"):
        back_up(stack)

    assert changed(world) == []


@pytest.mark.parametrize("tag", ["20240115123045", "1.2.3.4.5.6.7.8.9.10.11"])
def test_tag_that_is_no_version_is_none(
    stack: StackContext, world: World, tag: str
) -> None:
    """A date of a build is compared with nothing, and the set is whole."""
    world.services["memo"]["image"] = f"localhost/store:{tag}"
    back_up(opened(stack.root, world), "memo")

    (kept,) = repository.listed(stack.root / "backups", "trial")
    assert [one.version for one in repository.valid_manifest(kept).stores] == [""]
    assert kept.verified


def test_passwords_of_a_volume_are_in_no_set() -> None:
    """Of a share on the network, for example."""
    options = {"type": "cifs", "o": "username=me,password=se,cret=x,vers=3"}
    secret = {"o": "addr=1.2.3.4,PASSWORD=hush,credentials=/etc/x,token=abc"}

    found = preconditions.without_passwords(options)["o"]
    other = preconditions.without_passwords(secret)["o"]

    assert found.startswith("username=me,password=[redacted]")
    assert not {"hush", "/etc/x", "abc"} & set(other.replace("=", ",").split(","))


@pytest.mark.parametrize("changes", [False, True])
def test_helper_can_do_no_more_than_it_must(
    stack: StackContext, *, changes: bool
) -> None:
    """No network, nothing to write to but its volume, few rights, no log."""
    work = HelperJob(run="1", label="memo", volume="trial_memo_data", changes=changes)

    words = run_arguments(helper.spec(stack, work))

    said = " ".join(words)
    for flags in (
        "--network none",
        "--cap-drop ALL",
        "--security-opt no-new-privileges:true",
        "--log-driver none",
        "--read-only",
        "--pull never",
        "--pids-limit 64",
    ):
        assert flags in said
    (mount,) = [w for w in words if w.startswith("type=volume")]
    assert ("readonly" in mount.split(",")) is not changes
    assert "volume-nocopy" in mount.split(",")
    given = {words[n + 1] for n, word in enumerate(words) if word == "--cap-add"}
    assert given == set(helper.WRITING if changes else helper.READING)
    assert "SYS_ADMIN" not in given
