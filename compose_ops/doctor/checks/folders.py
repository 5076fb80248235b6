"""Paths that containers mount: present, and accessible to their users."""

from collections.abc import Iterator, Mapping

from compose_ops.doctor.checks.secret_files import relative
from compose_ops.doctor.facts.access import User
from compose_ops.doctor.facts.folders import BindFacts, DataFolder, RemoteBind
from compose_ops.doctor.registry import check
from compose_ops.products import load
from compose_ops.runtime.context import StackContext
from compose_ops.verdicts import Verdict, command, fail, ok

MAX_NAMES = 20
"""Files named in one repair: each is opened to every user, so each is to be seen."""


@check(
    "bind-folders",
    "Every path that a container mounts exists.",
    why="The engine creates an empty folder, owned by root, and starts the container.",
)
def bind_folders(
    stack: StackContext, binds: tuple[BindFacts, ...]
) -> Iterator[Verdict]:
    absent = [
        bind
        for bind in binds
        if bind.state == "absent" and not _comes_with_its_data(stack, bind)
    ]
    for bind in absent:
        path = relative(stack, bind.source)
        tracked = bind.source.is_relative_to(stack.root)
        repair = command("git", "checkout", "--", path) if tracked else ""
        if path.startswith(stack.config.init.certificates.folder):
            repair = stack.config.init.production
        yield fail(
            f"{bind.service} mounts {path}, which does not exist",
            repair or command("sudo", "mkdir", "-p", path),
            about=f"{bind.service} {path}",
        )
    if not absent:
        yield ok(f"{len(binds)} mounted paths exist")


def _comes_with_its_data(stack: StackContext, bind: BindFacts) -> bool:
    """Say whether a store fills the folder: its first start, or a restore, makes it."""
    service = stack.model.services.get(bind.service) or {}
    known = load(stack.product_files)
    return bind.writable and known.keeps_data_at(service, bind.target)


@check(
    "bind-elsewhere",
    "Mounted paths exist on the engine's host, where that is another machine.",
    why="The engine mounts paths of its own host, not of this checkout.",
)
def bind_elsewhere(remote_binds: tuple[RemoteBind, ...]) -> Iterator[Verdict]:
    absent = [bind for bind in remote_binds if not bind.is_there]
    for bind in absent:
        yield fail(
            f"{bind.service} mounts {bind.source}, which is not on the engine's host",
            f"copy it there, to the same path: rsync -aR {bind.source} HOST:/",
            about=f"{bind.service} {bind.source}",
        )
    if not absent:
        yield ok(f"{len(remote_binds)} paths exist on the engine's host")


@check(
    "bind-readable",
    "The containers' users can read what they mount.",
    why="A file that only its owner may read is a permission error in the service.",
)
def bind_readable(
    stack: StackContext, binds: tuple[BindFacts, ...], users: Mapping[str, User]
) -> Iterator[Verdict]:
    found = False
    for bind in binds:
        user = users.get(bind.service, User(None))
        if user.uid is None or relative(stack, bind.source).startswith(
            stack.config.init.certificates.folder
        ):
            continue
        closed = [c for c in bind.closed if user.may(c.permissions, c.bits) is False]
        if closed:
            found = True
            names = [relative(stack, path.path) for path in closed]
            more = f" and {len(closed) - 1} more" if len(closed) > 1 else ""
            yield fail(
                f"{bind.service} runs as uid {user.uid} and cannot read "
                f"{names[0]}{more}",
                command("chmod", "a+rX", *names[:MAX_NAMES]),
                about=f"{bind.service} {bind.target}",
            )
    if not found:
        yield ok("containers can read what they mount")


@check(
    "data-folders",
    "The folders behind data volumes exist.",
    why="The engine cannot mount a folder that does not exist.",
)
def data_folders_there(
    stack: StackContext, data_folders: tuple[DataFolder, ...]
) -> Iterator[Verdict]:
    for folder in data_folders:
        path = relative(stack, folder.path)
        if folder.state == "absent":
            prefix = () if folder.path.is_relative_to(stack.root) else ("sudo",)
            yield fail(
                f"the data folder {path} of {folder.services[0]} does not exist",
                command(*prefix, "mkdir", "-p", path),
                about=folder.volume,
            )
        elif folder.state == "file":
            yield fail(f"{path} is not a folder", command("ls", "-l", path), about=path)
    yield ok(f"{len(data_folders)} data folders" if data_folders else "no data folders")


@check(
    "data-owners",
    "Existing data belongs to the user of its store.",
    why="Most databases refuse to start on data of another user.",
)
def data_owners(
    stack: StackContext, data_folders: tuple[DataFolder, ...], users: Mapping[str, User]
) -> Iterator[Verdict]:
    for folder in data_folders:
        user = users.get(folder.services[0], User(None))
        foreign = folder.state == "folder" and user.uid not in {None, 0, folder.owner}
        if foreign and not folder.is_empty:
            path = relative(stack, folder.path)
            yield fail(
                f"{path} belongs to uid {folder.owner}, {folder.services[0]} runs as "
                f"uid {user.uid}",
                command("sudo", "chown", "-R", user.uid, path),
                about=folder.volume,
            )
    yield ok("the data belongs to its stores")
