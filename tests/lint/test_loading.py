"""What is judged without Compose, with one that does not answer, and how fast."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from compose_ops.docker.api import Output
from compose_ops.errors import EngineError, EngineUnavailable
from compose_ops.lint import LintTarget, check_all
from compose_ops.lint.check import skipped
from compose_ops.lint.composefile import read_all
from compose_ops.lint.loader import Combination, assemble, subjects
from compose_ops.lint.tolerant_config import Merged

FILE = """\
services:
  app:
    image: example/app:${TAG}
    privileged: true
    x-lint-accept: {no-such-rule: because}
"""


def targets(folder: Path, docker: Any) -> tuple[LintTarget, ...]:
    file = folder / "compose.yml"
    file.write_text(FILE, encoding="utf-8")
    (folder / ".env.example").write_text("OTHER=1\n", encoding="utf-8")
    return subjects([Combination("x", (file,))], root=folder, docker=docker)


def test_without_compose_the_files_are_judged_and_the_rest_is_counted(
    tmp_path: Path,
) -> None:
    """Rules on single files find their faults; the others are counted as skipped."""

    def no_client(*_: str, timeout: float | None = None) -> Output:
        raise EngineUnavailable(f"there is no docker client ({timeout})")

    made = targets(tmp_path, no_client)

    assert {one.rule for one in check_all(made)} == {
        "accepted-nothing",
        "variable-undocumented",
        "variable-unused",
    }
    lacking = {one.rule for one in skipped(made)}
    assert {"privileged", "root-user", "variable-empty"} <= lacking
    assert not {"variable-undocumented", "refused-by-compose"} & lacking


def test_compose_that_does_not_answer_is_a_finding(tmp_path: Path) -> None:
    """Each call has a time limit; when it passes, that is said once."""
    limits: list[float | None] = []

    def silent(*_: str, timeout: float | None = None) -> Output:
        limits.append(timeout)
        raise EngineError("docker did not answer within 60 s")

    (found,) = [
        one for one in check_all(targets(tmp_path, silent)) if one.severity == "error"
    ]

    assert found.rule == "refused-by-compose"
    assert "did not answer within 60 s" in found.message
    assert limits == [60.0]


def test_refused_part_is_cut_out_and_told_once(tmp_path: Path) -> None:
    """The rest is asked for again from a copy, which no message names."""
    file = tmp_path / "compose.yml"
    asked: list[str] = []

    def strict(*words: str, timeout: float | None = None) -> Output:
        assert timeout
        used = words[words.index("--file") + 1]
        text = Path(used).read_text(encoding="utf-8")
        asked.append(text)
        if "restat" in text:
            path = "services.app Additional property restat is not allowed"
            return Output(15, "", f"validating {used}: {path}\n")
        model = {"name": "x", "services": {"app": {"image": "a:1", "privileged": True}}}
        return Output(0, json.dumps(model), "")

    file.write_text(
        "services:\n  app:\n    image: a:1\n    restat: 1\n    privileged: true\n"
    )
    made = subjects([Combination("compose.yml", (file,))], root=tmp_path, docker=strict)
    found = {one.rule: one for one in check_all(made)}

    assert len(asked) == 2
    assert (found["refused-by-compose"].line, found["privileged"].line) == (4, 5)
    assert found["refused-by-compose"].message == (
        "Compose refuses compose.yml: validating compose.yml: services.app Additional "
        "property restat is not allowed"
    )


def large(number: int, folder: Path) -> tuple[LintTarget, ...]:
    """Return a project of many services that name, wait for and resemble each other."""
    services: dict[str, Any] = {
        f"store{i}": {
            "image": "postgres:16",
            "ports": [{"target": 5432, "published": str(10_000 + i)}],
            "environment": {
                "PEER_HOST": f"store{(i + 1) % number}",
                "PEER_URL": f"postgres://u:${{WORD{i}}}@store{(i + 7) % number}:5432/x",
            },
            "networks": {"default": None},
            "depends_on": {f"store{i - 1}": {"condition": "service_started"}}
            if i
            else {},
            "volumes": [{"type": "volume", "source": f"v{i}", "target": "/data"}],
            "healthcheck": {"test": ["CMD-SHELL", "pg_isready || exit 1"]},
        }
        for i in range(number)
    }
    file = folder / f"compose{number}.yml"
    file.write_text(json.dumps({"services": services}), encoding="utf-8")
    names = frozenset(f"WORD{i}" for i in range(number))
    merged = Merged({"services": services, "networks": {"default": {}}}, unset=names)
    read = read_all([file])
    return assemble([Combination("x", (file,))], [read], [merged], root=folder)


@pytest.mark.parametrize(("number", "seconds"), [(100, 1.0), (400, 2.0)])
def test_time_grows_with_the_services(
    number: int, seconds: float, tmp_path: Path
) -> None:
    """Four hundred services take less than two seconds of processor time."""
    check_all(large(2, tmp_path))
    begin = time.process_time()

    found = check_all(large(number, tmp_path))

    assert len(found) > 4 * number
    assert time.process_time() - begin < seconds


def test_refusal_of_a_later_key_names_the_version(tmp_path: Path) -> None:
    """A key that a later Compose takes is refused with the version at hand."""
    (tmp_path / "compose.yml").write_text(
        "services:\n  app:\n    image: example/app:1\n    post_start: []\n"
    )

    def old(*words: str, timeout: float | None = None) -> Output:
        assert timeout
        if words[1] == "version":
            return Output(0, "2.26.1\n", "")
        return Output(
            15,
            "",
            "validating compose.yml: services.app Additional property post_start is "
            "not allowed",
        )

    made = subjects(
        [Combination("x", (tmp_path / "compose.yml",))], root=tmp_path, docker=old
    )
    (refusal,) = [
        one.message for one in check_all(made) if one.rule == "refused-by-compose"
    ][:1]

    assert "(Compose 2.26.1 does not know post_start, a later one does)" in refusal
