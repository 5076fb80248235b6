"""
Send messages and pings: a program of its own, so that it can be ended when it is slow.

It reads `{"messages": [{"title", "body", "kind"}], "urls": [{"target", "url"}],
"pings": [{"target", "url", "body"}]}` from standard input. It prints lines of JSON:
`{"ready"}` once all is loaded, and for each target `{"target", "fault"}`.
"""

import json
import logging
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from threading import Lock, Thread
from typing import Any

TIMEOUT = 10.0
SCHEMES = ("http", "https")
_printing = Lock()


class _Reasons(logging.Handler):
    """Keeps what Apprise logs, in threads of its own: it raises nothing."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


def main() -> None:
    """Send what standard input asks for, each target in a thread of its own."""
    asked = json.load(sys.stdin)
    threads = [_started(name, send) for name, send in _pings(asked["pings"])]
    loaded = _messages(asked)
    _print({"ready": True})
    threads += [_started(name, send) for name, send in loaded]
    for thread in threads:
        thread.join()
    sys.stdout.flush()
    os._exit(0)  # whatever a plugin has left running


def _started(name: str, send: Callable[[], str]) -> Thread:
    thread = Thread(target=_report, args=(name, send), daemon=True)
    thread.start()
    return thread


def _report(name: str, send: Callable[[], str]) -> None:
    try:
        fault = send()
    except Exception as error:  # noqa: BLE001 - one target spoils no other
        fault = f"{type(error).__name__}: {error}"
    _print({"target": name, "fault": fault})


def _print(answer: Mapping[str, object]) -> None:
    with _printing:
        print(json.dumps(answer), flush=True)  # noqa: T201


def _messages(asked: Mapping[str, Any]) -> list[tuple[str, Callable[[], str]]]:
    """Load Apprise and its plugins; return what sends to each URL."""
    urls = asked["urls"]
    if not urls:
        return []
    try:
        import apprise
    except ImportError:
        missing = "the extra notify is not installed: pip install 'compose-ops[notify]'"
        return [(one["target"], lambda: missing) for one in urls]
    reasons = _Reasons()
    logger = logging.getLogger("apprise")
    logger.addHandler(reasons)
    logger.propagate = False

    def send(target: apprise.Apprise) -> str:
        if not len(target):
            return "Apprise knows no such URL"
        sent = [
            target.notify(
                title=message["title"],
                body=message["body"],
                notify_type=apprise.NotifyType(message["kind"]),
                body_format=apprise.NotifyFormat.TEXT,
            )
            for message in asked["messages"]
        ]
        said = "; ".join(dict.fromkeys(reasons.said))
        return "" if all(sent) else said or "Apprise does not say why"

    found: list[tuple[str, Callable[[], str]]] = []
    for one in urls:
        target = apprise.Apprise()
        target.add(one["url"])
        found.append((one["target"], partial(send, target)))
    return found


def _pings(pings: Sequence[Mapping[str, str]]) -> list[tuple[str, Callable[[], str]]]:
    return [(one["target"], partial(_ping, one["url"], one["body"])) for one in pings]


def _ping(url: str, body: str) -> str:
    if url.partition(":")[0] not in SCHEMES:
        return "a ping is an http or https URL"
    request = urllib.request.Request(url, data=body.encode(), method="POST")  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310
            answer.read(1)
    except urllib.error.HTTPError as refused:
        return f"HTTP status {refused.code}"
    except OSError as refused:
        return str(refused)
    return ""


if __name__ == "__main__":
    main()
