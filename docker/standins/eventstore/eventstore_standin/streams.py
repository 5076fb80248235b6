"""Streams of events on top of the log, and the index beside it."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from standin_wire.durable import replace_file

from eventstore_standin.log import Checkpoint, Log, LogDamagedError, open_log

ANY_VERSION = -2


class WrongVersionError(Exception):
    """The stream's last event number is not what the writer expected."""

    def __init__(self, current: int) -> None:
        super().__init__(f"current version is {current}")
        self.current = current


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event as a client hands it in."""

    event_id: str
    event_type: str
    data: Any
    metadata: Any = None


@dataclass(slots=True)
class Streams:
    """All events, encoded, in the order of the log and by stream."""

    log: Log
    index: Path
    _all: list[bytes] = field(default_factory=list)
    _by_stream: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    _numbers_by_id: dict[tuple[str, str], int] = field(default_factory=dict)

    @classmethod
    def open(cls, root: Path, index: Path, *, chunk_size: int) -> "Streams":
        """Read the log, check the index against it. Raises LogDamagedError."""
        streams = cls(open_log(root, chunk_size=chunk_size), index)
        for _, payload in streams.log.payloads():
            streams._take(payload)
        return streams

    def append(
        self, stream: str, events: Sequence[NewEvent], *, expected: int, created: str
    ) -> int:
        """
        Append as one, durably; the number of the first event.

        Events that are there already (same id) count as written. Raises
        WrongVersionError.
        """
        known = [self._numbers_by_id.get((stream, event.event_id)) for event in events]
        if known and None not in known:
            return known[0] or 0
        first = len(self._by_stream[stream])
        if expected not in (ANY_VERSION, first - 1):
            raise WrongVersionError(first - 1)
        payloads = [
            _encode(len(self._all) + at, stream, first + at, event, created)
            for at, event in enumerate(events)
        ]
        self.log.append(payloads)
        for payload in payloads:
            self._take(payload)
        return first

    def count(self, stream: str | None = None) -> int:
        """Events of *stream*, or all."""
        return len(self._all if stream is None else self._by_stream.get(stream, ()))

    def names(self) -> list[str]:
        """Return the streams that hold events."""
        return sorted(name for name, places in self._by_stream.items() if places)

    def read(self, stream: str | None, numbers: Iterable[int]) -> list[dict[str, Any]]:
        """Return the events with these numbers, in this order; the others lack."""
        places: Sequence[int] = range(len(self._all))
        if stream is not None:
            places = self._by_stream.get(stream, ())
        wanted = (number for number in numbers if 0 <= number < len(places))
        return [json.loads(self._all[places[number]]) for number in wanted]

    def write_index(self) -> None:
        """Bring the index up to the log: its files first, its checkpoint last."""
        folder = self.index / "stream-existence"
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        position = self.log.writer.value
        last = {name: self.count(name) - 1 for name in self.names()}
        table = {"position": position, "last_event_numbers": last}
        replace_file(self.index / "indexmap", json.dumps(table).encode())
        replace_file(folder / "streamExistenceFilter.dat", "\n".join(last).encode())
        path = folder / "streamExistenceFilter.chk"
        Checkpoint.open(path, initial=0).move(position)

    def index_is_ahead(self) -> bool:
        """Whether the index knows of more than the log: a copy in the wrong order."""
        path = self.index / "stream-existence" / "streamExistenceFilter.chk"
        if not path.exists():
            return False
        return Checkpoint.open(path, initial=0).value > self.log.writer.value

    def _take(self, payload: bytes) -> None:
        event = json.loads(payload)
        if event["position"] != len(self._all):
            raise LogDamagedError(
                f"event {event['position']} of the log follows {len(self._all) - 1}:"
                " a chunk is cut short or missing"
            )
        places = self._by_stream[event["stream"]]
        self._numbers_by_id[event["stream"], event["id"]] = len(places)
        places.append(len(self._all))
        self._all.append(payload)


def _encode(
    position: int, stream: str, number: int, event: NewEvent, created: str
) -> bytes:
    record = {
        "position": position,
        "stream": stream,
        "number": number,
        "id": event.event_id,
        "type": event.event_type,
        "data": event.data,
        "metadata": event.metadata,
        "created": created,
    }
    return json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode()
