"""What the backup tasks tell a person."""

import pytest
from backup_steps import back_up, bring_back, opened
from backup_world import COUNT, World

from compose_ops.backup import helper, store_commands
from compose_ops.backup.helper import HelperJob
from compose_ops.backup.policy import policies_of
from compose_ops.cli.output import backup
from compose_ops.docker.api import Output
from compose_ops.errors import DataError
from compose_ops.library import backups as sets
from compose_ops.runtime.context import StackContext


def test_list_of_sets_says_when_each_was_taken_and_its_last_drill(
    stack: StackContext, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    good = back_up(stack)
    sets.drill(stack, "backups", set_id=good, identity="")
    bad = back_up(stack)
    world.commands[COUNT] = lambda _asked: Output(0, "1", "")
    with pytest.raises(DataError):
        sets.drill(stack, "backups", set_id=bad, identity="")
    capsys.readouterr()

    found = sets.listed(stack, "backups")
    backup.print_sets(stack.root / "backups", found)

    printed = backup.sets_as_json(stack.root / "backups", found)
    newest, oldest = printed["sets"]
    assert (newest["drilled"], oldest["drill"]["result"]) == (None, "proven")
    assert "memo counts 1 in the drill" in newest["drill"]["result"]
    shown = capsys.readouterr().out
    assert "failed 20" in shown
    assert "never" not in shown


def test_verify_tells_of_every_set_before_it_fails(
    stack: StackContext, world: World
) -> None:
    """Also with --json: a bad set does not hide the good ones."""
    del world
    bad, good = back_up(stack, "memo"), back_up(stack, "memo")
    (stack.root / "backups/trial" / bad / "memo_data.tar.zst").unlink()

    found = sets.verify(stack, "backups", set_id="", project="", identity="")

    assert {one.id: bool(one.fault) for one in found} == {
        good: False,
        bad: True,
    }
    with pytest.raises(DataError, match=f"{bad} is damaged: memo_data.tar.zst"):
        backup.refuse_damaged(found)


def test_version_that_a_command_prints_is_one_that_a_set_can_hold(
    stack: StackContext, world: World
) -> None:
    said = {"long": "build 20240115123045.1", "store": "store 2.1.0 (20240115123045)"}
    world.run = lambda spec, **_: Output(0, said[spec.image], "")  # type: ignore[method-assign]
    policy = policies_of(stack)["memo"]

    found = [store_commands.version_in(stack.engine, policy, i) for i in said]

    assert found == ["", "2.1.0"]


def test_services_start_in_the_order_in_which_they_need_each_other(
    stack: StackContext, world: World
) -> None:
    """The front before the back would only find it missing."""
    world.services["front"] = {"image": "x", "depends_on": {"reader": {}}}
    world.up(["front"])
    stack = opened(stack.root, world)
    world.done.clear()

    back_up(stack, "memo")

    asked = [words for words in world.done if words[0] in {"stop", "start"}]
    assert asked == [
        ("stop", "id-front"),
        ("stop", "id-reader"),
        ("stop", "id-memo"),
        ("start", "id-memo"),
        ("start", "id-reader"),
        ("start", "id-front"),
    ]


def test_stores_run_again_before_what_a_failure_left_is_removed(
    stack: StackContext, world: World
) -> None:
    """Removing a large partial set takes its time; the services need not wait."""
    there: list[bool] = []
    place = stack.root / "backups/trial"

    def look() -> None:
        there.append(any(place.glob(".partial-*")))

    def disturbed() -> None:
        world.boot = "boot-2"
        world.when["start", "id-memo"] = look

    world.when["helper", "copy", "trial_memo_data"] = disturbed
    with pytest.raises(DataError):
        back_up(stack, "memo")

    assert there == [True]
    assert not list(place.glob(".partial-*"))


@pytest.mark.parametrize(
    ("kept", "present", "where"), [("", "3.1", "in the set"), ("3.1", "", "here")]
)
def test_version_that_nobody_knows_is_said(
    kept: str, present: str, where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    store_commands.check_version("memo", kept=kept, present=present)

    said = capsys.readouterr().err
    assert said.startswith(f"warning: the version of memo is unknown {where}")


@pytest.mark.parametrize(
    ("kept", "present"), [("3.1", "2.9"), ("3.2", "3.1"), ("2.9.9", "3.0")]
)
def test_version_that_does_not_fit_is_refused_before_anything_is_touched(
    stack: StackContext, world: World, kept: str, present: str
) -> None:
    for_set, here = (f"localhost/store:{version}" for version in (kept, present))
    world.services["memo"]["image"] = for_set
    back_up(opened(stack.root, world), "memo")
    world.services["memo"]["image"] = here
    world.done.clear()

    with pytest.raises(DataError, match=f"from memo {kept}, here is {present}"):
        bring_back(opened(stack.root, world), "memo")

    assert not [words for words in world.done if words[0] in {"stop", "up"}]


@pytest.mark.parametrize(
    ("do", "is_harmless"),
    [
        ("keep", True),
        *((do, False) for do in ("swap in", "swap out", "discard", "bring back")),
    ],
)
def test_only_a_request_that_changes_no_data_says_that_nothing_was_changed(
    stack: StackContext, do: str, *, is_harmless: bool
) -> None:
    job = HelperJob(run="r", label="memo", volume="trial_memo_data", changes=True)

    with helper.helper(stack, job) as talk, pytest.raises(DataError) as refused:
        talk.ask(do, restore="../x")

    assert ("nothing of yours was changed" in refused.value.hint) is is_harmless
