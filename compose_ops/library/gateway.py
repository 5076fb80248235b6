"""The gateways of a project as a compose file of its own."""

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from compose_ops.errors import UsageError
from compose_ops.library.opening import Selection, find, gateway_text, open_stack
from compose_ops.project.paths import WRITTEN_GATEWAY_FILE

MARK = "# Made by `compose-ops gateway`"


@dataclass(frozen=True, slots=True)
class GatewayFile:
    """
    The compose file with the gateways; `path` is where it was written, if it was.

    `files` are the compose files that it goes behind, `name` is its own among them;
    they are those of `mode`, "" for those of every mode.
    """

    text: str
    files: tuple[str, ...]
    name: str
    mode: str = ""
    path: Path | None = None

    @property
    def hint(self) -> str:
        """The line of `compose-ops.toml` that makes it one of the compose files."""
        table = f"[modes.{self.mode}] " if self.mode else ""
        return f"{table}files = {json.dumps([*self.files, self.name])}"

    def as_json(self) -> dict[str, Any]:
        return {"text": self.text, "path": str(self.path) if self.path else None}


def gateway_file(selection: Selection, *, write: bool) -> GatewayFile:
    """Return the file, written where *write* says so; UsageError where none is due."""
    place = find(selection)
    path = place.root / WRITTEN_GATEWAY_FILE
    stack = open_stack(selection, need_engine=False, read_only=True)
    files = tuple(file for file in stack.mode.files if file != path)
    text = gateway_text(place, replace(stack.mode, files=files), stack.project)
    if not text:
        raise UsageError(
            "no service has a gateway of ours",
            hint="[rollout.SERVICE] with a port, and no gateway, gives it one",
        )
    mode = stack.mode.names[0] if stack.mode.names else ""
    behind = [file for file in files if not (mode and file in place.modes.base)]
    names = [os.path.relpath(file, place.config.folder) for file in (*behind, path)]
    if write:
        _write(path, text)
    return GatewayFile(text, (*names[:-1],), names[-1], mode, path if write else None)


def _write(path: Path, text: str) -> None:
    """Write *text*; UsageError over a file that somebody else made."""
    if path.exists() and not path.read_text(encoding="utf-8").startswith(MARK):
        raise UsageError(
            f"{path} is there, and no gateway task wrote it", hint="move it away first"
        )
    path.write_text(text, encoding="utf-8")
