"""`.env` and the shell: what is read, what is torn, what is weak, what is harmless."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from compose_reading import Reading
from judging import OFFLINE, STACK, judge

from compose_ops.doctor.facts.settings import (
    Interpolated,
    Settings,
    interpolated,
    interpolated_values,
    read_settings,
)
from compose_ops.lint import Finding
from compose_ops.project.model import Model
from compose_ops.project.modes import Mode, Modes
from compose_ops.verdicts import Row

MANY_LINES = """\
# a comment
KEY="one
two=
three"
  export PORT = 1

half a line
alone
PORT=2
PORT=3
"""


def read(folder: Path, text: str) -> Settings:
    path = folder / ".env"
    path.write_text(text)
    return read_settings(path, {}, {})


def test_value_of_many_lines_is_no_broken_one(tmp_path: Path) -> None:
    settings = read(tmp_path, MANY_LINES)

    assert settings.broken == (7, 8)
    assert settings.file is not None
    assert settings.file["KEY"] == "one\ntwo=\nthree"


def test_earlier_values_are_commented_out_by_the_repair(tmp_path: Path) -> None:
    settings = read(tmp_path, MANY_LINES.replace("KEY", "PORT"))
    row = judge("env-file", settings=settings)
    [repair] = [v.repair for v in row.problems if v.about == "PORT"]
    subprocess.run(["sh", "-c", repair], cwd=tmp_path, check=True)

    after = read_settings(tmp_path / ".env", {}, {})
    assert (after.file or {})["PORT"] == "3"
    assert after.repeated == {}


def unknown(values: Mapping[str, str], names: frozenset[str]) -> Row:
    settings = Settings(values, {"LOG_LEVEL": ""}, {})
    return judge("env-unknown", settings=settings, interpolated=names)


def test_variable_of_an_own_overlay_is_known(tmp_path: Path) -> None:
    overlay = tmp_path / "docker/overlays/mine.yml"
    overlay.parent.mkdir(parents=True)
    overlay.write_text("services: {app: {image: 'x:${MINE:-1}', command: $$NOT}}\n")
    modes = Modes((), overlay_folder=overlay.parent)
    stack: Any = SimpleNamespace(root=tmp_path, modes=modes, mode=Mode())
    names = interpolated(stack)

    assert names == {"MINE"}
    assert unknown({"MINE": "1"}, names).outcome == "ok"
    assert unknown({"MNE": "1"}, names).outcome == "warn"


def secret(check: str, value: str, stack: Any = STACK) -> Row:
    values = {"API_TOKEN": value}
    settings = Settings(values, values, {}, in_force=values)
    return judge(check, stack=stack, own_values=values, settings=settings)


def test_repairs_own_placeholder_is_one() -> None:
    """Run as printed, the repair leaves a value that only the user can replace."""
    repair = secret("env-placeholder", "change-me").repair
    value = repair.partition("=")[2].partition("=")[2].partition("|")[0]

    assert secret("env-placeholder", value).outcome == "warn"


@pytest.mark.parametrize(
    ("value", "outcome"),
    [("abc", "warn"), ("aaaaaaaaaaaaaaaa", "warn"), ("sk-Tq8vRw2zLm5xYb", "ok")],
)
def test_weak_secret_of_the_settings_is_named(value: str, outcome: str) -> None:
    assert secret("env-strength", value).outcome == outcome
    assert secret("env-strength", value, OFFLINE).outcome == "ok"


@pytest.mark.parametrize(
    ("name", "value", "outcome"),
    [
        ("DOCKER_BUILDKIT", "false", "fail"),
        ("DOCKER_BUILDKIT", "0", "fail"),
        ("DOCKER_BUILDKIT", "1", "ok"),
        ("COMPOSE_DISABLE_ENV_FILE", "TRUE", "fail"),
        ("DOCKER_CONTEXT", "default", "ok"),
        ("DOCKER_CONTEXT", "far", "warn"),
        ("COMPOSE_FILE", "", "ok"),
        ("COMPOSE_FILE", "other.yml", "warn"),
    ],
)
def test_variables_of_the_shell(name: str, value: str, outcome: str) -> None:
    settings = Settings({}, {}, {name: value})

    assert judge("shell-variables", settings=settings).outcome == outcome


@pytest.mark.parametrize(
    ("cpus", "replicas", "outcome"), [(4, 1, "ok"), (2, 2, "ok"), (4, 2, "warn")]
)
def test_limits_of_all_services_are_held_against_the_cores(
    cpus: int, replicas: int, outcome: str
) -> None:
    limits = {"limits": {"cpus": str(cpus)}}
    worker = {"deploy": {"resources": limits, "replicas": replicas}}
    row = judge(
        "cpu-sum",
        stack=STACK,
        settings=Settings({"RAY_CPUS": "4"}, {}, {}),
        info=SimpleNamespace(cpus=4),
        model=Model({"name": "trial", "services": {"ray": worker}}),
        wanted=("ray",),
    )

    assert row.outcome == outcome
    if outcome == "warn":
        assert row.repair == "sed -i 's|^RAY_CPUS=.*|RAY_CPUS=2|' .env"


@pytest.mark.parametrize(
    ("service", "repair"),
    [
        ("ray-head", "sed -i 's|^RAY_CPUS=.*|RAY_CPUS=4|' .env"),
        ("questdb", "invoke lint --rule cpus-beyond-engine"),
    ],
)
def test_variable_is_set_for_the_services_that_it_limits(
    service: str, repair: str
) -> None:
    path = f"services.{service}.deploy.resources.limits.cpus"
    limits = {"ray-head": "9", "questdb": "8"}
    services = {
        name: {"deploy": {"resources": {"limits": {"cpus": cpus}}}}
        for name, cpus in limits.items()
    }
    finding = Finding("cpus-beyond-engine", "error", "a.yml", 1, "too many", "", path)
    row = judge(
        "cpu-limits",
        stack=STACK,
        settings=Settings({"RAY_CPUS": "9"}, {}, {}, in_force={"RAY_CPUS": "9"}),
        info=SimpleNamespace(cpus=4),
        model=Model({"name": "trial", "services": services}),
        cpu_findings=(finding,),
    )

    assert row.repair == repair


def differing(folder: Path, text: str, values: Mapping[str, str]) -> list[Interpolated]:
    settings = read(folder, text)
    stack: Any = SimpleNamespace(root=folder, engine=Reading(values))
    return list(interpolated_values(stack, settings, settings.file or {}))


def test_value_that_compose_cuts_is_named_with_what_is_not_set(tmp_path: Path) -> None:
    text = "API_TOKEN=abc$defgh\nPLAIN=x\nQUOTED='a$b'\n"
    values = {"API_TOKEN": "abc", "QUOTED": "a$b"}

    found = differing(tmp_path, text, values)

    assert found == [Interpolated("API_TOKEN", ("defgh",))]


def test_compose_is_not_asked_for_values_without_a_dollar(tmp_path: Path) -> None:
    settings = read(tmp_path, "A=b\n")
    engine = Reading({})
    stack: Any = SimpleNamespace(root=tmp_path, engine=engine)

    assert interpolated_values(stack, settings, settings.file or {}) == ()
    assert engine.count == 0


@pytest.mark.parametrize(
    "line", ["API_TOKEN=abc$defgh", 'API_TOKEN="abc$defgh"', "export API_TOKEN=abc$d "]
)
def test_repair_of_a_cut_value_puts_it_in_single_quotes(
    tmp_path: Path, line: str
) -> None:
    (tmp_path / ".env").write_text(f"OTHER=1\n{line}\n")
    row = judge(
        "env-interpolation", interpolated_values=(Interpolated("API_TOKEN", ()),)
    )
    subprocess.run(["sh", "-c", row.repair], cwd=tmp_path, check=True)

    first, second = (tmp_path / ".env").read_text().splitlines()
    assert first == "OTHER=1"
    assert re.fullmatch(r"(export )?API_TOKEN='abc\$d(efgh)?'", second)
