"""Only what .dockerignore names gets into the application's image."""

import shutil
from pathlib import Path

import pytest
from e2e_scenario import docker
from own_images import app_image
from repository import ROOT

pytestmark = pytest.mark.docker

MARKER = "planted-a1f4c0d9"
ENTERS = ("config", "jimbot")
IGNORED = (
    *(".env", ".git/config", ".compose-ops/journal", ".venv/lib/secret.py"),
    *("backups/archive", "certs/app/key.pem", "secrets/db_password.txt"),
    *("docker/services/app/notes.txt", "docker/standins/secret", "docker/secret"),
    *("jimbot/__pycache__/secret.pyc", "jimbot/deep/__pycache__/secret.pyc"),
    *("new-folder/secret.py", "new-file"),
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a copy of what the build needs, with the marker wherever it may be."""
    for name in (".dockerignore", "config", "docker/services/app", "jimbot"):
        source, target = ROOT / name, tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy(source, target)
    folders = [entry.name for entry in ROOT.iterdir() if entry.is_dir()]
    ignored = [f"{name}/planted" for name in folders if name not in ENTERS]
    for name in (*IGNORED, *ignored):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(MARKER)
    return tmp_path


def test_nothing_enters_but_what_is_named(checkout: Path) -> None:
    """No file of the image holds the marker that every other folder holds."""
    (checkout / "jimbot/planted.py").write_text(MARKER)
    places = ("/app", "/etc", "/home", "/opt", "/root", "/srv", "/tmp", "/var")
    with app_image(context=checkout) as image:
        command = ("grep", "-rls", MARKER, *places)
        run = ("run", "--rm", "--user", "root", image)
        found = docker(*run, "sh", "-c", f"{' '.join(command)} || true").split()
        entered = docker(*run, "find", "/app", "-type", "f").split()

    assert found == ["/app/jimbot/planted.py"]
    folders = {Path(name).relative_to("/app").parts[0] for name in entered}
    assert folders == {"config", "docker", "jimbot"}
    assert {name for name in entered if name.startswith("/app/docker")} == {
        "/app/docker/services/app/requirements-dev.txt",
        "/app/docker/services/app/requirements.txt",
    }
