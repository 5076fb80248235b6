"""Repositories behind real servers: sftp by OpenSSH, REST and S3 by rclone."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import repository_servers
from e2e_scenario import Scenario, created
from notes_site import assert_whole, count, started, write
from repository_servers import RepositoryServer, bridge
from waiting import eventually

pytestmark = pytest.mark.docker

KINDS = {
    "sftp": repository_servers.sftp,
    "rest": repository_servers.rest,
    "s3": repository_servers.s3,
}
Servers = dict[str, RepositoryServer]
SLOW = 400  # KiB a second
MORE = "dd if=/dev/urandom of=/data/more bs=1M count=2; sync"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with ExitStack() as running:
        yield {
            name: running.enter_context(server(tmp_path_factory.mktemp(name)))
            for name, server in KINDS.items()
        }


@pytest.fixture(scope="module")
def notes(
    tmp_path_factory: pytest.TempPathFactory, servers: Servers
) -> Iterator[Scenario]:
    """Return a project with the notes and a destination on each of the servers."""
    scenario = created(tmp_path_factory.mktemp("checkout"))
    config = scenario.root / "compose-ops.toml"
    config.write_text(config.read_text() + tables(servers))
    try:
        scenario.invoke("init")
        yield started(scenario)
    finally:
        scenario.remove()


def tables(servers: Servers) -> str:
    """Return the destinations; each server is there once at full speed, once slow."""
    at = {name: f"{bridge()}:{server.port}" for name, server in servers.items()}
    data = servers["sftp"].data
    urls = {
        "sftp": f"sftp://root@{at['sftp']}/{data}/",
        "rest": f"rest:http://{at['rest']}/",
        "s3": f"s3:http://{at['s3']}/",
    }
    files = {
        "sftp": f'key_file = "{servers["sftp"].folder}/user_key"\n',
        "rest": "",
        "s3": f'credentials_file = "{servers["s3"].folder}/credentials"\n',
    }
    small = (
        f'\n[destinations.small]\nrepository = "{urls["sftp"]}small/shop"\n'
        f"{files['sftp']}"
    )
    return small + "".join(
        f'\n[destinations.{kind}{end}]\nrepository = "{urls[kind]}shop-{kind}{end}"\n'
        f"{files[kind]}limit_upload = {rate}\n"
        for kind in servers
        for end, rate in (("", 0), ("-slow", SLOW))
    )


def test_server_is_spoken_to_once_its_host_key_was_confirmed(
    notes: Scenario, servers: Servers
) -> None:
    key = servers["sftp"].folder / "host_key.pub"
    told = subprocess.run(
        ["ssh-keygen", "-lf", key], capture_output=True, text=True, check=True
    )
    right = told.stdout.split()[1]

    unknown = notes.invoke("backups", "--dest", "sftp", code=3).stderr
    assert f"invoke destination --trust {bridge()}" in unknown
    trust = ("destination", "--trust", bridge())
    asked = notes.invoke(*trust, code=2).stderr
    assert right in asked
    wrong = notes.invoke(*trust, "--fingerprint", "SHA256:another", code=7).stderr
    assert right in wrong
    assert not (notes.root / "secrets/known_hosts").exists()
    found = notes.json(*trust, "--fingerprint", right)
    assert (found["known_before"], right in found["fingerprints"].values()) == (
        False,
        True,
    )
    assert notes.json(*trust, "--fingerprint", right)["known_before"]
    assert notes.json("backups", "--dest", "sftp")["sets"] == []


@pytest.mark.parametrize("kind", KINDS)
def test_set_behind_a_network_is_verified_and_restored(
    notes: Scenario, servers: Servers, kind: str
) -> None:
    """Nothing of it is readable there; no secret is an argument of a helper."""
    write(notes, 5)
    before = count(notes)

    made = notes.json("backup", "--service", "notes", "--dest", kind)

    notes.invoke("verify", "--dest", kind, "--set", made["id"])
    (kept,) = notes.json("backups", "--dest", kind)["sets"]
    assert (kept["id"], bool(kept["verified"])) == (made["id"], True)
    write(notes, 3)
    notes.invoke("restore", "--service", "notes", "--dest", kind, "--yes")
    assert count(notes) == before
    assert not any(
        b"notes_data" in file.read_bytes()
        for file in servers[kind].data.rglob("*")
        if file.is_file()
    )
    assert_whole(notes)


# restic repeats its requests to these for a minute before it is ended.
PATIENT = [pytest.param(kind, marks=pytest.mark.upgrade) for kind in ("rest", "s3")]


@pytest.mark.parametrize("kind", ["sftp", *PATIENT])
def test_server_that_dies_in_the_middle_loses_nothing_and_is_filled_later(
    notes: Scenario, servers: Servers, kind: str
) -> None:
    """What is here is whole, no part of a set is listed, and a copy completes it."""
    server, dest = servers[kind], f"{kind}-slow"
    notes.execute("notes", "sh", "-c", MORE)
    before = sum(f.stat().st_size for f in server.data.rglob("*") if f.is_file())
    task = notes.begin("backup", "--service", "notes", "--dest", dest)
    eventually(lambda: server.holds(before + 100_000))
    server.kill()
    said = task.communicate(timeout=240)[0]
    assert task.returncode == 7, said
    assert f"but not in {dest}" in said
    assert_whole(notes)

    refused = notes.invoke("backups", "--dest", dest, code=7).stderr
    assert "does not answer" in refused
    server.start()
    assert notes.json("backups", "--dest", dest)["sets"] == []
    (copied,) = notes.json("copy", "--dest", dest)["copied"]
    notes.invoke("verify", "--dest", dest, "--set", copied)


def test_wrong_credentials_are_named_at_once(notes: Scenario, servers: Servers) -> None:
    """And not after the quarter of an hour for which restic repeats its requests."""
    file = servers["s3"].folder / "credentials"
    right = file.read_text()
    file.write_text(right.replace(repository_servers.S3_SECRET, "another"))

    said = notes.invoke("backups", "--dest", "s3", code=7).stderr

    file.write_text(right)
    assert "refuses the credentials" in said
    assert str(file) in said


def test_full_disk_of_a_server_spoils_nothing_here(
    notes: Scenario, servers: Servers
) -> None:
    """It is named as what it is; with room again a copy completes the set."""
    folder = servers["sftp"].data / "small"
    folder.mkdir()
    process = servers["sftp"].process
    assert process is not None
    there = ["nsenter", f"--target={process.pid}", "--mount", "mount"]
    small = [*there, "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    subprocess.run(small, check=True)
    notes.execute("notes", "sh", "-c", MORE)
    words = ("backup", "--service", "notes", "--dest", "small")
    said = notes.invoke(*words, code=7).stderr
    assert "but not in small" in said
    assert_whole(notes)
    subprocess.run([*there, "-o", "remount,size=64m", str(folder)], check=True)
    assert notes.json("copy", "--dest", "small")["copied"]
    assert notes.json("backups", "--dest", "small")["sets"]


def test_password_that_was_rotated_opens_no_more(notes: Scenario) -> None:
    file = notes.root / "secrets/rest.restic"
    first = file.read_text()

    assert "rest" in notes.json("destination", "--rotate", "rest")["rotated"]

    second = file.read_text()
    assert second != first
    assert notes.json("backups", "--dest", "rest")["sets"]
    file.write_text(first)
    wrong = notes.invoke("backups", "--dest", "rest", code=7).stderr
    assert "password of the repository rest is wrong" in wrong
    file.write_text(second)
    assert not list(file.parent.glob("rest.restic.*"))


def test_changed_host_key_is_named_and_nothing_is_sent(
    notes: Scenario, servers: Servers
) -> None:
    server = servers["sftp"]
    server.kill()
    key = server.folder / "host_key"
    key.unlink()
    make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
    subprocess.run(make, check=True)
    server.start()

    said = notes.invoke("backups", "--dest", "sftp", code=7).stderr

    assert "another host key" in said
    assert f"invoke destination --trust {bridge()}" in said
