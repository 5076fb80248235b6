"""A marker that is planted wherever a project keeps a secret is found nowhere."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from compose_ops import redaction
from compose_ops.console import say, show
from compose_ops.project import secrets
from compose_ops.redaction import clean_tree


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
