"""The command line, as a user types it, without any engine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from invoke.collection import Collection
from invoke.program import Program
from repository import ROOT

import tasks
from compose_ops.gpu.facts import Device, Host

NO_ENGINE = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}


def invoke(
    *words: str, cwd: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run `invoke WORDS` as its own process."""
    return subprocess.run(
        [sys.executable, "-m", "invoke", *words],
        cwd=cwd,
        env=os.environ | NO_ENGINE | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class Typed:
    """Types `invoke WORDS` in this process, where the tasks are loaded once."""

    def __init__(
        self, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.capfd = capfd
        self.monkeypatch = monkeypatch

    def __call__(
        self, *words: str, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        for name, value in (NO_ENGINE | environment).items():
            self.monkeypatch.setenv(name, value)
        program = Program(
            namespace=Collection.from_module(tasks), name="invoke", binary="invoke"
        )
        code = 0
        try:
            program.run(["invoke", *words])
        except SystemExit as ended:
            code = int(ended.code or 0)
        printed = self.capfd.readouterr()
        return subprocess.CompletedProcess(words, code, printed.out, printed.err)


@pytest.fixture
def typed(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Typed:
    return Typed(capfd, monkeypatch)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["up", "--dev", "--prod"], 2, "exclude each other"),
        (["up", "--gpu", "maybe"], 2, "auto, on or off"),
        (["up", "--offline", "--gpu", "on"], 5, "no Docker Engine"),
        (["up", "--timeout", "soon"], 2, "'soon' is not a whole number"),
        (["up", "--timeout=-1"], 2, "not a whole number"),
        (["up", "--service"], 1, "needed value"),
        (["up", "--overlay", "nothing"], 2, "no overlay named 'nothing'"),
        (["up", "--unknown"], 1, "No idea what"),
        (["nothing"], 1, "No idea what"),
    ],
)
def test_bad_input_gets_a_line_and_its_code(
    typed: Typed, words: list[str], code: int, said: str
) -> None:
    done = typed(*words)

    assert code == done.returncode
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "words",
    [["up"], ["down"], ["restart"], ["status"], ["stats"], ["logs"], ["rebuild"]],
    ids=" ".join,
)
def test_without_an_engine_every_task_says_so(typed: Typed, words: list[str]) -> None:
    """One line what is wrong, one line what to do, exit code 5."""
    done = typed(*words)

    assert done.returncode == 5
    assert done.stderr.splitlines() == [
        "error: no Docker Engine answers",
        "hint: start it: ./scripts/engine.sh",
    ]


def test_what_is_closed_to_this_user_is_no_traceback(
    typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as what `sudo invoke up` remembered, to the owner of the checkout."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", ".compose-ops/one/deployed.json")

    monkeypatch.setattr("compose_ops.library.linting.judge", refuse)

    done = typed("lint")

    assert done.returncode == 3
    assert ".compose-ops/one/deployed.json is closed to this user" in done.stderr
    assert "sudo chown" in done.stderr


@pytest.mark.compose
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 0, "CPU mode: services run without a GPU"),
        (("--require",), 11, "this machine has no NVIDIA GPU, and --require is set"),
        (("--service", "nobody"), 2, "no service named 'nobody'"),
        (("--gpu", "maybe"), 2, "auto, on or off"),
    ],
)
def test_gpu_check_without_a_gpu(
    typed: Typed,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    """None is a normal result, unless one is required; no engine is needed for it."""
    monkeypatch.setattr("compose_ops.gpu.machine.inspect", Host)

    done = typed("gpu-check", *words)

    assert done.returncode == code
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.compose
def test_gpu_check_goes_as_far_as_it_can_without_an_engine(
    typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Device(0, "GPU-1", "NVIDIA T4", memory=16 * 1024**3, capability="7.5")
    host = Host(hardware=("0000:01:00.0",), module="550.1", devices=(device,))
    monkeypatch.setattr("compose_ops.gpu.machine.inspect", lambda: host)

    done = typed("gpu-check", "--json")

    told = json.loads(done.stdout)
    assert told["service"] == "ray-head"
    rows = {row["id"]: row["outcome"] for row in told["checks"]}
    assert [rows[name] for name in ("gpu", "driver", "devices")] == ["ok"] * 3
    assert rows["toolkit"] == "fail"
    assert {rows[name] for name in ("probe", "compute", "running")} == {"skipped"}
    assert done.returncode == 11
    assert "./scripts/engine.sh" in done.stderr


def test_without_a_client_the_hint_is_to_install_one(tmp_path: Path) -> None:
    """No docker on PATH is no traceback either."""
    (tmp_path / "env").symlink_to("/usr/bin/env")

    done = invoke("status", PATH=str(tmp_path))

    assert done.returncode == 5
    assert "no docker client on PATH" in done.stderr


def test_tasks_are_found_from_any_folder() -> None:
    """Invoke looks upward; no path depends on where it was called."""
    done = invoke("--list", cwd=ROOT / "docker" / "services")

    assert done.returncode == 0
    assert "up" in done.stdout


@pytest.mark.compose
def test_model_is_shown_without_an_engine_and_without_secrets(typed: Typed) -> None:
    """`config` needs only the compose files, and hides what looks like a secret."""
    done = typed("config", "--dev", "--json", ANTHROPIC_API_KEY="sk-very-secret")

    assert done.returncode == 0
    model = json.loads(done.stdout)
    assert model["services"]["app"]["environment"]["ANTHROPIC_API_KEY"] == "[redacted]"
    assert "sk-very-secret" not in done.stdout + done.stderr


@pytest.mark.compose
def test_echo_prints_the_commands_without_secrets(typed: Typed) -> None:
    done = typed("--echo", "config", ANTHROPIC_API_KEY="sk-very-secret")

    assert "+ " in done.stderr
    assert "docker compose" in done.stderr
    assert "sk-very-secret" not in done.stderr
