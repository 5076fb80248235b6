"""Answer requests until stdin ends."""

import base64
import gc
import json
import os
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from volume_helper import (
    checking,
    copying,
    host_keys,
    keeping,
    passwords,
    points,
    staging,
    streams,
    swapping,
)
from volume_helper.archiving import Archiving
from volume_helper.failure import Failed, reason
from volume_helper.restic import Restic
from volume_helper.screen import Screen

VOLUME = Path(os.environ.get("COMPOSE_OPS_VOLUME", "/volume"))
STREAMED = "COMPOSE_OPS_STREAMED" in os.environ
ARCHIVE = streams.place("archive") if STREAMED else Path("/archive")
LISTING = streams.place("listing") if STREAMED else Path("/listing")

ARCHIVING = Archiving(VOLUME, ARCHIVE, LISTING)

Request = Mapping[str, Any]


SPEAKING = threading.Lock()


def _measure(request: Request) -> dict[str, Any]:
    space = os.statvfs(VOLUME)
    return {
        "empty": copying.is_empty(VOLUME),
        "free": space.f_bavail * space.f_frsize,
        "disk": (space.f_blocks - space.f_bfree) * space.f_frsize,
        "restores": swapping.held(VOLUME),
        "changed": copying.changed(VOLUME),
        "links": copying.links(VOLUME, request.get("links", ())),
    }


def _weigh(_: Request) -> dict[str, Any]:
    return {"bytes": copying.occupied(VOLUME)}


def _copy(request: Request) -> dict[str, Any]:
    return ARCHIVING.copy(
        compression=request["compression"],
        exclude=request["exclude"],
        order=request["order"],
        changes=request["changes"],
        progress=_progress,
        session=_session(request) if request.get("session") else None,
    )


def _session(request: Request) -> copying.Session:
    """Let the task end the store's session once all but the paths after it is read."""

    def stop() -> Mapping[str, bytes]:
        _say({"waiting": True})
        line = sys.stdin.buffer.readline()
        if not line:
            raise Failed("the task has ended")
        files: dict[str, str] = json.loads(line)["files"]
        return {path: base64.b64decode(text) for path, text in files.items()}

    return copying.Session(tuple(request["after"]), stop)


def _reread(request: Request) -> dict[str, Any]:
    return ARCHIVING.reread(compression=request["compression"], progress=_progress)


def _screen(request: Request) -> Screen:
    return Screen(request["max_files"], request["max_bytes"])


def _check(request: Request) -> dict[str, Any]:
    return checking.check(
        ARCHIVE,
        compression=request["compression"],
        screen=_screen(request),
        progress=_progress,
    )


def _check_list(request: Request) -> dict[str, Any]:
    return {"sha256": checking.list_digest(LISTING, max_bytes=request["max_bytes"])}


def _stage(request: Request) -> dict[str, Any]:
    return staging.stage(
        VOLUME,
        ARCHIVE,
        restore=request["restore"],
        compression=request["compression"],
        screen=_screen(request),
        sha256=request["sha256"],
        progress=_progress,
    )


def _mend(request: Request) -> dict[str, Any]:
    staging.mend(VOLUME, request["restore"], request["command"])
    return {}


def _commit(request: Request) -> dict[str, Any]:
    return {"kept": swapping.commit(VOLUME, request["restore"])}


def _adopt(request: Request) -> dict[str, Any]:
    swapping.adopt(VOLUME, request["restore"], request["earlier"])
    return {}


def _release(request: Request) -> dict[str, Any]:
    swapping.release(VOLUME, request["restore"], request["earlier"])
    return {}


def _keep(request: Request) -> dict[str, Any]:
    return points.keep(VOLUME, request["restore"])


def _with_restore(act: Callable[[Path, str], None]) -> Callable[[Request], Any]:
    def run(request: Request) -> dict[str, Any]:
        act(VOLUME, request["restore"])
        return {}

    return run


def _repository(request: Request) -> dict[str, Any]:
    """Carry out a request on the repository; `act` names it, `with` is for it."""
    restic = Restic.of(request["repository"])
    act, words = REPOSITORY_ACTIONS[request["act"]], dict(request.get("with", {}))
    return act(restic, **words)


def _keep_snapshot(restic: Restic, **words: Any) -> dict[str, Any]:
    return keeping.keep(restic, VOLUME, progress=_progress, **words)


def _read(restic: Restic, **words: Any) -> dict[str, Any]:
    return keeping.read(restic, progress=_progress, **words)


def _stage_snapshot(restic: Restic, **words: Any) -> dict[str, Any]:
    return keeping.stage(restic, VOLUME, progress=_progress, **words)


REPOSITORY_ACTIONS: Mapping[str, Callable[..., dict[str, Any]]] = {
    "open": keeping.opened,
    "keep": _keep_snapshot,
    "read": _read,
    "stage": _stage_snapshot,
    "list": keeping.listed,
    "write": keeping.write_text,
    "check": keeping.checked,
    "copy": keeping.copied,
    "forget": keeping.forget,
    "locks": keeping.locks,
    "unlock": keeping.unlock,
    "host keys": host_keys.offered,
    "add password": passwords.added,
    "drop password": passwords.dropped,
}

ACTIONS: Mapping[str, Callable[[Request], dict[str, Any]]] = {
    "measure": _measure,
    "weigh": _weigh,
    "copy": _copy,
    "reread": _reread,
    "check": _check,
    "check list": _check_list,
    "stage": _stage,
    "mend": _mend,
    "adopt": _adopt,
    "release": _release,
    "swap in": _with_restore(swapping.swap_in),
    "swap out": _with_restore(swapping.swap_out),
    "commit": _commit,
    "discard": _with_restore(swapping.discard),
    "repository": _repository,
    "estimate": lambda _request: points.estimate(VOLUME),
    "keep": _keep,
    "bring back": _with_restore(points.bring_back),
}


def _say(answer: Mapping[str, Any]) -> None:
    out = sys.stderr if STREAMED else sys.stdout
    with SPEAKING:
        out.write(json.dumps(answer) + "\n")
        out.flush()


def _answer(request: Request) -> None:
    try:
        _say({"done": ACTIONS[request["do"]](request)})
    except Failed as failed:
        _say({"failed": str(failed), "kind": failed.kind})
    except OSError as failed:
        _say({"failed": reason(failed)})
    except Exception as failed:  # noqa: BLE001 - the task waits for an answer
        _say({"failed": f"{type(failed).__name__}: {failed}"})


def _progress(size: int) -> None:
    _say({"progress": size})


def main() -> int:
    """Answer until stdin ends, or a request says that it is the last; 0."""
    gc.disable()  # nothing here makes cycles, and to look for them takes a tenth
    for line in sys.stdin.buffer:
        request = json.loads(line)
        flows = request.get("streams", {})
        # The task sends the rest of what nobody reads until it has its answer.
        with streams.flowing(flows, sys.stdin.buffer, sys.stdout.buffer):
            _answer(request)
        if request.get("last"):
            break
    return 0


if __name__ == "__main__":
    sys.exit(main())
