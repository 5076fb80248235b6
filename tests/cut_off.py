"""A volume whose helper is killed between two changes of its files."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
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


@contextmanager
def dying_while_removing() -> Iterator[None]:
    """Expect the helper to die in the block, once a removal has removed one file."""

    def remove(folder: Path) -> None:
        for path in sorted(p for p in folder.rglob("*") if p.is_file())[:1]:
            path.unlink()
        raise Killed

    with pytest.MonkeyPatch.context() as during:
        during.setattr(removing, "remove", remove)
        with pytest.raises(Killed):
            yield
