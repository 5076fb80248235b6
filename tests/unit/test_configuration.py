"""`compose-ops.toml`: what it may hold, and how a mistake in it is told."""

from pathlib import Path

import pytest
from repository import ROOT

from compose_ops.config import Config, load, reference
from compose_ops.errors import ConfigurationError


def config(folder: Path, text: str) -> Config:
    (folder / "compose-ops.toml").write_text(text)
    return load(folder)


def test_everything_has_a_default(tmp_path: Path) -> None:
    """No file, and an empty one, are the same."""
    assert load(tmp_path) == config(tmp_path, "") == Config(folder=tmp_path)


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("fils = []", "there is no key fils", "did you mean files?"),
        ("[backup]\ndest = 'x'", "backup.dest", "destination, helper_base"),
        ("[modes.dev]\nfile = []", "modes.dev.file", "did you mean files?"),
        ("files = 'compose.yaml'", "files is 'compose.yaml', not a list", ""),
        ("[modes.dev]\ngpu = 1", "modes.dev.gpu is 1, not true or false", ""),
        ("[overlays.a]\nwhen = 'nogpu'", "overlays.a.when is 'nogpu'", "no-gpu"),
        ("[stores.db]\nvolume = 'x'", "stores.db.volume", "did you mean volumes?"),
        ("[rollout.web]\nprt = 1", "rollout.web.prt", "did you mean port?"),
        ("version = 2", "version is 2, this release reads version 1", "install"),
        ("files = ['a.yml']", "files names a.yml, which is not there", "relative"),
        ("[init]\nregistry_mode = 'off'", "there is no key modes.off", ""),
        ("files = [", "cannot be read", "TOML"),
    ],
)
def test_mistake_is_named_with_file_and_key(
    tmp_path: Path, text: str, said: str, hint: str
) -> None:
    """And with the nearest key that there is."""
    with pytest.raises(ConfigurationError) as refused:
        config(tmp_path, text)

    assert str(tmp_path / "compose-ops.toml") in refused.value.message
    assert said in refused.value.message
    assert hint in refused.value.hint


def test_what_belongs_to_a_service_is_read_as_its_labels(tmp_path: Path) -> None:
    """Lists, numbers and booleans become the text that a label would have."""
    text = """
    [stores.db]
    volumes = ["pg_data", "pg_wal"]
    clean-exits = [0, 143]
    native.exclude = "*.tmp"
    [rollout.web]
    port = 8000
    gateway = "front"
    """

    assert config(tmp_path, text).service_settings == {
        "db": {
            "compose-ops.data.volumes": "pg_data pg_wal",
            "compose-ops.backup.clean-exits": "0 143",
            "compose-ops.backup.native.exclude": "*.tmp",
        },
        "web": {
            "compose-ops.rollout.port": "8000",
            "compose-ops.rollout.gateway": "front",
        },
    }


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    found = config(tmp_path, '[backup]\ndestination = "../sets"')

    assert found.destination == tmp_path.parent / "sets"


def test_page_of_the_reference_is_current() -> None:
    """`python -m compose_ops.config.reference` writes it from the schema."""
    assert (ROOT / reference.PAGE).read_text() == reference.page()
