"""`update_config` is read where the project has set up the rolling update."""

from pathlib import Path

import pytest

from compose_ops.library.linting import lint
from compose_ops.library.opening import Selection
from compose_ops.project.labels import with_labels

COMPOSE = """\
services:
  web:
    image: shop/web:1.4
    deploy:
      update_config: {order: start-first}
"""


@pytest.mark.compose
@pytest.mark.parametrize(
    ("configuration", "found"),
    [
        ("version = 1\n", ["services.web.deploy.update_config"]),
        ("version = 1\n[rollout.web]\nport = 8000\n", []),
        (
            "version = 1\n[rollout.other]\nport = 8000\n",
            ["services.web.deploy.update_config"],
        ),
    ],
    ids=["without", "of the service", "of another service"],
)
def test_rollout_of_the_configuration_counts(
    tmp_path: Path, configuration: str, found: list[str]
) -> None:
    """A label in a compose file would; so does the table that stands for it."""
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    (tmp_path / "compose-ops.toml").write_text(configuration)

    report = lint(Selection(tmp_path), rules=["key-ignored"])

    assert [finding.path for finding in report.findings] == found


def test_labels_of_the_configuration_stand_beside_those_of_the_files() -> None:
    """The files have precedence, as they have where tasks read labels."""
    model = {"services": {"web": {"labels": {"a": "file"}}, "db": {}}}

    found = with_labels(model, {"web": {"a": "toml", "compose-ops.rollout.port": "80"}})

    assert found["services"] == {
        "web": {"labels": {"a": "file", "compose-ops.rollout.port": "80"}},
        "db": {"labels": {}},
    }
