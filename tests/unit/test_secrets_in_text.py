"""A marker that is planted wherever a project keeps a secret is found nowhere."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from fakes import EPOCH, FakeEngine, container

from compose_ops import redaction
from compose_ops.cli.task import emit
from compose_ops.composition import OPERATIONS
from compose_ops.config import Config
from compose_ops.config.schema import DestinationTable
from compose_ops.console import say, show, table
from compose_ops.docker.api import Mount, Probe
from compose_ops.doctor.checks.containers import symptom
from compose_ops.errors import ConfigurationError
from compose_ops.lint.output import refused
from compose_ops.project import secrets
from compose_ops.project.modes import Mode
from compose_ops.redaction import clean, clean_tree
from compose_ops.runtime.context import StackContext
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


def test_mounted_secret_of_a_container_is_learned(tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_text("marker-mounted")
    mount = Mount(
        "bind", "", str(tmp_path / "old.txt"), "/run/secrets/db", writable=False
    )

    secrets.learn_container(container(mounts=(mount,)))

    assert "marker" not in clean("marker-mounted")


@pytest.mark.parametrize("more", ["", "\tno: [yaml"])
def test_secrets_of_files_that_are_not_valid_are_learned(
    tmp_path: Path, more: str
) -> None:
    (tmp_path / "kept").mkdir()
    for name in ("one", "two", "three", "plain"):
        (tmp_path / "kept" / f"{name}.txt").write_text(f"marker-{name}\n")
    file = tmp_path / "compose.yml"
    file.write_text(f"""
services:
  app:
    imag: app
    extends: {{file: kept/plain.txt}}
    environment:
      DB_PASSWORD: marker-four
{more}
secrets:
  one:
    file: ./kept/one.txt  # here
  two: {{file: "${{PLACE:-./kept}}/two.txt"}}
# and another one
  three: {{file: $KEPT/three.txt}}
configs:
  nginx:
    file: kept/plain.txt
""")

    secrets.learn_stated([file], tmp_path, {"KEPT": "kept"})

    said = "marker-one marker-two marker-three marker-four marker-plain"
    assert clean(said) == " ".join(["[redacted]"] * 4 + ["marker-plain"])


def test_stack_learns_what_it_is_given_beside_its_model(tmp_path: Path) -> None:
    """Variables of `.env`, files of repositories, and files that are not valid."""
    (tmp_path / "db.txt").write_text("marker-file")
    (tmp_path / "far.restic").write_text("marker-restic")
    (tmp_path / "far.env").write_text("AWS_SECRET_ACCESS_KEY=marker-s3\n")
    (tmp_path / "far.key").write_text("-----BEGIN KEY-----\nmarker-ssh\n-----END\n")
    compose = tmp_path / "compose.yml"
    compose.write_text("secrets:\n  db: {file: db.txt}\nservices: []\n")
    table = DestinationTable(
        repository="s3:x",
        password_file="far.restic",
        credentials_file="far.env",
        key_file="far.key",
    )
    engine = Mock()
    stack = StackContext(
        root=tmp_path,
        project="trial",
        mode=Mode(files=(compose,)),
        engine=engine,
        everyone=(),
        started_as=None,
        variables={"NPM": "marker-variable"},
        config=Config(folder=tmp_path, destinations={"far": table}),
        merged={"services": {}, "secrets": {"npm": {"environment": "NPM"}}},
        collaborators=OPERATIONS,
    )
    said = "marker-restic marker-s3 marker-ssh"
    assert clean(said) == "[redacted] [redacted] [redacted]"

    assert stack.model.services == {}
    assert clean("marker-variable") == "[redacted]"

    engine.model = Mock(side_effect=ConfigurationError("not valid", hint=""))
    with pytest.raises(ConfigurationError):
        _ = replace(stack, merged=None).model
    assert clean("marker-file") == "[redacted]"


def test_password_inside_a_script_or_a_config_is_learned() -> None:
    model = {
        "services": {
            "cache": {
                "command": ["sh", "-c", "redis-server --requirepass marker-script"],
                "healthcheck": {"test": ["CMD", "redis-cli", "-a", "marker-check"]},
            }
        },
        "configs": {"app": {"content": "host: database\npassword: marker-config"}},
    }
    secrets.learn(model)

    said = "database marker-script marker-check marker-config"
    assert clean(said) == "database [redacted] [redacted] [redacted]"


@pytest.mark.parametrize("form", ["json", "sarif"])
def test_lint_prints_json_without_secrets(form: str) -> None:
    error = ConfigurationError('password="hunter2 x"', hint="")

    text = refused(error, form)

    assert "hunter2" not in text
    assert "password=[redacted]" in str(json.loads(text))
