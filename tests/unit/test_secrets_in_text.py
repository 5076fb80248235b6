"""A marker that is planted wherever a project keeps a secret is found nowhere."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes import EPOCH, FakeEngine, container

from compose_ops import redaction
from compose_ops.cli.task import emit
from compose_ops.console import say, show, table
from compose_ops.docker.api import Probe
from compose_ops.doctor.checks.containers import symptom
from compose_ops.project import secrets
from compose_ops.redaction import clean_tree
from compose_ops.runtime.health import evidence


@pytest.fixture(autouse=True)
def _nothing_learned() -> Iterator[None]:
    redaction.forget()
    yield
    redaction.forget()


def planted(folder: Path) -> dict[str, object]:
    """Return a model with a marker of its own in each place, and the file of one."""
    (folder / "db.txt").write_text("marker-in-file\n")
    (folder / "keys.json").write_text(json.dumps({"claude": ["marker-in-json"]}))
    return {
        "name": "trial",
        "services": {
            "db": {
                "image": "postgres:16",
                "environment": {
                    "db_password": "marker-lower",
                    "REDIS_PASS": "marker-pass",
                    "PGPASS": "marker-pgpass",
                    "DATABASE_URL": "postgres://me:marker-url@db/x",
                    "POSTGRES_USER": "postgres",
                },
                "command": ["serve", "--password", "marker-flag", "--port=1"],
                "labels": {"token": "marker-label"},
                "build": {"args": {"NPM_TOKEN": "marker-argument"}},
                "healthcheck": {"test": ["CMD", "ping", "-a", "marker-pass"]},
            },
        },
        "secrets": {
            "db": {"file": str(folder / "db.txt")},
            "keys": {"file": str(folder / "keys.json")},
        },
    }


def test_no_secret_of_a_model_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = planted(tmp_path)
    secrets.learn(model)

    text = json.dumps(model)
    show(text)
    say(text + " marker-in-file marker-in-json")

    printed = capsys.readouterr()
    assert "marker-" not in printed.out + printed.err
    assert "postgres:16" in printed.out


def test_config_shows_a_model_without_its_secrets(tmp_path: Path) -> None:
    model = planted(tmp_path)
    secrets.learn(model)
    text = json.dumps(clean_tree(model))

    assert "marker-" not in text
    assert '"POSTGRES_USER": "postgres"' in text
    assert "postgres://me:[redacted]@db/x" in text


def test_task_prints_json_without_its_secrets(
    capsys: pytest.CaptureFixture[str],
) -> None:
    emit({"said": 'password="hunter2 x"', "control": "\x7f"})

    printed = capsys.readouterr().out
    assert json.loads(printed) == {"said": "password=[redacted]", "control": "\x7f"}


def test_secret_is_replaced_before_a_text_is_cut() -> None:
    """What is left of it would be no secret that is known."""
    redaction.learn("marker-" + "s" * 60)
    output = f"{'.' * 100} marker-{'s' * 60} {'.' * 370}"
    ill = container(probes=(Probe(EPOCH, 1, output),))

    engine: Any = FakeEngine()
    assert "sss" not in evidence(engine, ill) + symptom(ill)


def test_secret_is_replaced_before_a_cell_is_folded(
    capsys: pytest.CaptureFixture[str],
) -> None:
    redaction.learn("marker-in-a-cell")

    table("", ["what"], [["x" * 145 + "marker-in-a-cell"]])

    printed = capsys.readouterr().out
    assert "cell" not in printed
    assert "marker" not in printed
