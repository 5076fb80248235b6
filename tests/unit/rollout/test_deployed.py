"""What updates deployed, and the compose file that makes later tasks keep it."""

from pathlib import Path

from compose_ops.rollout import journal
from compose_ops.rollout.deployments import (
    KEPT,
    Deployed,
    Deployment,
    RetainedImage,
    after_update,
    forget_names,
    override,
    read,
    write,
)


def kept(number: int) -> RetainedImage:
    return RetainedImage(
        tag=f"kept-{number}", id=f"sha256:{number}", name=f"app:{number}"
    )


def test_nothing_deployed_needs_no_override(tmp_path: Path) -> None:
    """No file is there, and none is written for a history alone."""
    assert read(tmp_path) == Deployed()

    write(tmp_path, Deployed({"app": Deployment(previous=(kept(1),))}))
    assert not (tmp_path / "deployed.yml").exists()
    assert read(tmp_path).of("app").previous == (kept(1),)


def test_a_deployed_image_replaces_image_and_build(tmp_path: Path) -> None:
    """Later tasks neither build over it nor go back to the files' image."""
    wanted = Deployed({"app": Deployment(image="kept-2", name="app:2")})
    write(tmp_path, wanted)

    assert override(wanted).splitlines() == [
        "services:",
        "  app:",
        "    image: kept-2",
        "    build: !reset null",
    ]
    assert read(tmp_path) == wanted
    assert len(wanted.notes()) == 1
    for file in tmp_path.iterdir():
        assert file.stat().st_mode & 0o777 == 0o600


def test_names_come_back_when_all_containers_are_gone(tmp_path: Path) -> None:
    """The override for a fixed name ends with the container that it was for."""
    write(tmp_path, Deployed({"store": Deployment(nameless=True)}))
    assert "container_name: !reset null" in (tmp_path / "deployed.yml").read_text()

    forget_names(tmp_path)
    assert not (tmp_path / "deployed.yml").exists()


def test_the_last_images_are_kept_once_each() -> None:
    """The oldest is given up; one that served twice is not listed twice."""
    deployment = Deployment()
    given_up: tuple[RetainedImage, ...] = ()
    for number in range(KEPT + 1):
        deployment, given_up = after_update(
            deployment, kept(number), image="x", name="x"
        )
    again, _ = after_update(deployment, kept(3), image="x", name="x")

    assert [k.id for k in given_up] == ["sha256:0"]
    assert len(deployment.previous) == KEPT
    assert [k.id for k in again.previous].count("sha256:3") == 1
    assert again.previous[-1] == kept(3)


def test_a_journal_survives_its_writer(tmp_path: Path) -> None:
    """What was noted is what is read, until it is closed."""
    assert journal.read(tmp_path) is None

    book = journal.Journal(tmp_path / journal.FILE, "app", before=["a", "b"])
    book.places.append(journal.SlotState(old="a", name="app-1", restart="always"))
    book.note("create")
    assert journal.read(tmp_path) == book

    book.close()
    assert journal.read(tmp_path) is None
