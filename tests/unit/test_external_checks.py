"""What a project uses and does not make must be there before anything is started."""

from typing import Any

from fakes import network
from judging import judge

from compose_ops.project.model import Model
from compose_ops.verdicts import Row

MODEL = Model(
    {
        "name": "trial",
        "services": {
            "web": {
                "networks": {"front": None},
                "volumes": [{"type": "volume", "source": "data", "target": "/data"}],
                "secrets": [{"source": "word"}],
            },
            "other": {"networks": {"unused": None}},
        },
        "networks": {
            "front": {"external": True, "name": "shared"},
            "unused": {"external": True, "name": "unused"},
        },
        "volumes": {"data": {"external": True, "name": "shared_data"}},
        "secrets": {"word": {"external": True, "name": "word"}},
    }
)


def external(**facts: Any) -> Row:
    there = {"networks": (), "external_volumes": frozenset()}
    wanted = {"model": MODEL, "wanted": ("web",)}
    return judge("external-present", **(there | wanted | facts))


def test_what_is_external_and_absent_is_named_with_its_repair() -> None:
    row = external()

    assert [verdict.about for verdict in row.problems] == [
        "network shared",
        "volume shared_data",
        "secret word",
    ]
    assert row.problems[0].repair == "docker network create shared"
    assert row.problems[1].repair == "docker volume create shared_data"


def test_what_is_there_is_well() -> None:
    """Compose itself has no external secret, whatever is there."""
    row = external(
        networks=(network("shared", "10.0.0.0/24"),),
        external_volumes=frozenset({"shared_data"}),
    )

    assert [verdict.about for verdict in row.problems] == ["secret word"]
