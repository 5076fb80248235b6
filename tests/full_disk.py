"""A disk of the state that is full from some moment on."""

from collections.abc import Callable
from pathlib import Path

import pytest

from compose_ops.errors import DataError
from compose_ops.state import store


class FullDisk:
    """Takes so many files of state, then refuses them; `refused` are their names."""

    def __init__(self, patch: pytest.MonkeyPatch, writes: int) -> None:
        self.left = writes
        self.refused: list[str] = []
        self._take = store.write
        patch.setattr(store, "write", self._write)

    def _write(self, path: Path, text: str, **how: Callable[[Path], None]) -> None:
        self.left -= 1
        if self.left < 0:
            self.refused.append(path.name)
            raise DataError(f"{path} cannot be written: No space left on device")
        self._take(path, text, **how)
