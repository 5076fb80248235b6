"""Sets in a restic repository keep what sets in a folder keep, on the real engine."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_scenario import Scenario, created, docker
from notes_site import assert_whole, count, started, write
from test_backup import KINDS, LOOK

from compose_ops.backup import helper_tag

pytestmark = pytest.mark.docker

NEAR = """
[destinations.near]
repository = "repository"
"""


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    """Return a project with the notes whose only destination is a repository."""
    scenario = created(tmp_path_factory.mktemp("checkout"))
    with (scenario.root / "compose-ops.toml").open("a") as file:
        file.write(NEAR)
    try:
        scenario.invoke("init")
        yield started(scenario)
    finally:
        scenario.remove()


def restic(scenario: Scenario, *words: str) -> str:
    """Run restic by hand on the repository, as anybody with its password may."""
    root = scenario.root
    mounts = [
        *("-v", f"{root}/repository:/repository"),
        *("-v", f"{password(scenario)}:/password:ro"),
    ]
    return docker(
        *("run", "--rm", "--network", "none", "--entrypoint", "restic", *mounts),
        *(
            "-e",
            "RESTIC_REPOSITORY=/repository",
            "-e",
            "RESTIC_PASSWORD_FILE=/password",
        ),
        *(helper_tag.repository_image(), "--no-cache", *words),
    )


def password(scenario: Scenario) -> Path:
    return scenario.root / "secrets/near.restic"


def test_set_in_a_repository_is_written_verified_restored_and_proven(
    notes: Scenario,
) -> None:
    """Every kind of file comes back, and nothing of another's is touched."""
    assert password(notes).stat().st_mode & 0o777 == 0o600
    write(notes, 5)
    notes.execute("notes", "python3", "-c", KINDS)
    notes.execute("notes", "sh", "-c", "chown 77:78 /data; chmod 2751 /data")
    before = notes.execute("notes", "python3", "-c", LOOK)

    made = notes.json("backup", "--service", "notes")

    assert made["encrypted"]
    assert made["stores"][0]["count"] == [5, 5]
    (written,) = notes.json("backups")["sets"]
    assert (written["verified"], written["written"], written["fault"]) == (
        None,
        True,
        "",
    )
    restic(notes, "backup", "--tag", "theirs", "/etc/hostname")
    notes.invoke("verify")
    assert notes.json("backups")["sets"][0]["verified"]
    write(notes, 3)
    notes.invoke("restore", "--service", "notes", "--yes")
    assert count(notes) == 5
    assert before == notes.execute("notes", "python3", "-c", LOOK)
    top = notes.execute("notes", "stat", "-c", "%u:%g %a", "/data").strip()
    assert top == "77:78 2751"
    assert notes.json("drill")["proven"]
    second = notes.json("backup", "--service", "notes")
    assert second["size"] < 64 << 10
    notes.invoke("verify", "--set", second["id"])
    removed = notes.json("prune", "--keep-last", "1", "--yes")["removed"]
    assert removed == [made["id"]]
    assert [one["id"] for one in notes.json("backups")["sets"]] == [second["id"]]
    assert "theirs" in restic(notes, "snapshots")
    assert_whole(notes)


def test_what_is_wrong_with_a_repository_gets_one_line_and_one_repair(
    notes: Scenario,
) -> None:
    """A wrong password, a folder that is gone, a password that others can read."""
    file, folder = password(notes), notes.root / "repository"
    right = file.read_text()
    file.write_text("another")
    wrong = notes.invoke("backups", code=7).stderr
    file.write_text(right)
    assert "password of the repository near is wrong" in wrong
    assert str(file) in wrong
    file.chmod(0o644)
    assert "chmod 600" in notes.invoke("verify", code=3).stderr
    file.chmod(0o600)
    folder.rename(folder.with_name("elsewhere"))
    assert "is gone" in notes.invoke("backup", "--service", "notes", code=7).stderr
    assert not folder.exists()
    folder.with_name("elsewhere").rename(folder)
    flags = ("backup", "--service", "notes")
    assert "--gzip is not for" in notes.invoke(*flags, "--gzip", code=2).stderr
    assert_whole(notes)


def test_flipped_bit_is_found_and_such_a_set_is_not_restored(notes: Scenario) -> None:
    write(notes, 100_000)
    made = notes.json("backup", "--service", "notes")
    packs = [p for p in (notes.root / "repository/data").rglob("*") if p.is_file()]
    newest = max(packs, key=lambda pack: pack.stat().st_size)
    data = bytearray(newest.read_bytes())
    data[len(data) // 3] ^= 1
    newest.chmod(0o600)
    newest.write_bytes(data)

    notes.invoke("verify", "--set", made["id"], code=7)

    found = {one["id"]: one for one in notes.json("backups")["sets"]}
    assert not found[made["id"]]["verified"]
    notes.invoke("restore", "--service", "notes", "--set", made["id"], "--yes", code=7)
    assert_whole(notes)
