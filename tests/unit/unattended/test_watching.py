"""Around a task: hooks, pings, messages, metrics; none of them fails it."""

import json
import os
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic

import pytest
from small_server import Asked, SmallServer, serving

from compose_ops import redaction
from compose_ops.config import Config
from compose_ops.config.unattended import HooksTable, MetricsTable, NotifyTable
from compose_ops.console import say
from compose_ops.errors import ComposeOpsError, DataError, EngineUnavailable
from compose_ops.library.faults import described
from compose_ops.notify import delivery
from compose_ops.notify.delivery import Delivery, Ping
from compose_ops.notify.watch import Watch, watching
from compose_ops.state import runs, store

RUN = {"started": "", "ended": "", "seconds": 1.0, "exit_code": 0}
COPY = {"service": "db", "destination": "near"}
PASSWORD = "swordfish-9000"
NOTE = """
import os, sys
names = ("TASK", "PROJECT", "EXIT_CODE", "SET")
said = [os.environ.get(f"COMPOSE_OPS_{name}", "-") for name in names]
open(sys.argv[1], "a").write(" ".join(said) + "\\n")
"""


@pytest.fixture
def server() -> Iterator[SmallServer]:
    with serving() as made:
        yield made


def secret(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text)
    path.chmod(0o600)
    return name


def watch(folder: Path, task: str = "backup", **tables: object) -> Watch:
    config = Config(folder=folder, **tables)  # type: ignore[arg-type]
    return Watch(task, config, folder, lambda: "shop", described)


def noting(folder: Path) -> tuple[str, ...]:
    return (sys.executable, "-c", NOTE, str(folder / "noted"))


def hooks(folder: Path, **more: object) -> HooksTable:
    words = dict.fromkeys(("before", "after", "failed"), noting(folder))
    return HooksTable(**words | more)  # type: ignore[arg-type]


def test_hooks_know_what_it_is_about(tmp_path: Path) -> None:
    with watching(watch(tmp_path, hooks=hooks(tmp_path))) as report:
        report.set_id = "set-1"
    with suppress(DataError), watching(watch(tmp_path, hooks=hooks(tmp_path))):
        raise DataError("the disk is full")

    assert (tmp_path / "noted").read_text().splitlines() == [
        *("backup shop - -", "backup shop 0 set-1"),
        *("backup shop - -", "backup shop 7 "),
    ]


def test_hooks_of_other_tasks_do_not_run(tmp_path: Path) -> None:
    with watching(watch(tmp_path, "verify", hooks=hooks(tmp_path))):
        pass

    assert not (tmp_path / "noted").exists()


def test_hook_before_that_fails_lets_nothing_begin(tmp_path: Path) -> None:
    table = hooks(tmp_path, before=("false",))
    begun = False

    with (
        pytest.raises(DataError, match="nothing was begun") as refused,
        watching(watch(tmp_path, hooks=table)),
    ):
        begun = True

    assert not begun
    assert refused.value.exit_code == 7
    assert (tmp_path / "noted").read_text() == "backup shop 7 \n"
    assert runs.load(tmp_path, "shop").tasks["backup"].exit_code == 7


