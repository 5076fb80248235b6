"""Users and their passwords, kept as salted hashes in the data directory."""

import hashlib
import hmac
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from standin_wire.durable import replace_file


@dataclass(slots=True)
class Users:
    """The users of *file*; nobody in it means that everybody may enter."""

    file: Path
    hashes: dict[str, str] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: Path) -> "Users":
        """Read the users of a data directory."""
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        file = folder / "users.json"
        known = json.loads(file.read_text()) if file.exists() else {}
        return cls(file, known)

    def create(self, name: str, password: str) -> None:
        """Add a user; the password of one who exists stays."""
        if name not in self.hashes:
            self.hashes[name] = _hashed(password, os.urandom(16))
            replace_file(self.file, json.dumps(self.hashes).encode())

    def accept(self, name: str, password: str) -> bool:
        """Whether this name and password may enter."""
        if not self.hashes:
            return True
        known = self.hashes.get(name, "00:00")
        salt = bytes.fromhex(known.partition(":")[0])
        return hmac.compare_digest(known, _hashed(password, salt))


def user_of_environment(environment: Mapping[str, str]) -> tuple[str, str] | None:
    r"""
    Return name and password of the first user that a start creates.

    They stand in MEMGRAPH_USER and MEMGRAPH_PASSWORD, else in the file of
    MEMGRAPH_PASSFILE (`name:password`, a colon in either written `\:`).
    Raises OSError when the file cannot be read, ValueError when it has no pair.
    """
    name = environment.get("MEMGRAPH_USER")
    password = environment.get("MEMGRAPH_PASSWORD")
    if name is not None and password is not None:
        return name, password
    if (path := environment.get("MEMGRAPH_PASSFILE")) is None:
        return None
    line = Path(path).read_text().rstrip("\n")
    parts = re.split(r"(?<!\\):", line)
    if len(parts) != 2:  # noqa: PLR2004
        raise ValueError(f"{path} has no username:password")
    name, password = (part.replace("\\:", ":") for part in parts)
    return name, password


def _hashed(password: str, salt: bytes) -> str:
    # little memory and time: a stand-in guards no secrets, but stores none either
    digest = hashlib.scrypt(password.encode(), salt=salt, n=1024, r=8, p=1)
    return f"{salt.hex()}:{digest.hex()}"
