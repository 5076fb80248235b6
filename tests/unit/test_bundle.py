"""A bundle holds what explains a failure, for its owner alone, and no secret."""

import json
import stat
import tarfile
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from fakes import FakeEngine, container

import compose_ops
from compose_ops import redaction
from compose_ops.docker.api import Output
from compose_ops.doctor import bundle
from compose_ops.doctor.collect import Collected
from compose_ops.doctor.run import Report
from compose_ops.errors import EngineError, EngineUnavailable, UsageError
from compose_ops.project.model import Model
from compose_ops.verdicts import Row, fail

MARKER = "mark3r+of/a&secret"
ENV = "env-mark3r-0001"
LABEL = "label-mark3r-0002"
FLAG = "flag-mark3r-0003"
URL = "url-mark3r-0004"
OLD = "old-mark3r-0005"
MARKERS = (MARKER, ENV, LABEL, FLAG, URL, OLD)


class Engine(FakeEngine):
    """An engine whose containers say in their logs what they should not."""

    def logs(self, name: str, *, tail: int = 20) -> str:
        coded = b64encode(f"user:{MARKER}".encode()).decode()
        return f"{name} {tail}\nlogin {MARKER} {quote(MARKER, safe='')} {coded} {OLD}\n"

    def volumes(self, *, project: str | None = None) -> tuple[Any, ...]:
        raise EngineError(f"docker refused {project}", hint="")

    def networks(self, *, project: str | None = None) -> tuple[Any, ...]:
        assert project == "trial"
        return ()

    def docker(self, *_words: str, timeout: float) -> Output:
        assert timeout
        return Output(0, '{"Type": "Images", "Size": "1GB"}\n', "")


def inspected() -> dict[str, Any]:
    """Return a container with a password that the files no longer name."""
    return {
        "Config": {
            "Env": [f"REDIS_PASS={OLD}", "PATH=/bin", f"DATABASE=db://me:{URL}@db/x"],
            "Labels": {"proxy.token": LABEL},
            "Cmd": ["serve", "--password", FLAG],
            "Healthcheck": {"Test": ["CMD", "ask", f"--api-key={FLAG}"]},
        }
    }


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    left = SimpleNamespace(
        kind="backup", step="copy", age=60.0, services=("app",), problem=""
    )
    monkeypatch.setattr("compose_ops.state.recovery.pending", lambda _stack: [left])
    monkeypatch.setattr(bundle, "collect_facts", lambda *_: Collected({"disks": ()}))
    redaction.learn(MARKER, key="db_password")
    service = {"environment": {"APP_PASSWORD": ENV}, "image": "app:1"}
    running = container("app", raw=inspected())
    yield SimpleNamespace(
        root=tmp_path,
        project="trial",
        mode="base",
        engine=Engine(),
        info=SimpleNamespace(version="26.1.5", raw={"HttpProxy": f"http://u:{URL}@p"}),
        plugins={"compose": "2.26.1"},
        model=Model({"name": "trial", "services": {"app": service}}),
        containers=(running,),
        one_offs=(),
    )
    redaction.forget()


def report() -> Report:
    row = Row("env-file", "settings", (fail(f"{MARKER} is odd", "mend it"),))
    return Report("trial", "base", (row,))


def unpacked(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        files = {member: archive.extractfile(member) for member in archive}
        return {m.name: file.read() for m, file in files.items() if file is not None}


def test_bundle_holds_what_explains_a_failure(stack: Any, tmp_path: Path) -> None:
    made = bundle.collect(stack, report(), tmp_path / "report.tar.gz")
    made.write()

    files = unpacked(made.path)
    assert {name.partition("/")[2] for name in files} == set(made.sizes)
    assert set(made.sizes) == {
        *("containers/trial-app.json", "logs/trial-app.txt", "missing.json"),
        *("disks.json", "doctor.json", "engine.json", "journals.json", "model.json"),
        *("networks.json", "versions.json"),
    }
    journal = json.loads(files["report/journals.json"])[0]
    assert (journal["kind"], journal["step"], journal["age"]) == ("backup", "copy", 60)
    assert json.loads(files["report/disks.json"])["engine"][0]["Size"] == "1GB"
    assert json.loads(files["report/doctor.json"])["checks"][0]["id"] == "env-file"
    assert str(bundle.LOG_LINES) in files["report/logs/trial-app.txt"].decode()


def test_what_cannot_be_had_is_named(stack: Any, tmp_path: Path) -> None:
    made = bundle.collect(stack, report(), tmp_path / "report.tar.gz")

    missing = json.loads(made.files["missing.json"])
    assert missing == {"volumes.json": "docker refused trial"}


def test_no_secret_is_in_any_file_in_any_form(stack: Any, tmp_path: Path) -> None:
    """Also not one that only a container of an earlier version was created with."""
    made = bundle.collect(stack, report(), tmp_path / "report.tar.gz")
    made.write()

    text = "\n".join(content.decode() for content in unpacked(made.path).values())
    forms = {form for m in MARKERS for form in (m, quote(m, safe=""), json.dumps(m))}
    assert [form for form in forms if form in text] == []
    assert b64encode(f"user:{MARKER}".encode()).decode()[8:-4] not in text
    assert text.count(redaction.MASK) > len(MARKERS)


def test_secret_that_is_a_number_keeps_a_file_json(stack: Any, tmp_path: Path) -> None:
    redaction.learn("67108864", key="pin")
    stack.info.raw["ShmSize"] = 67108864

    made = bundle.collect(stack, report(), tmp_path / "report.tar.gz")

    assert json.loads(made.files["engine.json"])["ShmSize"] == redaction.MASK


def test_own_versions_are_there_without_an_engine(stack: Any, tmp_path: Path) -> None:
    class Unreachable(SimpleNamespace):
        @property
        def info(self) -> Any:
            raise EngineUnavailable("no engine answers", hint="")

    del stack.info
    silent: Any = Unreachable(**vars(stack))

    made = bundle.collect(silent, report(), tmp_path / "report.tar.gz")

    versions = json.loads(made.files["versions.json"])
    assert versions["compose-ops"] == compose_ops.__version__
    assert versions["engine"] == ""
    assert json.loads(made.files["missing.json"])["engine.json"] == "no engine answers"


def test_bundle_is_for_its_owner_alone(stack: Any, tmp_path: Path) -> None:
    made = bundle.collect(stack, report(), tmp_path / "report.tar.gz")
    assert list(tmp_path.iterdir()) == []

    made.write()

    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [made.path]


@pytest.mark.parametrize("name", ["there.tar.gz", "gone/new.tar.gz"])
def test_place_that_cannot_be_written_is_refused_before_anything_is_read(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "there.tar.gz").write_text("mine")
    nothing: Any = None

    with pytest.raises(UsageError, match="cannot be written"):
        bundle.collect(nothing, report(), tmp_path / name)
    assert (tmp_path / "there.tar.gz").read_text() == "mine"


def test_file_that_was_made_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    made = bundle.Bundle(tmp_path / "b.tar.gz", {"a": b"1"})
    made.path.write_text("mine")

    with pytest.raises(UsageError):
        made.write()
    assert made.path.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [made.path]
