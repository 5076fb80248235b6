"""Opening a stack: the mode that was started, the GPU choice, what echo hides."""

from pathlib import Path

import pytest
from fakes import container

from jimbot_stack.engine import DIRECTORY_LABEL, FILES_LABEL, Container, EngineInfo
from jimbot_stack.errors import ConfigurationError, UsageError
from jimbot_stack.mode import Mode
from jimbot_stack.stack import _choose_gpu, _echo, _started_mode


def started(root: Path, *files: str, state: str = "running") -> Container:
    labels = {
        DIRECTORY_LABEL: str(root),
        FILES_LABEL: ",".join(str(root / file) for file in files),
    }
    return container(labels=labels, state=state)


def info(*runtimes: str) -> EngineInfo:
    return EngineInfo("ENGINE", "26.1.5", {}, 2, 0, runtimes, {})


def test_stopped_containers_tell_the_mode_too(tmp_path: Path) -> None:
    own = started(
        tmp_path, "docker-compose.yml", "docker-compose.dev.yml", state="exited"
    )

    found = _started_mode([own], "trial", tmp_path)

    assert found == Mode("dev")


def test_project_of_another_checkout_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()

    with pytest.raises(ConfigurationError) as refused:
        _started_mode([started(other, "docker-compose.yml")], "trial", tmp_path)

    assert str(other) in refused.value.message
    assert str(tmp_path) in refused.value.message


def test_project_of_a_checkout_that_is_gone_is_refused(tmp_path: Path) -> None:
    """The message says that the path is gone, and how to end that project."""
    gone = started(tmp_path / "gone", "docker-compose.yml")

    with pytest.raises(ConfigurationError, match="which is gone") as refused:
        _started_mode([gone], "trial", tmp_path)

    assert "docker compose -p trial down" in refused.value.hint


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
    mode, why = _choose_gpu(Mode("dev"), wish, info(*runtimes))

    assert mode.gpu == gpu
    assert why


def test_offline_has_no_gpu() -> None:
    with pytest.raises(UsageError):
        _choose_gpu(Mode("dev", offline=True), "on", info("nvidia"))


@pytest.mark.parametrize(
    "word", ["API_KEY=sk-1", "--env=DB_PASSWORD=hunter2", "ACCESS_TOKEN=abc"]
)
def test_echo_hides_secrets(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    _echo(["docker", "run", word, "image"])

    printed = capsys.readouterr().err
    assert word.rsplit("=", 1)[1] not in printed
    assert "[redacted]" in printed
    assert "image" in printed
