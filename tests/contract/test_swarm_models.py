"""Every combination of the project's files goes to Swarm, or is refused by name."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest
from compose_models import rendered
from docker_schemas import stack_schema
from repository import ROOT, own_modes

from compose_ops.errors import ConfigurationError
from compose_ops.project.model import Model
from compose_ops.project.modes import Mode
from compose_ops.swarm.stackfile import Source, SourceFile, StackFile
from compose_ops.swarm.translate import translate

pytestmark = pytest.mark.compose

OFFLINE = {
    "prod+swarm+offline": own_modes().select(["prod", "offline", "swarm"]),
}
ALONE = {n: m for n, m in own_modes().combinations() if m.swarm or not m.overlays}
MODES = {**ALONE, **OFFLINE}
# What they ask for no node can give: a runtime, and a tmpfs of another user.
NOT_FOR_SWARM = {"gpu-runtime", "ray-tmpfs"}


class Sources(dict[str, Source]):
    """Every path is a file that all may read."""

    def __missing__(self, path: str) -> Source:
        return Source((SourceFile(Path(path), "", "0" * 64),))

    def get(self, path: str, default: Any = None) -> Any:
        del default
        return self[path]


def translated(mode: Mode) -> StackFile:
    files = [str(file.relative_to(ROOT)) for file in mode.files]
    model = rendered(files, root=ROOT)
    return translate(Model(model), images={}, sources=Sources())


def valid(made: StackFile) -> bool:
    """Say whether Docker's own schema takes it."""
    jsonschema.Draft4Validator(stack_schema()).validate(made.content)
    return True


@pytest.mark.parametrize("name", MODES)
def test_each_combination_is_translated_or_refused(name: str) -> None:
    """What is for Swarm is taken; what is for one machine says why it is not."""
    mode = MODES[name]
    if mode.swarm and not NOT_FOR_SWARM.intersection(mode.overlays):
        assert valid(translated(mode))
        return
    with pytest.raises(ConfigurationError) as refused:
        translated(mode)
    assert refused.value.detail


def test_what_is_lost_is_what_the_document_says() -> None:
    """A new loss of the project's files is a decision, not an accident."""
    lost = {loss.key for loss in translated(MODES["prod+swarm+offline"]).losses}

    assert lost == {
        *("container_name", "depends_on", "restart", "security_opt"),
    }
