"""`down` removes what it announced: no more, no less, and nothing of others."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from fakes import FakeEngine, container, volume

from compose_ops.docker.api import Mount, Volume
from compose_ops.errors import ConfigurationError
from compose_ops.project.model import Model
from compose_ops.stack import down, removals

ANONYMOUS = "ab" * 32


def mounted(source: str, **changes: Any) -> Any:
    return container(mounts=(Mount("volume", source, "", "/data", True),), **changes)  # noqa: FBT003


def stack(*containers: Any, labelled: tuple[str, ...] = (), **there: Any) -> Any:
    volumes = {name: volume(name) for name in (*labelled, *there.get("unlabelled", ()))}
    model = Model(
        {
            "name": "trial",
            "services": {"app": {}},
            "volumes": {
                "data": {"name": "trial_data"},
                "shared": {"name": "company", "external": True},
            },
        }
    )

    def listed(*, project: str | None = None) -> tuple[Volume, ...]:
        assert project == "trial"
        return tuple(replace(volumes[name]) for name in labelled)

    return SimpleNamespace(
        project="trial",
        root=Path("/trial"),
        model=model,
        everyone=containers,
        containers=[c for c in containers if c.project == "trial" and not c.is_one_off],
        one_offs=[c for c in containers if c.project == "trial" and c.is_one_off],
        engine=SimpleNamespace(volumes=listed, volume=volumes.get),
    )


def test_volume_made_by_hand_is_announced_too() -> None:
    """Compose would remove it by its name, without its label."""
    found = removals.plan(stack(unlabelled=("trial_data",)), volumes=True)

    assert found.volumes == ("trial_data",)


def test_volume_of_a_service_that_is_gone_is_announced() -> None:
    found = removals.plan(stack(labelled=("trial_old",)), volumes=True)

    assert found.volumes == ("trial_old",)


def test_anonymous_volume_is_announced_and_external_one_stays() -> None:
    own = mounted(ANONYMOUS)
    there = stack(own, mounted("company"), unlabelled=("company",))

    assert removals.plan(there, volumes=True).volumes == (ANONYMOUS,)


def test_without_volumes_no_data_goes() -> None:
    found = removals.plan(stack(mounted("trial_data")), volumes=False)

    assert found.steps() == ["remove container trial-app"]


def test_container_of_compose_run_is_announced() -> None:
    one_off = container("tool", labels={"com.docker.compose.oneoff": "True"})

    found = removals.plan(stack(one_off), volumes=False)

    assert found.containers == ("trial-tool",)


def test_volume_that_another_project_mounts_is_refused() -> None:
    other = mounted("trial_data", project="elsewhere", name="elsewhere-db-1")
    there = stack(other, unlabelled=("trial_data",))

    with pytest.raises(ConfigurationError, match="elsewhere-db-1"):
        removals.plan(there, volumes=True)


@pytest.fixture
def composed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a stack with containers of a profile that is not active."""
    one_off = {"com.docker.compose.oneoff": "True"}
    passing = {"HostConfig": {"AutoRemove": True}}
    foreign = container("debug", id="id-other", name="x-debug", project="elsewhere")
    there = [
        container("app"),
        container("debug"),
        container("tool", labels=one_off, raw=passing),
        foreign,
    ]
    made = stack(*there)
    made.engine = engine = FakeEngine(there)
    engine.down = lambda **_: engine.done.append(("down",))  # type: ignore[attr-defined]
    made.dry, made.collaborators = False, Mock()
    made.refresh = lambda: engine.containers(project="trial")
    monkeypatch.setattr(down, "exclusive", lambda *_, **__: nullcontext())
    return made


def test_container_of_an_inactive_profile_is_removed_as_announced(
    composed: Any,
) -> None:
    """Compose keeps it; what was run with --rm removes itself when it is stopped."""
    down.down(composed)

    assert composed.engine.done == [
        ("stop", ("id-debug", "id-tool"), None),
        ("remove", ("id-debug",), True),
        ("down",),
    ]
