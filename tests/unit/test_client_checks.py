"""The docker client of this user: builder and credential helpers, as they are set."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from judging import judge

from compose_ops.doctor.facts.client import (
    Builder,
    parse_builder,
    read_client_config,
)
from compose_ops.verdicts import Row

INSPECTED = """\
Name:          multi
Driver:        docker-container
Last Activity: 2026-11-27 22:00:09 +0000 UTC

Nodes:
Name:             multi0
Endpoint:         unix:///var/run/docker.sock
"""


def test_builder_is_named_before_its_nodes() -> None:
    assert parse_builder(INSPECTED) == Builder("multi", "docker-container")


def written(folder: Path, text: str) -> dict[str, str]:
    (folder / "config.json").write_text(text)
    return {"DOCKER_CONFIG": str(folder), "PATH": str(folder)}


def row(environment: dict[str, str]) -> Row:
    config = read_client_config(environment)
    return judge("credential-helpers", client_config=config)


def test_helper_that_is_not_installed_is_named(tmp_path: Path) -> None:
    found = row(written(tmp_path, '{"credsStore": "desktop"}'))

    assert found.outcome == "fail"
    assert "docker-credential-desktop, which is not installed" in found.detail


def test_helper_of_one_registry_is_a_warning(tmp_path: Path) -> None:
    found = row(written(tmp_path, '{"credHelpers": {"registry.example": "gcr"}}'))

    assert found.outcome == "warn"
    assert "registry.example" in found.detail


@pytest.mark.parametrize(
    "stated",
    [
        {"credsStore": "gone", "auths": {"a": {}}},
        {"credHelpers": {"a": "gone", "b": "here"}, "auths": {}},
    ],
)
def test_repair_takes_out_that_helper_and_nothing_else(
    tmp_path: Path, stated: dict[str, object]
) -> None:
    helper = tmp_path / "docker-credential-here"
    helper.touch(mode=0o755)
    environment = written(tmp_path, json.dumps(stated))
    subprocess.run(["sh", "-c", row(environment).repair], check=True)

    after = json.loads((tmp_path / "config.json").read_text())
    assert row(environment).outcome == "ok"
    assert after["auths"] == stated["auths"]
    assert "gone" not in json.dumps(after)
    if "credHelpers" in stated:
        assert after["credHelpers"] == {"b": "here"}


def test_file_that_is_no_json_is_named(tmp_path: Path) -> None:
    found = row(written(tmp_path, "{"))

    assert found.outcome == "fail"
    assert "not valid JSON" in found.detail


def test_client_without_configuration_is_well(tmp_path: Path) -> None:
    found = row({"DOCKER_CONFIG": str(tmp_path), "PATH": os.environ["PATH"]})

    assert found.outcome == "ok"
