"""What rules are made of: shells, ignore files, variables, quantities, images asked."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from compose_ops.docker.api import Image, Output, RunSpec
from compose_ops.lint import LintTarget, check
from compose_ops.lint.dockerignore import is_ignored
from compose_ops.lint.image_probe import ask_images
from compose_ops.lint.quantity import seconds, size
from compose_ops.lint.rules.ports import host_ports
from compose_ops.lint.shell_programs import programs
from compose_ops.project.interpolation import variables


@pytest.mark.parametrize(
    ("argv", "started"),
    [
        (["curl", "-f", "x"], ["curl"]),
        (["sh", "-c", "test -f /x && wget -q x || exit 1"], ["sh", "wget"]),
        (["bash", "-ec", "A=1 exec app; [ -f x ] | grep y"], ["bash", "app", "grep"]),
        (["/bin/sh", "-c", "echo 'a | b' 2>&1 >/dev/null"], ["/bin/sh"]),
        (["sh", "script.sh"], ["sh"]),
        (["sh", "-c", '"$PROGRAM" run'], ["sh"]),
        ([], []),
    ],
)
def test_programs_of_a_command(argv: list[str], started: list[str]) -> None:
    """Programs in command position are named; builtins and quoted text are not."""
    assert programs(argv) == started


@pytest.mark.parametrize(
    ("name", "lines", "ignored"),
    [
        (".env", ("*",), True),
        (".env", ("*", "!.env"), False),
        (".env", (".env*", "# x", ""), True),
        ("a/.env", (".env",), False),
        ("a/.env", ("**/.env",), True),
        ("secrets/a/b", ("secrets",), True),
        ("secrets/a", ("secrets/*", "!secrets/a"), False),
        ("secrets/a", ("/secrets/",), True),
        ("file.txt", ("file?txt", "!*.md"), True),
    ],
)
def test_ignore_file(name: str, lines: tuple[str, ...], ignored: bool) -> None:  # noqa: FBT001 - a table
    """The last line that matches a file, or a folder above, decides."""
    assert is_ignored(name, lines) is ignored


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("$A ${B} $$C", [("A", False), ("B", False)]),
        ("${A:-x} ${B-x} ${C:+x}", [("A", True), ("B", True), ("C", True)]),
        ("${A:?no} ${B:-${C}}", [("A", False), ("B", True), ("C", False)]),
        ("plain", []),
    ],
)
def test_variables(text: str, found: list[tuple[str, bool]]) -> None:
    """Each variable is named with whether Compose does without it."""
    assert list(variables(text)) == found


def test_quantities() -> None:
    """Sizes are bytes and durations seconds; what is none of them is 0."""
    assert [size(x) for x in ("2.5gb", "12G", 7, "x", None)] == [
        2684354560,
        12 << 30,
        7,
        0,
        0,
    ]
    assert [seconds(x) for x in ("1m30s", "500ms", "", None)] == [90.0, 0.5, 0.0, 0.0]


class TwoImages:
    """An engine with one image, whose shell knows two programs."""

    def __init__(self) -> None:
        self.asked: list[RunSpec] = []

    def images(self, references: Iterable[str]) -> dict[str, Image]:
        there = {"example/app:1"} & set(references)
        config = {"Config": {"User": "0:0"}}
        return {name: Image("sha256:1", (name,), 1, {}, config) for name in there}

    def run(self, spec: RunSpec, *, timeout: float | None = None) -> Output:
        assert timeout
        self.asked.append(spec)
        return Output(0, "app\nsh\n", "")


def subject(program: str) -> LintTarget:
    test = {"healthcheck": {"test": ["CMD", program]}}
    services: dict[str, Any] = {
        "one": {"image": "example/app:1", **test},
        "two": {"image": "example/app:1", **test},
        "gone": {"image": "example/gone:1", **test},
    }
    return LintTarget(
        "trial", Path("/trial"), {"name": "trial", "services": services}, ()
    )


@pytest.mark.parametrize(
    ("program", "services"), [("app", []), ("probe", ["one", "two"])]
)
def test_local_images_are_asked_once(program: str, services: list[str]) -> None:
    """A program that a local image lacks is found; an absent image is not judged."""
    engine: Any = TwoImages()
    (asked,) = ask_images([subject(program)], engine)
    found = check(asked, ["missing-binary"])

    assert [finding.path.split(".")[1] for finding in found] == services
    assert len(engine.asked) == 1


def test_asked_image_tells_its_user() -> None:
    """A local image that runs as root is found, one that is not there is not."""
    engine: Any = TwoImages()
    (asked,) = ask_images([subject("app")], engine)

    found = [finding.path for finding in check(asked, ["root-user"])]
    assert found == ["services.one.user", "services.two.user"]


@pytest.mark.parametrize(
    ("published", "found"),
    [("80", range(80, 81)), ("80-82", range(80, 83)), ("²", range(0)), ("", range(0))],
)
def test_ports_of_the_host_are_numbers(published: str, found: range) -> None:
    assert host_ports({"published": published}) == found
