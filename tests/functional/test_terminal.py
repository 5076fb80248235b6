"""A task may lose its terminal or its session at any moment: work and undo go on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import compose_ops

TASKS = """
import os, signal, time
from pathlib import Path

from invoke.collection import Collection

from compose_ops.cli.definition import task
from compose_ops.cli.task import emit
from compose_ops.console import say, show, table
from compose_ops.interrupts import undoing

@task
def work(c, json=False):
    for number in range(3000):
        say(f"step {number} of what is to be done")
    Path("worked").touch()
    emit({"worked": True}) if json else table("", ["result"], [["worked"]] * 500)

@task
def held(c):
    try:
        Path("begun").touch()
        for _ in range(9000):  # a signal just before a sleep does not end it
            time.sleep(0.01)
    finally:
        with undoing("starting the store again"):
            Path("undoing").touch()
            while not Path("let go").exists():
                time.sleep(0.01)
        Path("undone").touch()

@task
def broken(c):
    raise OSError(28, "No space left on device", "/srv/backups/set")

@task
def faulty(c):
    [][1]

ns = Collection(*(one.make({}) for one in (work, held, broken, faulty)))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", str(Path(compose_ops.__file__).parents[1]))
    (tmp_path / "tasks.py").write_text(TASKS)
    return tmp_path


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "invoke", *words]


def closed_pipe() -> int:
    """Return the writing end of a pipe that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer


@pytest.mark.parametrize("lost", ["pipe", "disk"])
def test_work_goes_on_when_its_progress_cannot_be_written(
    folder: Path, lost: str
) -> None:
    target = closed_pipe() if lost == "pipe" else os.open("/dev/full", os.O_WRONLY)
    done = subprocess.run(
        command("work"), cwd=folder, stderr=target, stdout=subprocess.PIPE, check=False
    )
    os.close(target)

    assert done.returncode == 0
    assert (folder / "worked").exists()
    assert done.stdout.count(b"worked") == 500


@pytest.mark.parametrize("lost", ["pipe", "disk", "closed"])
@pytest.mark.parametrize(("words", "code"), [(["work"], 0), (["work", "--json"], 1)])
def test_result_that_finds_no_reader_changes_only_the_code_of_json(
    folder: Path, lost: str, words: list[str], code: int
) -> None:
    target = closed_pipe() if lost == "pipe" else os.open("/dev/full", os.O_WRONLY)
    line = command(*words)
    if lost == "closed":
        line = ["sh", "-c", 'exec "$@" >&-', "sh", *line]
    done = subprocess.run(
        line, cwd=folder, stdout=target, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(target)

    assert done.returncode == code, done.stderr
    assert (folder / "worked").exists()
    assert "Traceback" not in done.stderr
    assert ("could not be written" in done.stderr) == bool(code)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"])
def test_every_signal_unwinds_once_and_a_third_ends(folder: Path, name: str) -> None:
    number = signal.Signals[name]
    with subprocess.Popen(
        command("held"), cwd=folder, stderr=subprocess.PIPE, text=True
    ) as task:
        assert task.stderr is not None
        wait_for(folder / "begun")
        task.send_signal(number)
        wait_for(folder / "undoing")
        task.send_signal(number)

        assert "still starting the store again" in task.stderr.readline()
        (folder / "let go").touch()
        assert task.wait(60) == 130
    assert (folder / "undone").exists()


def test_third_signal_ends_at_once(folder: Path) -> None:
    with subprocess.Popen(
        command("held"), cwd=folder, stderr=subprocess.PIPE, text=True
    ) as task:
        assert task.stderr is not None
        wait_for(folder / "begun")
        task.terminate()
        wait_for(folder / "undoing")
        task.terminate()
        task.stderr.readline()
        task.terminate()

        assert task.wait(60) == 130
    assert not (folder / "undone").exists()


def test_ctrl_c_while_modules_load_is_two_lines_without_a_traceback(
    folder: Path,
) -> None:
    """One that takes long to load stands in for invoke."""
    (folder / "invoke").mkdir()
    slow = "import pathlib, time\npathlib.Path('begun').touch()\ntime.sleep(60)\n"
    (folder / "invoke/__init__.py").write_text(slow)
    line = [sys.executable, "-m", "compose_ops", "status"]
    with subprocess.Popen(
        line, cwd=folder, stderr=subprocess.PIPE, text=True
    ) as program:
        assert program.stderr is not None
        wait_for(folder / "begun")
        program.send_signal(signal.SIGINT)

        assert program.wait(60) == 130
        said = program.stderr.read()
    assert said.startswith("error: interrupted\nhint: ")
    assert "Traceback" not in said


def test_ignored_hangup_stays_ignored(folder: Path) -> None:
    """As `nohup` means it."""
    line = ["nohup", *command("held")]
    with subprocess.Popen(line, cwd=folder, stderr=subprocess.PIPE) as task:
        wait_for(folder / "begun")
        task.send_signal(signal.SIGHUP)
        (folder / "let go").touch()
        task.send_signal(signal.SIGTERM)

        assert task.wait(60) == 130
    assert (folder / "undone").exists()


@pytest.mark.parametrize(
    ("task", "code", "words"),
    [
        ("broken", 7, "/srv/backups/set: No space left on device"),
        ("faulty", 1, "unexpected IndexError"),
    ],
)
def test_unforeseen_error_is_two_lines_without_a_traceback(
    folder: Path, task: str, code: int, words: str
) -> None:
    done = subprocess.run(
        command(task), cwd=folder, capture_output=True, text=True, check=False
    )

    assert (done.returncode, "Traceback" in done.stderr) == (code, False)
    assert words in done.stderr
    assert "hint: " in done.stderr


def wait_for(path: Path) -> None:
    """Return when the task has made *path*, or when it is plain that it never will."""
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} was never made"
        time.sleep(0.01)
