"""Opening a stack: the mode that was started, the GPU choice, what echo hides."""

import itertools
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from compose_reading import Reading
from fakes import container

from compose_ops.docker.api import DIRECTORY_LABEL, FILES_LABEL, Container, EngineInfo
from compose_ops.errors import ConfigurationError, UsageError
from compose_ops.library import opening
from compose_ops.library import stack as stacks
from compose_ops.library.opening import Selection, _echo, _is_deployed, _started
from compose_ops.library.stack import Stack
from compose_ops.project.modes import Mode
from compose_ops.rollout import deployments
from compose_ops.runtime.context import StackContext
from compose_ops.runtime.once import Once
from compose_ops.state import engine_lock, folder, lock, recovery


def started(root: Path, *files: str, state: str = "running") -> Container:
    labels = {
        DIRECTORY_LABEL: str(root),
        FILES_LABEL: ",".join(str(root / file) for file in files),
    }
    return container(labels=labels, state=state)


def info(*runtimes: str) -> EngineInfo:
    return EngineInfo("ENGINE", "26.1.5", 2, 0, runtimes, {})


def test_stopped_containers_tell_the_files_too(tmp_path: Path) -> None:
    own = started(tmp_path, "compose.yaml", "compose.dev.yaml", state="exited")

    assert _started([own], "trial") == (
        tmp_path,
        (tmp_path / "compose.yaml", tmp_path / "compose.dev.yaml"),
    )


def test_file_that_an_update_wrote_is_of_no_mode(tmp_path: Path) -> None:
    """Later tasks add it themselves."""
    own = started(tmp_path, "compose.yaml", "state/deployed.yml", "candidate-7.yml")

    assert _started([own], "trial") == (tmp_path, (tmp_path / "compose.yaml",))


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Return a project with a mode and an overlay for machines without a GPU."""
    for name in ("compose.yaml", "compose.dev.yaml", "cpu.yaml"):
        (tmp_path / name).write_text("services: {}\n")
    (tmp_path / "compose-ops.toml").write_text(SHOP)
    return tmp_path


SHOP = """
files = ["compose.yaml"]
[modes.dev]
files = ["compose.dev.yaml"]
[modes.slow]
combines = true
gpu = false
[overlays.cpu]
when = "no-gpu"
files = ["cpu.yaml"]
"""


def opened(
    monkeypatch: pytest.MonkeyPatch,
    root: Path,
    origin: Path,
    *files: str,
    read_only: bool = False,
) -> StackContext:
    """Open the stack in *root* while a project of its name runs from *origin*."""
    running = (started(origin, *(files or ("compose.yaml",))),)
    patched(monkeypatch, running)
    return opening.open_stack(Selection(root), read_only=read_only)


def patched(
    monkeypatch: pytest.MonkeyPatch, running: tuple[Container, ...], *runtimes: str
) -> None:
    answer = (running, info(*(runtimes or ("runc",))))
    monkeypatch.setattr(opening, "_observe", lambda *_, **__: answer)
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", "trial")


def test_project_of_another_checkout_is_refused(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()

    with pytest.raises(ConfigurationError) as refused:
        opened(monkeypatch, shop, other)

    assert str(other) in refused.value.message
    assert str(tmp_path) in refused.value.message


def test_project_of_a_checkout_that_is_gone_is_refused(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says that the path is gone, and how to end that project."""
    with pytest.raises(ConfigurationError, match="which is gone") as refused:
        opened(monkeypatch, shop, tmp_path / "gone")

    assert "docker compose -p trial down" in refused.value.hint


