"""The HTTP interface: health, node information, and streams as Atom in JSON."""

import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from standin_wire.http import Request, Response

from eventstore_standin.atom import ALL, Page, entry, feed
from eventstore_standin.streams import ANY_VERSION, NewEvent, Streams, WrongVersionError

VERSION = "23.10.0.0"
NOT_UNDERSTOOD = (
    "This is a small stand-in for EventStoreDB, not EventStoreDB: it understands"
    " /health/live, /ping, /info, /stats, /gossip, /admin/scavenge and /streams only."
)
_EVENTS = "application/vnd.eventstore.events+json"
_ATOM = "application/vnd.eventstore.atom+json; charset=utf-8"
_JSON = "application/json; charset=utf-8"


@dataclass(slots=True)
class Node:
    """What the HTTP interface shows and who may use it."""

    streams: Streams
    secure: bool
    admin_password: str
    atom: bool
    anonymous: bool
    started: datetime
    append_limit: int = 1024 * 1024  # bytes, MaxAppendSize
    ready: bool = False
    scavenge: str = ""

    def answer(self, request: Request) -> Response:
        """Return the answer to one request."""
        if self.secure and not self._credentials_fit(request):
            headers = {"WWW-Authenticate": 'Basic realm="ES"'}
            return Response(HTTPStatus.UNAUTHORIZED, headers=headers)
        for method, pattern, function in _ROUTES:
            match = re.fullmatch(pattern, request.path)
            if match and request.method in (method, "HEAD"):
                return function(self, request, **match.groupdict())
        return _text(HTTPStatus.NOT_FOUND, NOT_UNDERSTOOD)

    def _credentials_fit(self, request: Request) -> bool:
        """Streams want a name, unless anonymous access is on; a name wants proof."""
        given = request.credentials()
        if given is None:
            closed = "/streams/$" if self.anonymous else "/streams/"
            allowed = not request.path.startswith(closed)
            return allowed and "authorization" not in request.headers
        return given == ("admin", self.admin_password)


def _text(status: int, text: str) -> Response:
    return Response(status, text.encode())


def _json(value: Any, content_type: str = _JSON) -> Response:
    return Response(HTTPStatus.OK, json.dumps(value).encode(), content_type)


def _live(node: Node, request: Request) -> Response:
    wanted = request.query.get("liveCode", "")
    known = wanted.isdecimal() and int(wanted) in set(HTTPStatus)
    if not node.ready:
        return Response(HTTPStatus.SERVICE_UNAVAILABLE)
    return Response(int(wanted) if known else HTTPStatus.NO_CONTENT)


def _ping(_: Node, __: Request) -> Response:
    return _text(HTTPStatus.OK, "Ping request successfully handled")


def _info(node: Node, _: Request) -> Response:
    kind = "internal" if node.secure else "insecure"
    features = {"projections": True, "userManagement": True, "atomPub": node.atom}
    return _json(
        {
            "dbVersion": VERSION,
            "esVersion": VERSION,
            "state": "leader",
            "features": features,
            "authentication": {"type": kind, "properties": {}},
            "standIn": NOT_UNDERSTOOD,
        }
    )


def _stats(node: Node, _: Request) -> Response:
    position = node.streams.log.writer.value
    return _json(
        {
            "proc": {"startTime": node.started.isoformat()},
            "es": {
                "checksum": position,
                "checksumNonFlushed": position,
                "standIn": {
                    "events": node.streams.count(),
                    "streams": {n: node.streams.count(n) for n in node.streams.names()},
                },
            },
        }
    )


def _gossip(node: Node, _: Request) -> Response:
    member = {
        "instanceId": str(uuid.UUID(int=0)),
        "state": "Leader",
        "isAlive": True,
        "writerCheckpoint": node.streams.log.writer.value,
        "chaserCheckpoint": node.streams.log.chaser.value,
    }
    return _json({"members": [member]})


def _scavenge(node: Node, request: Request) -> Response:
    """Begin one that rewrites nothing and runs until it is ended."""
    if refused := _no_operator(node, request):
        return refused
    if node.scavenge:
        return _text(HTTPStatus.BAD_REQUEST, "Scavenge is already running")
    node.scavenge = str(uuid.uuid4())
    return _json({"scavengeId": node.scavenge})


def _current_scavenge(node: Node, request: Request) -> Response:
    if refused := _no_operator(node, request):
        return refused
    link = f"/admin/scavenge/{node.scavenge}" if node.scavenge else ""
    if "json" not in request.headers.get("accept", ""):
        text = f"ScavengeId: {node.scavenge}, ScavengeLink: {link}"
        return _text(HTTPStatus.OK, text)
    return _json({"scavengeId": node.scavenge, "scavengeLink": link})


