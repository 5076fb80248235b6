"""How docker commands run and end: limits, Ctrl-C, secrets, and what `--echo` shows."""

import subprocess
import sys
from pathlib import Path

import pytest
from docker_script import Client

from compose_ops.docker import process
from compose_ops.docker.api import RunSpec
from compose_ops.docker.client import DockerEngine
from compose_ops.errors import ConfigurationError, EngineError, EngineUnavailable

HANGS = "time.sleep(60)\n"


def test_client_that_hangs_is_ended_and_named(client: Client) -> None:
    script = client(HANGS)

    with pytest.raises(EngineUnavailable, match="does not answer in time"):
        DockerEngine(timeout=0.5).info()
    assert not script.is_alive()


def test_client_that_ignores_the_end_is_killed(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = client("signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + HANGS)
    monkeypatch.setattr(process.end, "__defaults__", (0.2,))

    assert DockerEngine().docker("info", timeout=0.5).code == process.TIMED_OUT
    assert not script.is_alive()


def test_ctrl_c_ends_the_client(client: Client) -> None:
    script = client("os.kill(os.getppid(), signal.SIGINT)\n" + HANGS)

    with pytest.raises(KeyboardInterrupt):
        DockerEngine().docker("info")
    assert not script.is_alive()


def test_end_of_the_task_ends_what_its_threads_began() -> None:
    argv = [sys.executable, "-c", "import time; time.sleep(60)"]
    running = process.begin(argv, stdout=subprocess.PIPE)

    process.end_all()

    assert running.returncode is not None


INSISTS = """
import os, signal, sys
from compose_ops import interrupts
from compose_ops.docker import process
with interrupts.handled():
    process.begin([sys.executable, "-c", "import time; time.sleep(60)"])
    with interrupts.undoing("what was begun"):
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGINT)
"""


def test_third_ctrl_c_leaves_no_client() -> None:
    """What it prints to is closed once the last process that had it has ended."""
    done = subprocess.run(
        [sys.executable, "-c", INSISTS],
        stdout=subprocess.PIPE,
        check=False,
        timeout=60,
    )

    assert done.returncode == 130


@pytest.mark.parametrize("number", [9, 15])
def test_client_that_was_killed_is_named_by_the_signal(
    client: Client, number: int
) -> None:
    """It says nothing of the compose files, which may be right."""
    client(f"os.kill(os.getpid(), {number})\n")

    with pytest.raises(EngineError, match=f"killed by signal {number}"):
        DockerEngine().model()


def test_plugin_that_was_killed_is_not_the_compose_files_fault(client: Client) -> None:
    """Docker ends with 255 then, and says nothing."""
    client("sys.exit(255)\n")

    with pytest.raises(EngineError, match="exit code 255 and no output") as raised:
        DockerEngine().model()
    assert "memory" in raised.value.hint


def test_files_that_compose_refuses_are_named(client: Client) -> None:
    client("sys.exit('services.app Additional property imag is not allowed')\n")

    with pytest.raises(ConfigurationError, match="imag is not allowed"):
        DockerEngine(files=[Path("compose.yml")]).model()


def test_service_named_config_is_no_invalid_file(client: Client) -> None:
    client("sys.exit('Error response from daemon: no space left on device')\n")

    with pytest.raises(EngineError, match="no space left"):
        DockerEngine(project="trial").pull(["config"])


@pytest.mark.parametrize("ask", ["execute", "run", "run_interactive"])
def test_values_of_an_environment_are_in_no_command_line(
    client: Client, ask: str
) -> None:
    """Every user of the machine can read those."""
    script = client("")
    values, engine = {"TOKEN": "hush"}, DockerEngine()
    if ask == "execute":
        engine.execute("one", ["true"], environment=values, timeout=9)
    elif ask == "run":
        engine.run(RunSpec("image", ["true"], environment=values), timeout=9)
    else:
        with engine.run_interactive(RunSpec("image", [], environment=values)):
            pass
    [(words, environment, _)] = script.runs

    assert words[words.index("--env") + 1] == "TOKEN"
    assert not any("hush" in word for word in words)
    assert environment["TOKEN"] == "hush"


def test_container_s_path_does_not_select_another_docker(client: Client) -> None:
    script = client("")
    DockerEngine().execute("one", ["true"], environment={"PATH": "/x"}, timeout=9)
    [(words, environment, _)] = script.runs

    assert "PATH=/x" in words
    assert environment["PATH"] != "/x"


def test_build_arguments_are_in_no_command_line(client: Client, tmp_path: Path) -> None:
    script = client("")
    DockerEngine().build_image(tmp_path, tag="one", arguments={"KEY": "hush"})
    [(words, environment, _)] = script.runs

    assert "KEY" in words
    assert environment["KEY"] == "hush"
    assert not any("hush" in word for word in words)


def test_echo_shows_what_runs(client: Client) -> None:
    script = client("print('{}')\n")
    shown: list[list[str]] = []
    engine = DockerEngine(
        project="trial",
        environment={"APP_IMAGE": "one", "SIGNING_KEY": "hush"},
        echo=lambda argv: shown.append(list(argv)),
    )
    engine.model()
    engine.down()
    engine.containers()

    plain = [words[words.index("compose") - 1 :] for words in shown[:2]]
    assert [Path(words[0]).name for words in plain] == ["docker", "docker"]
    ran = [words for words, _, _ in script.runs]
    assert [words[1:] for words in plain] == ran[:2]
    assert shown[0][:3] == ["env", "APP_IMAGE=one", "SIGNING_KEY=[redacted]"]
    assert [run[1].get("SIGNING_KEY") for run in script.runs] == [
        "hush",
        "hush",
        *[None] * 2,
    ]
    assert len(shown) == len(script.runs)


@pytest.mark.parametrize(
    ("word", "wanted"),
    [
        ("PASSWORD=hush", "PASSWORD=[redacted]"),
        ("https://x/?token=hush", "https://x/?token=[redacted]"),
        ("label=com.docker.compose.project=a", "label=com.docker.compose.project=a"),
    ],
)
def test_secrets_are_not_shown(word: str, wanted: str) -> None:
    shown: list[list[str]] = []
    process.shown(["docker", word], None, lambda argv: shown.append(list(argv)))

    assert shown == [["docker", wanted]]


def test_command_gets_bytes_and_gives_bytes(client: Client, tmp_path: Path) -> None:
    client("sys.stdout.buffer.write(sys.stdin.buffer.read()[::-1])\n")
    with (tmp_path / "out").open("wb") as out:
        done = DockerEngine().execute(
            "one", ["rev"], stdin=b"\x00\xff\n", stdout=out, timeout=9
        )

    assert done.code == 0
    assert (tmp_path / "out").read_bytes() == b"\n\xff\x00"


def test_run_that_takes_too_long_leaves_no_container(client: Client) -> None:
    script = client("if sys.argv[1] == 'run': time.sleep(60)\n")

    with pytest.raises(EngineError, match=r"did not end within 0\.5 s"):
        DockerEngine().run(RunSpec("image", []), timeout=0.5)
    (run, _, _), (removal, _, _) = script.runs
    assert removal == ["rm", "--force", run[run.index("--name") + 1]]