def test_who_only_looks_is_told_of_the_other_checkout(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its mode is not taken over: this checkout did not start it."""
    found = opened(monkeypatch, shop, tmp_path / "other", read_only=True)

    assert found.other_checkout == tmp_path / "other"
    assert found.started_as is None
    assert opened(monkeypatch, shop, shop).other_checkout is None


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
    shop: Path, runtimes: tuple[str, ...], wish: str, *, gpu: bool
) -> None:
    place = opening.find(Selection(shop))

    mode, why = opening.selected(place, Selection(gpu=wish), None, info(*runtimes))

    assert mode.gpu == gpu
    assert ([f.name for f in mode.files] == ["compose.yaml"]) == gpu
    assert why


def test_mode_that_computes_on_the_cpu_takes_no_gpu(shop: Path) -> None:
    place = opening.find(Selection(shop))

    with pytest.raises(UsageError, match="--gpu on and --slow"):
        opening.selected(
            place, Selection(modes=("slow",), gpu="on"), None, info("nvidia")
        )


@pytest.mark.parametrize(
    "word", ["API_KEY=sk-1", "--env=DB_PASSWORD=hunter2", "ACCESS_TOKEN=abc"]
)
def test_echo_hides_secrets(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    _echo(["docker", "run", word, "image"])

    printed = capsys.readouterr().err
    assert word.rsplit("=", 1)[1] not in printed
    assert "[redacted]" in printed
    assert "image" in printed


def test_flags_win_over_the_mode_that_was_started(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without flags a task acts on the stack as it was started."""
    running = (started(shop, "compose.yaml", "compose.dev.yaml", "cpu.yaml"),)
    patched(monkeypatch, running, "nvidia")

    def mode(**flags: Any) -> Mode:
        return opening.open_stack(Selection(shop, **flags)).mode

    assert (mode().names, mode().gpu) == (("dev",), False)
    assert (mode(gpu="on").names, mode(gpu="on").gpu) == (("dev",), True)
    assert (mode(modes=("base",)).names, mode(modes=("base",)).gpu) == ((), True)


def test_files_of_the_shell_win_over_the_mode_that_was_started(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """COMPOSE_FILE says which files are meant, as for Compose."""
    patched(monkeypatch, (started(shop, "compose.yaml", "compose.dev.yaml"),))
    monkeypatch.setenv("COMPOSE_FILE", str(shop / "compose.yaml"))

    found = opening.open_stack(Selection(shop))

    assert found.mode.files == (shop / "compose.yaml",)


PRODUCTION = """
files = ["compose.yaml"]
[modes.prod]
files = ["compose.dev.yaml"]
[init]
production_mode = "prod"
data_folders = ["$DATA_ROOT/db"]
"""


@pytest.mark.parametrize("file", [".env", ".env.example"])
def test_init_makes_the_data_folders_where_compose_mounts_them(
    shop: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    """Not one that is called `${HOME}`, in the checkout."""
    reading = Reading({"DATA_ROOT": "/srv/a"})
    monkeypatch.setattr(stacks, "host_engine", lambda: None)
    monkeypatch.setattr(opening, "docker_client", lambda: reading)
    (shop / "compose-ops.toml").write_text(PRODUCTION)
    (shop / file).write_text("DATA_ROOT=${BASE}/a\nBASE=/srv\n")

    steps = Stack.open(shop, modes=["prod"], dry=True).init()

    assert steps[-1] == "make the data folders /srv/a/db"
    assert str(shop / file) in reading.words


def test_init_asks_compose_for_no_value_that_is_plain(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host may have no docker client yet."""
    monkeypatch.setattr(stacks, "host_engine", lambda: None)
    monkeypatch.setattr(opening, "docker_client", lambda: None)
    (shop / "compose-ops.toml").write_text(PRODUCTION)
    (shop / ".env").write_text("DATA_ROOT=/data\nOTHER=${X}\n")

    steps = Stack.open(shop, modes=["prod"], dry=True).init()

    assert steps == ("make the data folders /data/db",)


@pytest.fixture
def deployed(shop: Path) -> Path:
    """Return the compose file of an image that an update deployed in the shop."""
    state = folder.of(shop, "ENGINE", "trial")
    image = deployments.Deployment(image="kept-2", name="app:2")
    deployments.write(state, deployments.Deployed({"app": image}))
    return state / deployments.OVERRIDE


def opened_files(
    monkeypatch: pytest.MonkeyPatch, root: Path, **how: bool
) -> tuple[Path, ...]:
    patched(monkeypatch, (started(root, "compose.yaml"),))
    stack = opening.open_stack(Selection(root), **how)
    return tuple(stack.engine.files)  # type: ignore[attr-defined]


DAMAGED = ["", "services:\n  app:\n", None, b"\xff"]


@pytest.mark.parametrize("damaged", DAMAGED)
def test_damaged_file_of_what_is_deployed_is_written_anew(
    deployed: Path,
    damaged: str | bytes | None,
    shop: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Compose takes an empty one, and the image of the files would come back."""
    text = deployed.read_text()
    damage(deployed, damaged)

    assert opened_files(monkeypatch, shop)[-1] == deployed

    assert deployed.read_text() == text
    assert f"{deployed} is not what was deployed" in capsys.readouterr().err
    opened_files(monkeypatch, shop)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("damaged", DAMAGED)
@pytest.mark.parametrize("how", [{"read_only": True}, {"dry": True}])
def test_who_only_looks_has_the_right_file_and_writes_nothing(
    deployed: Path,
    damaged: str | bytes | None,
    how: dict[str, bool],
    shop: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = deployed.read_text()
    damage(deployed, damaged)
    before = {p: p.stat().st_mtime_ns for p in deployed.parent.iterdir()}

    file = opened_files(monkeypatch, shop, **how)[-1]

    assert file.read_text() == text
    assert _is_deployed(file)
    assert {p: p.stat().st_mtime_ns for p in deployed.parent.iterdir()} == before


def test_file_is_left_to_the_task_that_is_at_work(
    deployed: Path, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An update writes it in a moment, under the same name."""
    text = deployed.read_text()
    damage(deployed, "")
    monkeypatch.setattr(lock, "holder", lambda *_: "invoke rolling-update (pid 1)")

    patched(monkeypatch, (started(shop, "compose.yaml"),))
    stack = opening.open_stack(Selection(shop))

    [*_, passing] = stack.engine.files  # type: ignore[attr-defined]
    assert passing.read_text() == text
    assert deployed.read_text() == ""
    monkeypatch.setattr(stack.engine, "containers", lambda **_: ())
    monkeypatch.setattr(recovery, "locked", lambda *_, **__: nullcontext())
    monkeypatch.setattr(engine_lock, "locked", lambda *_, **__: nullcontext())
    with recovery.exclusive(stack, "invoke up"):
        assert deployed.read_text() == text
        assert stack.engine.files[-1] == deployed  # type: ignore[attr-defined]


@pytest.mark.parametrize("record", [None, "{"])
def test_file_stays_where_nobody_knows_what_is_deployed(
    deployed: Path,
    record: str | None,
    shop: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its record says that tasks keep what is deployed without it."""
    damage(deployed.with_name(deployments.FILE), record)
    text = deployed.read_text()

    assert opened_files(monkeypatch, shop)[-1] == deployed
    assert deployed.read_text() == text


def test_file_of_what_is_deployed_no_more_is_removed(
    deployed: Path, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployments.STATE_FILE.save(deployed.parent, deployments.Deployed())

    assert deployed not in opened_files(monkeypatch, shop)
    assert not deployed.exists()


def damage(file: Path, text: str | bytes | None) -> None:
    if text is None:
        file.unlink()
    else:
        file.write_bytes(text if isinstance(text, bytes) else text.encode())


@pytest.mark.parametrize(
    ("files", "there", "said"),
    [
        (["compose.yaml", "compose.dev.yaml"], [], []),
        (
            ["compose.yml", "compose.dev.yaml"],
            [],
            ["since the start: compose.yaml is new, compose.yml is gone"],
        ),
        (
            ["compose.yaml", "mine.yaml"],
            ["mine.yaml"],
            ["as they were started: compose.yaml, mine.yaml; --mode base takes today"],
        ),
        (
            ["compose.yaml"],
            ["compose.override.yaml"],
            ["compose.override.yaml is not used: compose-ops.toml names"],
        ),
        (["compose.yaml", "compose.override.yaml"], ["compose.override.yaml"], ["as"]),
    ],
)
def test_files_that_are_not_those_of_the_start_are_named(
    shop: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    files: list[str],
    there: list[str],
    said: list[str],
) -> None:
    for name in there:
        (shop / name).touch()

    opened(monkeypatch, shop, shop, *files)

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == len(said)
    assert all(part in line for part, line in zip(said, lines, strict=True))


def test_compose_file_beside_a_flag_is_named_as_unused(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    patched(monkeypatch, (started(shop, "compose.yaml"),))
    (shop / ".env").write_text("COMPOSE_FILE=cpu.yaml\n")

    opening.open_stack(Selection(shop, modes=("dev",)))

    assert "COMPOSE_FILE is not used" in capsys.readouterr().err


@pytest.mark.compose
@pytest.mark.parametrize("read_only", [False, True])
def test_what_compose_warns_of_is_said_once_and_without_secrets(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    read_only: bool,
) -> None:
    """The rest of a value that a dollar cuts would be printed as a variable."""
    patched(monkeypatch, ())
    environment = {"T": "${T}", "U": "${NOPE}"}
    service = {"image": "none:1", "environment": environment}
    (tmp_path / "compose.yaml").write_text(json.dumps({"services": {"app": service}}))
    (tmp_path / ".env").write_text("T=sk-ant-abc$defgh\n")

    stack = opening.open_stack(Selection(tmp_path), read_only=read_only)
    for _ in range(2):
        stack.reload()
        assert stack.model.service("app")["environment"]["T"] == "sk-ant-abc"

    lines = capsys.readouterr().err.splitlines()
    assert "defgh" not in "".join(lines)
    assert len(lines) == (0 if read_only else 2)
    assert read_only or "the value of T in .env" in lines[0]
    assert read_only or 'The "NOPE" variable is not set' in lines[1]
