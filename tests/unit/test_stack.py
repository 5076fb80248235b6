"""Opening a stack: the mode that was started, the GPU choice, what echo hides."""

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fakes import container

from compose_ops.composition import OPERATIONS
from compose_ops.docker.api import DIRECTORY_LABEL, FILES_LABEL, Container, EngineInfo
from compose_ops.errors import ConfigurationError, UsageError
from compose_ops.project.modes import Mode, choose_gpu, selected
from compose_ops.runtime import context
from compose_ops.runtime.context import _echo, _started
from compose_ops.runtime.once import Once


def started(root: Path, *files: str, state: str = "running") -> Container:
    labels = {
        DIRECTORY_LABEL: str(root),
        FILES_LABEL: ",".join(str(root / file) for file in files),
    }
    return container(labels=labels, state=state)


def info(*runtimes: str) -> EngineInfo:
    return EngineInfo("ENGINE", "26.1.5", 2, 0, runtimes, {})


def test_stopped_containers_tell_the_mode_too(tmp_path: Path) -> None:
    own = started(
        tmp_path, "docker-compose.yml", "docker-compose.dev.yml", state="exited"
    )

    assert _started([own], "trial") == (tmp_path, Mode("dev"))


def opened(
    monkeypatch: pytest.MonkeyPatch,
    root: Path,
    origin: Path,
    *,
    read_only: bool = False,
) -> context.StackContext:
    """Open the stack in *root* while a project of its name runs from *origin*."""
    running = (started(origin, "docker-compose.yml"),)
    monkeypatch.setattr(context, "_observe", lambda *_, **__: (running, info("runc")))
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", "trial")
    return context.open_stack(OPERATIONS, root=root, read_only=read_only)


def test_project_of_another_checkout_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()

    with pytest.raises(ConfigurationError) as refused:
        opened(monkeypatch, tmp_path, other)

    assert str(other) in refused.value.message
    assert str(tmp_path) in refused.value.message


def test_project_of_a_checkout_that_is_gone_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says that the path is gone, and how to end that project."""
    with pytest.raises(ConfigurationError, match="which is gone") as refused:
        opened(monkeypatch, tmp_path, tmp_path / "gone")

    assert "docker compose -p trial down" in refused.value.hint


def test_who_only_looks_is_told_of_the_other_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its mode is not taken over: this checkout did not start it."""
    found = opened(monkeypatch, tmp_path, tmp_path / "other", read_only=True)

    assert found.other_checkout == tmp_path / "other"
    assert found.started_as is None
    assert opened(monkeypatch, tmp_path, tmp_path).other_checkout is None


def test_two_threads_ask_once() -> None:
    asked = itertools.count(1)
    begun = threading.Barrier(2)
    question = Once(lambda: next(asked))

    def ask() -> int:
        begun.wait(5)
        return question.answer()

    with ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(ask), pool.submit(ask)]

    assert [one.result() for one in answers] == [1, 1]


def test_question_that_failed_is_asked_anew() -> None:
    asked = itertools.count(1)

    def ask() -> str:
        if next(asked) == 1:
            raise ConfigurationError("not valid", hint="")
        return "model"

    question = Once(ask)
    with pytest.raises(ConfigurationError):
        question.answer()

    assert question.answer() == "model"


@pytest.mark.parametrize(
    ("runtimes", "wish", "gpu"),
    [
        (("runc",), "auto", False),
        (("nvidia", "runc"), "auto", True),
        (("nvidia", "runc"), "off", False),
        (("runc",), "on", True),
    ],
)
def test_gpu_is_what_the_engine_offers_or_the_user_says(
    runtimes: tuple[str, ...], wish: str, *, gpu: bool
) -> None:
    mode, why = choose_gpu(Mode("dev"), wish, info(*runtimes))

    assert mode.gpu == gpu
    assert why


def test_offline_has_no_gpu() -> None:
    with pytest.raises(UsageError):
        choose_gpu(Mode("dev", offline=True), "on", info("nvidia"))


@pytest.mark.parametrize(
    "word", ["API_KEY=sk-1", "--env=DB_PASSWORD=hunter2", "ACCESS_TOKEN=abc"]
)
def test_echo_hides_secrets(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    _echo(["docker", "run", word, "image"])

    printed = capsys.readouterr().err
    assert word.rsplit("=", 1)[1] not in printed
    assert "[redacted]" in printed
    assert "image" in printed


def test_flags_win_over_the_mode_that_was_started() -> None:
    running = Mode("dev", offline=True, gpu=False)

    assert selected(Mode(), "auto", running, info("nvidia")) == (running, "")
    assert selected(Mode("prod"), "auto", running, info())[0].stage == "prod"
    assert selected(Mode(), "auto", None, info("nvidia"))[0] == Mode(gpu=True)
    assert selected(Mode(), "off", Mode("dev"), info())[0] == Mode("dev", gpu=False)
