"""Give files to the users of containers, also where only the engine is root."""

import os
from collections.abc import Sequence
from pathlib import Path

from compose_ops.docker.api import Engine, RunSpec, mount
from compose_ops.errors import ComposeOpsError, ConfigurationError

Owner = tuple[Path, int, int]


def give(files: Sequence[Owner], engine: Engine | None, images: Sequence[str]) -> None:
    """
    Change owners, through a container of one of *images* where this user may not.

    Raises ConfigurationError, naming the commands, when neither way is open.
    """
    if os.geteuid() == 0:
        for path, uid, gid in files:
            os.chown(path, uid, gid)
        return
    foreign = [f for f in files if f[1] != os.geteuid()]
    try:
        _give_in_container(foreign, engine, images)
    except ComposeOpsError as refused:
        raise _by_hand(foreign, refused.message) from refused


def make_folders(
    folders: Sequence[Path], engine: Engine | None, images: Sequence[str]
) -> None:
    """Make *folders*, through a container where this user may not."""
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except PermissionError as refused:
            top = next(p for p in folder.parents if p.exists())
            inside = "/host" / folder.relative_to(top)
            try:
                _run(engine, images, top, ("mkdir", "-p", str(inside)))
            except ComposeOpsError:
                raise ConfigurationError(
                    f"{folder} cannot be made: {refused.strerror}",
                    hint=f"sudo mkdir -p {folder}, or set DATA_ROOT in .env to a "
                    "folder of yours",
                ) from refused


def _give_in_container(
    files: Sequence[Owner], engine: Engine | None, images: Sequence[str]
) -> None:
    for path, uid, gid in files:
        command = ("chown", "--no-dereference", f"{uid}:{gid}", f"/host/{path.name}")
        _run(engine, images, path.parent, command)


def _run(
    engine: Engine | None, images: Sequence[str], folder: Path, command: Sequence[str]
) -> None:
    if engine is None:
        raise ConfigurationError("this user is not root, and no engine answers")
    image = next((name for name in images if engine.image(name)), None)
    if image is None:
        raise ConfigurationError("this user is not root, and no image is here to help")
    done = engine.run(
        RunSpec(
            image=image,
            command=command[1:],
            entrypoint=command[0],
            user="0:0",
            mounts=(mount("type=bind", f"source={folder}", "target=/host"),),
            capabilities=("CHOWN", "DAC_OVERRIDE", "FOWNER"),
        ),
        timeout=60,
    )
    if done.code != 0:
        raise ConfigurationError(done.stderr.strip() or f"exit code {done.code}")


def _by_hand(files: Sequence[Owner], why: str) -> ConfigurationError:
    lines = "; ".join(f"sudo chown {uid}:{gid} {path}" for path, uid, gid in files)
    return ConfigurationError(
        f"the keys could not be given to their services: {why}", hint=lines
    )
