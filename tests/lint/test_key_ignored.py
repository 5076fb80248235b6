"""`update_config` is read where the project has set up the rolling update."""

from compose_ops.project.labels import with_labels


def test_labels_of_the_configuration_stand_beside_those_of_the_files() -> None:
    """The files have precedence, as they have where tasks read labels."""
    model = {"services": {"web": {"labels": {"a": "file"}}, "db": {}}}

    found = with_labels(model, {"web": {"a": "toml", "compose-ops.rollout.port": "80"}})

    assert found["services"] == {
        "web": {"labels": {"a": "file", "compose-ops.rollout.port": "80"}},
        "db": {"labels": {}},
    }
