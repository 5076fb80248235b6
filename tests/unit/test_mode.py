"""Which files a mode means, and reading it back from Compose's labels."""

from itertools import product
from pathlib import Path

import pytest

from compose_ops.docker.api import DIRECTORY_LABEL, FILES_LABEL
from compose_ops.errors import UsageError
from compose_ops.project.modes import STAGES, Mode, check_overlays, from_labels
from compose_ops.project.paths import ROOT

MODES = [
    Mode(stage, offline, gpu, overlays)
    for stage, (offline, gpu), overlays in product(
        STAGES, ((False, False), (False, True), (True, False)), ((), ("ray-tmpfs",))
    )
]


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_labels_give_the_mode_back(mode: Mode) -> None:
    """What Compose writes on a container is enough to find the mode again."""
    root = Path("/srv/checkout")
    files = ",".join(str(root / file) for file in mode.files())

    directory, found = from_labels({DIRECTORY_LABEL: str(root), FILES_LABEL: files})

    assert (root, mode) == (directory, found)


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_every_file_of_a_mode_exists(mode: Mode) -> None:
    """A mode that a task can select has all its files."""
    assert [file for file in mode.files() if not (ROOT / file).is_file()] == []


def test_offline_comes_after_the_stage() -> None:
    """The stand-ins replace what a stage adds, so their overlay is read later."""
    files = Mode("prod", offline=True).files()

    assert files.index("docker-compose.prod.yml") < files.index(
        "docker/overlays/offline.yml"
    )


def test_unknown_overlay_is_refused_with_the_known_ones() -> None:
    """A typing error in --overlay names what there is."""
    with pytest.raises(UsageError) as refused:
        check_overlays(("ray-tmpsf",), ROOT)

    assert "ray-tmpfs" in refused.value.hint
