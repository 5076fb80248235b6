"""The tasks and the Python API in a project that is not this one, without an engine."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from repository import ROOT

from compose_ops import Stack, tasks
from compose_ops.errors import ConfigurationError, UsageError, needs_extra
from compose_ops.project.paths import absolute

NO_ENGINE = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
COMPOSE = "services: {web: {image: 'nginx:1.27'}}\n"
CONFIGURATION = """
[modes.staging]
description = "As the customers' test sees it."
files = ["staging.yaml"]
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project with a mode of its own, and a folder below it."""
    for name in [name for name in os.environ if name.startswith("COMPOSE_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "shop"
    (folder / "web").mkdir(parents=True)
    (folder / "compose.yaml").write_text(COMPOSE)
    (folder / "staging.yaml").write_text("services: {extra: {image: 'nginx:1.27'}}\n")
    (folder / "compose-ops.toml").write_text(CONFIGURATION)
    return folder


def typed(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Type `compose-ops WORDS` in a folder."""
    return subprocess.run(
        [sys.executable, "-m", "compose_ops", *words],
        cwd=folder,
        env=os.environ | NO_ENGINE | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.compose
@pytest.mark.parametrize("flags", [["--mode", "staging"], ["--staging"]])
def test_mode_of_the_file_is_a_flag(shop: Path, flags: list[str]) -> None:
    done = typed(shop / "web", "config", *flags)

    assert done.returncode == 0, done.stderr
    assert "extra:" in done.stdout
    assert "extra:" not in typed(shop, "config").stdout


@pytest.mark.compose
def test_project_is_the_one_of_the_current_folder(shop: Path) -> None:
    """Its name is the merged model's, not that of where the package lies."""
    (shop / "compose.yaml").write_text(f"name: ${{SHOP:-corner}}\n{COMPOSE}")
    (shop / ".env").write_text("SHOP=mall\n")

    assert typed(shop / "web", "config").stdout.startswith("name: mall\n")


@pytest.mark.parametrize("broken", ["[modes.staging]\nfils = []", "[modes.staging\n"])
def test_broken_file_leaves_list_and_help_working(shop: Path, broken: str) -> None:
    """The tasks then end with 3 and say where it is wrong, also with a mode's flag."""
    (shop / "compose-ops.toml").write_text(broken)

    assert typed(shop, "--list").returncode == 0
    assert typed(shop, "up", "--help").returncode == 0
    for words in (["status"], ["up", "--mode", "staging"]):
        done = typed(shop, *words)
        assert done.returncode == 3
        assert str(shop / "compose-ops.toml") in done.stderr
        assert "Traceback" not in done.stderr


def test_flag_of_a_mode_stays_where_its_table_cannot_be_read(shop: Path) -> None:
    (shop / "compose-ops.toml").write_text("[modes.staging]\nfiles = [\n")

    assert typed(shop, "up", "--staging").returncode == 3


def test_folder_without_a_project_is_told(tmp_path: Path) -> None:
    done = typed(tmp_path, "status")

    assert done.returncode == 3
    assert f"no compose file in {tmp_path}" in done.stderr


def test_collection_has_the_tasks_that_are_wanted(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shop)

    assert {"up", "gpu-check"} < set(tasks.collection().tasks)
    assert "gpu-check" not in tasks.collection(exclude=["gpu-check"]).tasks
    assert set(tasks.collection(include=["up", "lint"]).tasks) == {"up", "lint"}
    with pytest.raises(ValueError, match="did you mean 'rolling-update'"):
        tasks.collection(exclude=["rolling_update"])


@pytest.mark.compose
def test_library_returns_values_and_prints_nothing(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, value in NO_ENGINE.items():
        monkeypatch.setenv(name, value)
    before = {*shop.rglob("*")}

    stack = Stack.open(shop, modes=["staging"])
    found = stack.lint()
    report = stack.doctor(only=["env-file", "engine-answers"])
    model = stack.config()

    assert {finding.rule for finding in found} >= {"health-missing", "new-privileges"}
    assert [row.outcome for row in report.rows] == ["ok", "fail"]
    assert set(model["services"]) == {"web", "extra"}
    assert capfd.readouterr() == ("", "")
    assert {*shop.rglob("*")} == before


def test_library_raises_the_documented_errors(shop: Path) -> None:
    with pytest.raises(UsageError, match="no mode named 'prod'"):
        Stack.open(shop, modes=["prod"])
    with pytest.raises(ConfigurationError, match="no compose file"):
        Stack.open(shop.parent)


def test_package_loads_nothing_before_it_is_asked() -> None:
    """So that the list of tasks is there at once."""
    code = (
        "import sys, compose_ops.tasks; compose_ops.tasks.collection(); "
        "print(*(m for m in sys.modules if 'whales' in m or 'compose_ops.docker' in m))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == ""


@pytest.mark.compose
def test_noxfile_of_three_lines_has_a_session_that_lints(shop: Path) -> None:
    (shop / "noxfile.py").write_text(
        "import compose_ops.nox\n\ncompose_ops.nox.lint_session()\n"
    )
    words = ("--session", "lint", "--", "--json", "--fail-on", "note")
    done = subprocess.run(
        [sys.executable, "-m", "nox", *words],
        cwd=shop,
        env=os.environ | NO_ENGINE | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1
    assert '"rule": "health-missing"' in done.stdout


def test_package_that_an_extra_brings_is_named() -> None:
    with (
        pytest.raises(ConfigurationError, match="pyrage is not installed") as refused,
        needs_extra("encryption"),
    ):
        raise ImportError(name="pyrage")

    assert refused.value.hint == "pip install 'compose-ops[encryption]'"


def test_folder_or_home_that_is_gone_is_no_traceback(shop: Path) -> None:
    gone = shop / "gone"
    gone.mkdir()
    line = 'rmdir "$0" && exec "$@"'
    words = ("sh", "-c", line, str(gone), sys.executable, "-P", "-m", "compose_ops")
    environment = os.environ | NO_ENGINE | {"PYTHONPATH": str(ROOT)}
    for cwd, command, more in (
        (gone, (*words, "status"), {}),
        (shop, (sys.executable, "-m", "compose_ops", "status"), {"HOME": "/dev/null"}),
    ):
        done = subprocess.run(
            command,
            cwd=cwd,
            env=environment | more,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, "Traceback" in done.stderr) == (3, False), done.stderr
        assert len(done.stderr.splitlines()) == 2


@pytest.mark.compose
@pytest.mark.parametrize("kind", ["pipe", "folder", "zeros", "bytes"])
def test_env_file_that_is_no_text_is_named(shop: Path, kind: str) -> None:
    """A pipe would be waited for, for ever."""
    env = shop / ".env"
    make: dict[str, Callable[[], object]] = {
        "pipe": lambda: os.mkfifo(env),
        "folder": env.mkdir,
        "zeros": lambda: env.symlink_to("/dev/zero"),
        "bytes": lambda: env.write_bytes(b"A=\xff\n"),
    }
    make[kind]()

    done = typed(shop, "config")

    assert done.returncode == 3
    assert ".env cannot be read: " in done.stderr


@pytest.mark.parametrize("folder", ["~nosuchuser/x", "a\0b"])
def test_path_that_leads_nowhere_is_named(tmp_path: Path, folder: str) -> None:
    with pytest.raises(ConfigurationError, match="leads nowhere"):
        absolute(tmp_path, folder)


@pytest.mark.compose
def test_file_that_windows_notepad_saved_is_read(shop: Path) -> None:
    text = CONFIGURATION.replace("\n", "\r\n").encode()
    (shop / "compose-ops.toml").write_bytes(b"\xef\xbb\xbf" + text)

    assert typed(shop, "config", "--mode", "staging").returncode == 0
