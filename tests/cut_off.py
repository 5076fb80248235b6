"""A volume whose helper is killed between two changes of its files."""

from collections.abc import Iterable
from pathlib import Path

import pytest
from volume_helper import removing


class Killed(BaseException):
    """Stands for the death of the helper."""


def content(volume: Path) -> dict[str, str]:
    return {p.name: p.read_text() for p in volume.iterdir() if p.is_file()}


def die_at(patch: pytest.MonkeyPatch, step: int, changes: Iterable[str]) -> None:
    """Let the *step*-th call of those methods of Path be the last."""
    done = [0]

    def counting(name: str) -> None:
        real = getattr(Path, name)

        def act(self: Path, *words: object, **named: object) -> object:
            done[0] += 1
            if done[0] > step:
                raise Killed
            return real(self, *words, **named)

        patch.setattr(Path, name, act)

    for name in changes:
        counting(name)


def die_while_removing(patch: pytest.MonkeyPatch, files: int = 1) -> None:
    """Let a removal end once it has removed so many *files*."""

    def remove(folder: Path) -> None:
        found = sorted(path for path in folder.rglob("*") if path.is_file())
        for path in found[:files]:
            path.unlink()
        raise Killed

    patch.setattr(removing, "remove", remove)