def _end_scavenge(node: Node, request: Request, scavenge: str) -> Response:
    if refused := _no_operator(node, request):
        return refused
    if not node.scavenge or scavenge not in {"current", node.scavenge}:
        return _text(HTTPStatus.NOT_FOUND, "Scavenge does not exist")
    node.scavenge = ""
    return _json(scavenge)


def _no_operator(node: Node, request: Request) -> Response | None:
    """Refuse the anonymous; where the node is insecure everybody may do everything."""
    if node.secure and request.credentials() is None:
        return Response(HTTPStatus.UNAUTHORIZED)
    return None


def _append(node: Node, request: Request, stream: str) -> Response:
    if not node.atom:
        return Response(HTTPStatus.NOT_FOUND)
    if len(request.body) > node.append_limit:
        return _text(HTTPStatus.BAD_REQUEST, "Write request is too large.")
    try:
        events = _events_of(request)
        expected = int(request.headers.get("es-expectedversion", ANY_VERSION))
        created = datetime.now(tz=UTC).isoformat()
        first = node.streams.append(stream, events, expected=expected, created=created)
    except WrongVersionError as error:
        headers = {"ES-CurrentVersion": str(error.current)}
        body = b"Wrong expected EventNumber"
        return Response(HTTPStatus.BAD_REQUEST, body, headers=headers)
    except (AttributeError, KeyError, TypeError, ValueError):
        return _text(HTTPStatus.BAD_REQUEST, "Write request body invalid.")
    place = f"{_base(node, request)}/streams/{quote(stream)}/{first}"
    return Response(HTTPStatus.CREATED, headers={"Location": place})


def _events_of(request: Request) -> list[NewEvent]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    body = json.loads(request.body)
    if kind == _EVENTS:
        return [_event_of(item) for item in body]
    event_id = request.headers.get("es-eventid", str(uuid.uuid4()))
    return [NewEvent(event_id, request.headers["es-eventtype"], body)]


def _event_of(item: dict[str, Any]) -> NewEvent:
    event_id = str(uuid.UUID(item["eventId"]))
    return NewEvent(event_id, item["eventType"], item.get("data"), item.get("metadata"))


def _feed(node: Node, request: Request, stream: str, **page: str) -> Response:
    if not node.atom or (stream != ALL and node.streams.count(stream) == 0):
        return Response(HTTPStatus.NOT_FOUND)
    chosen = Page(page.get("start", "head"), page.get("direction", "backward"))
    if "size" in page:
        chosen = replace(chosen, size=int(page["size"]))
    body = request.query.get("embed", "") in ("body", "tryharder", "rich")
    base = _base(node, request)
    return _json(feed(node.streams, stream, chosen, base=base, body=body), _ATOM)


def _event(node: Node, request: Request, stream: str, number: str) -> Response:
    last = node.streams.count(stream) - 1
    wanted = last if number == "head" else int(number)
    events = node.streams.read(stream, [wanted])
    if not node.atom or not events:
        return Response(HTTPStatus.NOT_FOUND)
    if "atom+json" in request.headers.get("accept", ""):
        return _json(entry(events[0], base=_base(node, request), body=True), _ATOM)
    return _json(events[0]["data"])


def _base(node: Node, request: Request) -> str:
    scheme = "https" if node.secure else "http"
    return f"{scheme}://{request.headers.get('host', 'localhost:2113')}"


_STREAM = r"/streams/(?P<stream>[^/]+)"
_ROUTES: list[tuple[str, str, Callable[..., Response]]] = [
    ("GET", r"/health/live", _live),
    ("GET", r"/ping", _ping),
    ("GET", r"/info", _info),
    ("GET", r"/stats", _stats),
    ("GET", r"/gossip", _gossip),
    ("POST", r"/admin/scavenge", _scavenge),
    ("GET", r"/admin/scavenge/current", _current_scavenge),
    ("DELETE", r"/admin/scavenge/(?P<scavenge>[^/]+)", _end_scavenge),
    ("POST", _STREAM, _append),
    ("GET", _STREAM, _feed),
    ("GET", _STREAM + r"/(?P<number>head|\d+)", _event),
    (
        "GET",
        _STREAM + r"/(?P<start>head|\d+)/(?P<direction>backward|forward)/(?P<size>\d+)",
        _feed,
    ),
]
