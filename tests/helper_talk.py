"""The helper's own program, spoken to in this process instead of in a container."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from volume_helper import __main__ as helper_program
from volume_helper.archiving import Archiving
from volume_helper.checking import check
from volume_helper.failure import Failed
from volume_helper.screen import Screen


class Spoken(Protocol):
    """What a talk needs of the engine in memory: its volumes, its clock of steps."""

    folder: Path
    free: int | None

    def happen(self, *words: str) -> None: ...


class Talk:
    """The helper's program, spoken to; each request is done at once."""

    def __init__(self, world: Spoken, at: dict[str, str]) -> None:
        self.world = world
        self.at = at
        self.answers: list[str] = []
        volume, archive, listing = (
            at.get(place, "nowhere") for place in ("/volume", "/archive", "/listing")
        )
        self.archiving = Archiving(world.folder / volume, Path(archive), Path(listing))

    def send(self, line: str) -> None:
        request = json.loads(line)
        volume = self.at.get("/volume", "nowhere")
        self.world.happen("helper", request["do"], volume)
        helper_program.VOLUME = self.world.folder / volume
        helper_program.ARCHIVE = Path(self.at.get("/archive", "nowhere"))
        helper_program.LISTING = Path(self.at.get("/listing", "nowhere"))
        helper_program.ARCHIVING = self.archiving
        try:
            answer: dict[str, Any] = {
                "done": helper_program.ACTIONS[request["do"]](request)
            }
            if request["do"] == "measure" and self.world.free is not None:
                answer["done"]["free"] = self.world.free
        except Failed as failed:
            answer = {"failed": str(failed)}
        self.answers.append(json.dumps(answer))

    def receive(self) -> str:
        return self.answers.pop(0)


class Later:
    """Follows an archive once it is asked for what it read: it needs no process."""

    def __init__(self, archive: Path, listing: Path, compression: str) -> None:
        self.archive, self.listing = archive, listing
        self.compression = compression

    def grew(self) -> None: ...

    def whole(self) -> None: ...

    def drop(self) -> None: ...

    def result(
        self, report: Callable[[int], object] = lambda _size: None
    ) -> dict[str, Any]:
        return check(
            self.archive,
            compression=self.compression,
            screen=Screen(),
            listing=self.listing,
            progress=report,
        )