@pytest.mark.parametrize("words", [("false",), ("/nowhere/program",), ("sleep", "60")])
def test_hook_afterwards_only_warns(
    tmp_path: Path, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """One that takes too long is killed, with what it started."""
    begin = monotonic()
    table = hooks(tmp_path, before=(), after=words, timeout=1)
    with watching(watch(tmp_path, hooks=table)):
        pass

    assert "warning: the hook after" in capsys.readouterr().err
    assert monotonic() - begin < 30
    assert runs.load(tmp_path, "shop").tasks["backup"].exit_code == 0


def test_task_of_a_hook_has_no_hooks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMPOSE_OPS_TASK", "backup")
    with watching(watch(tmp_path, hooks=hooks(tmp_path))):
        pass

    assert not (tmp_path / "noted").exists()


def fail(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    ("ending", "expected"),
    [
        (lambda: None, ["/ping/start", "/ping"]),
        (lambda: fail(EngineUnavailable("no engine")), ["/ping/start", "/ping/fail"]),
        (lambda: fail(KeyboardInterrupt()), ["/ping/start", "/ping/fail"]),
    ],
)
def test_switch_hears_of_start_and_end(
    tmp_path: Path, server: SmallServer, ending: Callable[[], None], expected: list[str]
) -> None:
    file = secret(tmp_path, "ping", f"http://127.0.0.1:{server.port}/ping\n")
    table = NotifyTable(pings={"backup": file})

    with (
        suppress(ComposeOpsError, KeyboardInterrupt),
        watching(watch(tmp_path, notify=table)),
    ):
        ending()

    assert [asked.path for asked in server.asked] == expected


def test_log_is_sent_only_when_asked_and_without_secrets(
    tmp_path: Path, server: SmallServer
) -> None:
    redaction.learn(PASSWORD)
    file = secret(tmp_path, "ping", f"http://127.0.0.1:{server.port}/ping")
    for is_asked in (False, True):
        table = NotifyTable(pings={"backup": file}, ping_log=is_asked)
        with watching(watch(tmp_path, notify=table)):
            say(f"copying with {PASSWORD}")

    bodies = [a.body.decode() for a in server.asked if not a.path.endswith("start")]
    assert bodies == ["", "copying with [redacted]"]


def test_message_reaches_people_without_secrets(
    tmp_path: Path, server: SmallServer
) -> None:
    """Apprise itself sends it; one that cannot be sent spoils no other."""
    redaction.learn(PASSWORD)
    good = f"json://127.0.0.1:{server.port}/room"
    file = secret(tmp_path, "urls", f"# people\njson://127.0.0.1:1/x\n{good}\n")
    with (
        pytest.raises(DataError),
        watching(watch(tmp_path, notify=NotifyTable(urls=file))),
    ):
        raise DataError(f"refused with {PASSWORD}", hint=f"PGPASSWORD={PASSWORD}")

    (asked,) = server.asked
    message = json.loads(asked.body)
    assert (message["title"], message["type"]) == ("shop: backup failed", "failure")
    assert "refused with [redacted]" in message["message"]
    assert PASSWORD not in asked.body.decode()


def test_event_that_nobody_wants_is_not_told(
    tmp_path: Path, server: SmallServer
) -> None:
    file = secret(tmp_path, "urls", f"json://127.0.0.1:{server.port}/room")
    table = NotifyTable(urls=file, events=("drill-failed",))
    with pytest.raises(DataError), watching(watch(tmp_path, notify=table)):
        raise DataError("no room")

    assert server.asked == []


def test_switch_that_does_not_answer_is_given_up(
    server: SmallServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """What would hold a task up is killed; its URL stays a secret."""
    url = f"http://127.0.0.1:{server.port}/uuid-of-mine"

    def silent(_asked: Asked) -> bytes:
        threading.Event().wait(20)
        return b""

    server.reply = silent
    begin = monotonic()
    faults = Delivery(pings=[Ping(url)], limit=0.5).finish()

    assert monotonic() - begin < 15
    assert faults == ["not delivered: ping: no answer within 0 s"]
    assert "uuid-of-mine" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "table",
    [
        NotifyTable(urls="absent", pings={"backup": "absent"}),
        NotifyTable(urls="binary", pings={"backup": "binary"}),
        NotifyTable(urls="wrong", pings={"backup": "wrong"}),
    ],
)
def test_whoever_cannot_be_told_fails_no_task(
    tmp_path: Path, table: NotifyTable
) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\n")
    secret(tmp_path, "wrong", "nosuch://place")
    runs.update(tmp_path, "shop", lambda _now: _failed_before())

    with watching(watch(tmp_path, notify=table)) as report:
        report.set_id = "set-1"

    assert runs.load(tmp_path, "shop").tasks["backup"].exit_code == 0


def _failed_before() -> runs.Runs:
    time = "2026-11-27T00:00:00+00:00"
    return runs.Runs(since=time, tasks={"backup": runs.Run(time, time, 1.0, 7, "full")})


def test_damaged_record_and_closed_folder_fail_no_task(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".compose-ops").write_text("no folder")
    with watching(watch(tmp_path, metrics=MetricsTable("nowhere"))):
        pass

    said = capsys.readouterr().err
    assert "not remembered" in said
    assert "metrics cannot be written" in said


@pytest.mark.parametrize("time", ["yesterday", "2026-11-27T00:00:00", "0001-01-01T00Z"])
@pytest.mark.parametrize(
    "damage",
    [
        {"since": "TIME"},
        {"tasks": {"drill": {**RUN, "started": "TIME"}}},
        {"tasks": {"drill": {**RUN, "ended": "TIME"}}},
        {"tasks": {"drill": {**RUN, "succeeded": "TIME"}}},
        *({"copies": [{**COPY, name: "TIME"}]} for name in ("success", "verified")),
        {"copies": [{**COPY, "proven": "TIME"}]},
    ],
)
def test_times_that_are_none_are_damage(
    tmp_path: Path,
    damage: dict[str, object],
    time: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = json.dumps({"schema": 1, **damage}).replace("TIME", time)
    store.write(tmp_path / ".compose-ops/runs/shop.json", text)

    assert runs.load(tmp_path, "shop") == runs.Runs()
    assert "shop.json is damaged" in capsys.readouterr().err


def test_damaged_record_is_said_once_and_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = json.dumps({"schema": 1, "since": "yesterday"})
    store.write(tmp_path / ".compose-ops/runs/shop.json", text)

    for _ in range(2):
        with watching(watch(tmp_path, metrics=MetricsTable("."))):
            pass
        said = capsys.readouterr().err

    assert said == ""
    assert list(runs.load(tmp_path, "shop").tasks) == ["backup"]


def test_metrics_are_readable_whatever_the_umask_is(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        with watching(watch(tmp_path, metrics=MetricsTable("."))):
            pass
    finally:
        os.umask(before)

    (file,) = tmp_path.glob("*.prom*")
    assert file.name == "compose-ops-shop.prom"
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert (
        'compose_ops_task_exit_code{project="shop",task="backup"} 0.0'
        in file.read_text()
    )


def test_sender_starts_in_any_folder(
    tmp_path: Path, server: SmallServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module of the project's folder cannot take the place of one of ours."""
    (tmp_path / "json.py").write_text("raise SystemExit('shadowed')")
    monkeypatch.chdir(tmp_path)

    assert Delivery(pings=[Ping(f"http://127.0.0.1:{server.port}/")]).finish() == []


def test_file_of_urls_that_others_can_read_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "urls").write_text("json://host/token-of-mine\n")
    (tmp_path / "urls").chmod(0o644)

    assert delivery.urls_in(tmp_path / "urls") == ["json://host/token-of-mine"]
    assert "open to others" in capsys.readouterr().err
    assert "token-of-mine" not in redaction.clean("at json://host/token-of-mine")
