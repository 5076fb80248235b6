"""Facts of the files behind the model's secrets."""

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from compose_ops.doctor.facts.access import Permissions, readers
from compose_ops.doctor.registry import fact
from compose_ops.project.model import Model
from compose_ops.runtime.engine_location import EngineLocation

MAX_BYTES = 65536


@dataclass(frozen=True, slots=True)
class FileFacts:
    """
    A file as the host has it. `state` is file, folder, absent or hidden.

    `readers` names others of this machine who can reach and read it; `content` is None
    where this user may not read it.
    """

    path: Path
    state: str
    mode: int = 0
    owner: int = 0
    group: int = 0
    readers: str = ""
    content: bytes | None = None

    @property
    def is_there(self) -> bool:
        return self.state == "file"

    @property
    def permissions(self) -> Permissions:
        return Permissions(self.mode, self.owner, self.group)


@dataclass(frozen=True, slots=True)
class SecretFile:
    """A secret of the model, the services that mount it, and its file."""

    name: str
    services: tuple[str, ...]
    file: FileFacts


def inspect_file(path: Path) -> FileFacts:
    """Look at one file without following it anywhere else."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return FileFacts(path, "absent")
    except OSError:
        return FileFacts(path, "hidden")
    mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISDIR(status.st_mode):
        return FileFacts(path, "folder", mode, status.st_uid, status.st_gid)
    return FileFacts(
        path,
        "file",
        mode,
        status.st_uid,
        status.st_gid,
        readers=readers(path, status),
        content=_content(path),
    )


def _content(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES)
    except OSError:
        return None


@fact(limit=4)
def secret_files(
    model: Model, wanted: tuple[str, ...], shared: EngineLocation
) -> tuple[SecretFile, ...]:
    """Return the secrets that the wanted services mount and that are files."""
    del shared
    secrets: Mapping[str, Mapping[str, str]] = model.raw.get("secrets") or {}
    found = []
    for name, secret in secrets.items():
        services = tuple(
            service
            for service in wanted
            for used in model.service(service).get("secrets") or ()
            if used.get("source") == name
        )
        if services and secret.get("file"):
            found.append(SecretFile(name, services, inspect_file(Path(secret["file"]))))
    return tuple(found)
