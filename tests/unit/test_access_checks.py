"""Who may read secrets, keys and mounted files; and repairs that open nothing else."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from judging import PROD, STACK, judge

from compose_ops.doctor.checks.engine import limits_repair
from compose_ops.doctor.facts.access import EVERYBODY, READ, Permissions, User, others
from compose_ops.doctor.facts.certificates import CertificateFile
from compose_ops.doctor.facts.folders import BindFacts, Closed
from compose_ops.doctor.facts.project import parse_ids, status_ids
from compose_ops.doctor.facts.secret_files import FileFacts, SecretFile
from compose_ops.project.model import Model
from compose_ops.verdicts import Row, unprefixed

MEMGRAPH = User(101, frozenset({103}))


@pytest.mark.parametrize(
    ("user", "mode", "owner", "group", "may"),
    [
        (User(1000), 0o644, 0, 0, True),
        (User(1000), 0o600, 0, 0, False),
        (User(1000), 0o400, 1000, 0, True),
        (User(1000), 0o044, 1000, 0, False),
        (User(0), 0o600, 1000, 0, False),
        (User(0, overrides=True), 0o600, 1000, 0, True),
        (User(None), 0o600, 0, 0, None),
        (User(None), 0o644, 0, 0, True),
        (MEMGRAPH, 0o640, 0, 103, True),
        (MEMGRAPH, 0o640, 0, 104, False),
        (MEMGRAPH, 0o604, 0, 103, False),
        (User(1000), 0o640, 0, 103, None),
    ],
)
def test_who_may_read_a_file(
    user: User, mode: int, owner: int, group: int, *, may: bool | None
) -> None:
    """Owner, group or others: one class of bits counts, as for the kernel."""
    assert user.may(Permissions(mode, owner, group)) is may


def members(group: int, _owner: int) -> set[str]:
    return {"alice", "bob"} if group == 50 else set()


@pytest.mark.parametrize(
    ("file", "folder", "says"),
    [
        ((0o644, 0, 0), (0o755, 0, 0), EVERYBODY),
        ((0o644, 0, 0), (0o700, 0, 0), ""),
        ((0o644, 0, 0), (0o750, 0, 50), "the group 50"),
        ((0o640, 0, 50), (0o755, 0, 0), "the group 50"),
        ((0o640, 0, 51), (0o755, 0, 0), ""),
        ((0o640, 0, 50), (0o700, 0, 0), ""),
    ],
)
def test_others_reach_a_file_through_its_folder_or_group(
    file: tuple[int, int, int],
    folder: tuple[int, int, int],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A group counts where somebody else is in it."""
    monkeypatch.setattr("compose_ops.doctor.facts.access._name", str)
    found = others([(Permissions(*file), READ), (Permissions(*folder), 1)], members)

    assert found.startswith(says) if says else found == ""


def test_ids_of_a_user_are_read() -> None:
    told = "uid=101(memgraph) gid=103(memgraph) groups=103(memgraph),7(lp)\n"
    status = "Name:\tx\nUid:\t0\t101\t0\t0\nGid:\t0\t103\t0\t0\nGroups:\t7 \n"

    assert parse_ids(told) == (101, frozenset({103, 7}))
    assert parse_ids("uid=0(root) gid=0(root)") == (0, frozenset({0}))
    assert parse_ids("no such user") == (None, None)
    assert status_ids(status) == (101, frozenset({103, 7}))


def key(mode: int, owner: int, group: int, *, readers: str = "") -> CertificateFile:
    path = STACK.root / "certs/memgraph/key.pem"
    file = FileFacts(path, "file", mode, owner, group, readers)
    return CertificateFile("memgraph", "--bolt-key-file", "key", file)


def key_row(one: CertificateFile, user: User = MEMGRAPH) -> Row:
    users = {"memgraph": user}
    return judge("key-private", stack=STACK, certificate_files=(one,), users=users)


