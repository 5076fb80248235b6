"""Each task explains itself, and the README knows it."""

import ast
import re

import pytest
from repository import ROOT

from compose_ops.cli import arguments
from compose_ops.project.paths import TAKEN
from tasks import ns

README = (ROOT / "README.md").read_text()
TASKS = dict(ns.tasks.items())


@pytest.mark.parametrize("name", TASKS)
def test_every_flag_of_a_task_has_help(name: str) -> None:
    """A flag without a word of help is found out by trying, which is too late."""
    arguments = TASKS[name].get_arguments()

    assert [a.name for a in arguments if not a.help] == []


@pytest.mark.parametrize("name", TASKS)
def test_defaults_of_flags_are_values_that_they_take(name: str) -> None:
    """A task must run without flags where nothing is there yet."""
    flags = TASKS[name].get_arguments()

    arguments.check({flag.name: flag.default for flag in flags})


@pytest.mark.parametrize("name", TASKS)
def test_readme_shows_an_example_of_every_task(name: str) -> None:
    assert re.search(
        rf"^\| `{re.escape(name)}` \| `invoke {name}\b", README, re.MULTILINE
    )


def test_readme_names_every_exit_code() -> None:
    """The table of exit codes is the one that errors.py defines."""
    tree = ast.parse((ROOT / "compose_ops" / "errors.py").read_text())
    codes = {
        node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id == "exit_code"
        and isinstance(node.value, ast.Constant)
    }
    table = README.split("### Exit codes")[1].split("##")[0]

    documented = {
        int(n)
        for row in re.findall(r"^\| ([0-9, ]+) \|", table, re.MULTILINE)
        for n in row.split(",")
    }
    assert codes | {0} == documented


def test_no_mode_can_take_the_place_of_a_flag() -> None:
    """A mode of such a name is chosen by `--mode NAME` alone."""
    tasks = [ns.tasks[name] for name in ("up", "config", "init", "doctor", "restore")]
    names = {a.name.replace("_", "-") for task in tasks for a in task.get_arguments()}

    assert names - {"dev", "prod", "offline", "swarm"} <= TAKEN


def test_tasks_of_this_project_are_the_librarys() -> None:
    assert len((ROOT / "tasks.py").read_text().splitlines()) <= 20


def test_tasks_stay_a_phone_book() -> None:
    """No task does work of its own: it opens the stack, calls once, prints."""
    tree = ast.parse((ROOT / "compose_ops/cli/tasks.py").read_text())
    tasks = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    longest = max(len(task.body) for task in tasks)

    assert longest <= 7
    assert not [
        n for n in ast.walk(tree) if isinstance(n, ast.For | ast.While | ast.Try)
    ]
