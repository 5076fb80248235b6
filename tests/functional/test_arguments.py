"""Every value on the command line is judged before a task looks at anything."""

import os
from pathlib import Path

import pytest
from invoke.program import Program

from compose_ops import tasks
from compose_ops.cli import arguments
from compose_ops.cli.task import whole_number
from compose_ops.errors import UsageError

FLAGS = [
    (name, argument)
    for name, task in tasks.collection().tasks.items()
    for argument in task.get_arguments()
    if argument.takes_value
]
NAMES = [
    "-rf",
    "--help",
    "a b",
    "a\nb",
    "x" * 300,
    "[bold]",
    "é",
    "a/b",
    "*",
    "a\udcff",
]
TEXTS = ["a\x1b[2J", "x" * 20_000, "a\udcff", "a\nb"]
WORDS = ["--privileged", "a b", "a\tb", *TEXTS]
PATHS = ["~nosuchuser/x", "x" * 5000, "loop/x"]
FILES = [*PATHS, "absent", ".", "pipe", "huge", "loop"]
NUMBERS = ["-1", "1.5", "\u0661", "", "9" * 5000, "1e3", "0x10", "1_0", "10000000000"]
WRONG: dict[arguments.Kind, list[str]] = {
    arguments.name: NAMES,
    arguments.text: TEXTS,
    arguments.word: WORDS,
    arguments.path: PATHS,
    arguments.readable_file: FILES,
    arguments.file_to_write: [*PATHS, ".", "pipe", "huge"],
    arguments.file_of_lint: [*PATHS, ".", "pipe", "huge"],
    arguments.recipient: ["--help", "a b", ".", "pipe", "huge"],
}


def dashed(name: str) -> str:
    return name.replace("_", "-")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with everything that is no plain file."""
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    Path("loop").symlink_to("loop")
    with Path("huge").open("wb") as file:
        file.truncate(arguments.LARGEST_FILE + 1)
    return tmp_path


def test_every_flag_that_takes_a_value_has_a_kind() -> None:
    without = [
        f"{name} --{argument.name}"
        for name, argument in FLAGS
        if argument.kind is not whole_number
        and argument.name.replace("-", "_") not in arguments.KINDS
    ]

    assert without == []


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("kind", WRONG, ids=lambda kind: kind.__name__)
def test_wrong_value_of_each_kind_is_refused(kind: arguments.Kind) -> None:
    flags = [flag for flag, known in arguments.KINDS.items() if known is kind]
    for value in WRONG[kind]:
        for flag in flags:
            with pytest.raises(UsageError, match=f"--{dashed(flag)} ") as no:
                arguments.check({flag: [value]})
            assert "\x1b" not in str(no.value)
            assert len(str(no.value).splitlines()) == 2


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("service", "web_1.a-b"),
        ("project", "shop"),
        ("set", "20261128T010203Z-0001"),
        ("dest", "~/sets of 'ours', ünï\nx"),
        ("dest", "-rf"),
        ("image", "registry.example:5000/shop/web@sha256:0a"),
        ("accept", "map-count=it is ours: 100 % sure"),
        ("encrypt", "ssh-ed25519 AAAAC3Nza me@example"),
        ("baseline", "not there yet.json"),
    ],
)
def test_right_value_is_taken(flag: str, value: str) -> None:
    arguments.check({flag: value})


@pytest.mark.parametrize("value", NUMBERS)
def test_number_is_digits_and_bounded(value: str) -> None:
    with pytest.raises(UsageError, match="is not a whole number"):
        arguments.whole_number(value)


@pytest.mark.parametrize("name", sorted({name for name, _ in FLAGS}))
def test_task_is_refused_before_it_asks_an_engine(
    name: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without one the code would be another."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    program = Program(namespace=tasks.collection(), name="invoke", binary="invoke")
    for flag in (a for n, a in FLAGS if n == name):
        with pytest.raises(SystemExit) as ended:
            program.run(["invoke", name, f"--{dashed(flag.name)}=\x1b{'x' * 20_000}"])
        said = capfd.readouterr().err
        assert ended.value.code == 2, said
        assert "Traceback" not in said
        assert "\x1b" not in said