def test_key_that_the_services_group_reads_is_private() -> None:
    """Keys of root, readable to the group of the image's user, serve well."""
    assert key_row(key(0o640, 0, 103)).outcome == "ok"
    assert key_row(key(0o640, 0, 103, readers="the group x (bob)")).outcome == "ok"
    assert key_row(key(0o640, 0, 104)).outcome == "fail"
    assert key_row(key(0o640, 0, 50, readers="the group x (bob)")).outcome == "warn"


def test_key_is_closed_only_so_that_its_service_can_read_it() -> None:
    roots = key_row(key(0o644, 0, 0, readers=EVERYBODY)).problems[0]
    own = key_row(key(0o644, 101, 103, readers=EVERYBODY)).problems[0]

    path = "certs/memgraph/key.pem"
    assert (own.repair, own.safe) == (f"chmod 400 {path}", True)
    assert not roots.safe
    assert unprefixed(roots.repair) == f"chown 101 {path} && chmod 400 {path}"


def secret(path: str, mode: int, *, readers: str = "") -> tuple[SecretFile, ...]:
    file = FileFacts(Path(path), "file", mode, 0, 0, readers)
    return (SecretFile("token", ("app",), file),)


def test_folder_outside_the_checkout_is_not_closed() -> None:
    """A secret of an overlay may lie in /etc, which everybody enters."""
    users: dict[str, Any] = {"app": User(1000, frozenset({1000}))}
    exposed = judge(
        "secret-private",
        stack=STACK,
        secret_files=secret("/etc/token", 0o644, readers=EVERYBODY),
    ).problems[0]
    closed = judge(
        "secret-readable",
        stack=STACK,
        secret_files=secret("/etc/token", 0o600),
        users=users,
    ).problems[0]

    assert (exposed.repair, exposed.safe) == ("chmod o-r /etc/token", False)
    assert unprefixed(closed.repair) == (
        "chown 1000 /etc/token && chmod u+r /etc/token"
    )


def test_folder_of_the_checkouts_secrets_is_closed() -> None:
    secrets = secret("/checkout/secrets/a.txt", 0o644, readers=EVERYBODY)
    row = judge("secret-private", stack=STACK, secret_files=secrets)

    assert [(v.repair, v.safe) for v in row.problems] == [("chmod 700 secrets", True)]


def test_only_the_closed_files_of_a_mount_are_opened() -> None:
    """Another private file beside them stays private."""
    one = Closed(STACK.root / "config/app.json", Permissions(0o600, 0, 0), READ)
    bind = BindFacts("app", STACK.root / "config", "/c", False, "folder", (one,))  # noqa: FBT003
    row = judge("bind-readable", stack=STACK, binds=(bind,), users={"app": User(1000)})

    assert row.repair == "chmod a+rX config/app.json"
    assert not row.problems[0].safe


def test_kernel_command_line_keeps_its_words(tmp_path: Path) -> None:
    file = tmp_path / "grub"
    file.write_text('GRUB_CMDLINE_LINUX="quiet console=ttyS0"\n')
    repair = limits_repair(["memory"], is_rootless=False).partition(" && ")[0]
    line = repair.removeprefix("sudo ").replace("/etc/default/grub", str(file))
    subprocess.run(["sh", "-c", line], check=True)

    assert file.read_text() == (
        'GRUB_CMDLINE_LINUX="cgroup_enable=memory quiet console=ttyS0"\n'
    )


def test_rootless_engine_is_given_its_controllers() -> None:
    assert "Delegate=" in limits_repair(["CPU"], is_rootless=True)


def test_weak_password_of_production_is_not_changed_by_a_file_alone() -> None:
    """Memgraph set its own when it first started."""
    file = FileFacts(
        Path("/checkout/secrets/db_password.txt"), "file", content=b"quest"
    )
    weak = (SecretFile("db_password", ("memgraph", "app"), file),)

    images = {"memgraph": {"image": "memgraph/memgraph:3"}, "app": {"image": "app"}}
    facts: dict[str, Any] = {"model": Model({"services": images}), "secret_files": weak}

    kept = judge("secret-strength", stack=PROD, **facts)
    free = judge("secret-strength", stack=STACK, **facts)

    assert "memgraph keeps the old password: change it there too" in kept.detail
    assert "old password" not in free.detail
