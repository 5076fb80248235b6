"""Streams as Atom feeds in JSON."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from eventstore_standin.streams import Streams

ALL = "$all"
_PAGE_MAX = 4096


@dataclass(frozen=True, slots=True)
class Page:
    """Which events of a stream: from a number or the head, and how many."""

    start: str = "head"
    direction: str = "backward"
    size: int = 20

    def numbers(self, total: int) -> range:
        """Return the event numbers of a stream that has *total* events."""
        first = total - 1 if self.start == "head" else int(self.start)
        count = min(self.size, _PAGE_MAX)
        if self.direction == "forward":
            return range(first, first + count)
        return range(first, first - count, -1)


def feed(
    streams: Streams, stream: str, page: Page, *, base: str, body: bool
) -> dict[str, Any]:
    """Return a page of a stream (or of `$all`), the newest event first."""
    source = None if stream == ALL else stream
    total = streams.count(source)
    events = streams.read(source, page.numbers(total))
    events.sort(key=lambda event: -event["position"])
    place = f"{base}/streams/{quote(stream)}"
    return {
        "title": f"Event stream '{stream}'",
        "id": place,
        "streamId": stream,
        "author": {"name": "EventStore"},
        "headOfStream": page.start == "head",
        "selfUrl": place,
        "eTag": f"{total - 1};0",
        "entries": [entry(event, base=base, body=body) for event in events],
    }


def entry(event: dict[str, Any], *, base: str, body: bool) -> dict[str, Any]:
    """Return one event as an entry, with its data where *body* asks for it."""
    number, stream = event["number"], event["stream"]
    place = f"{base}/streams/{quote(stream)}/{number}"
    links = [{"uri": place, "relation": name} for name in ("edit", "alternate")]
    shown = {
        "title": f"{number}@{stream}",
        "id": place,
        "updated": event["created"],
        "author": {"name": "EventStore"},
        "summary": event["type"],
        "links": links,
    }
    if body:
        shown |= {"eventId": event["id"], "eventType": event["type"]}
        shown |= {"eventNumber": number, "streamId": stream, "isJson": True}
        shown["data"] = json.dumps(event["data"])
        if event["metadata"] is not None:
            shown["metaData"] = json.dumps(event["metadata"])
    return shown
