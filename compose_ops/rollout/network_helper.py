"""
Requests from inside a container's network: HTTP, and HAProxy's runtime API.

The update uses `exchange` where this host has a route. Where it has none, a helper
container runs this file by itself (`python3 -c SOURCE`), and answers a JSON request on
each line of its standard input with a JSON answer on one of its standard output. It
needs the standard library alone.
"""

import http.client
import json
import socket
import ssl
import sys
from typing import Any, Dict  # noqa: UP035 - the helper's Python may be an old one

Values = Dict[str, Any]  # noqa: UP006


def exchange(request: Values) -> Values:
    """
    Send one HTTP request on a connection of its own.

    The request has `host`, `port`, `scheme`, `method`, `path`, `headers`, `body` and
    `timeout` in seconds; the answer `status` and `body`, or `error`. Bodies are text in
    which each character stands for a byte. Certificates are not verified: a replica is
    addressed by its address.
    """
    where, limit = (request["host"], request["port"]), request["timeout"]
    connection: http.client.HTTPConnection
    if request["scheme"] == "https":
        unverified = ssl._create_unverified_context()  # noqa: S323, SLF001
        connection = http.client.HTTPSConnection(
            *where, timeout=limit, context=unverified
        )
    else:
        connection = http.client.HTTPConnection(*where, timeout=limit)
    try:
        body = request["body"].encode("latin-1")
        connection.request(
            request["method"],
            request["path"],
            body=body or None,
            headers=request["headers"],
        )
        answer = connection.getresponse()
        return {"status": answer.status, "body": answer.read().decode("latin-1")}
    except (OSError, http.client.HTTPException) as error:
        return {"error": f"{type(error).__name__}: {error}"}
    finally:
        connection.close()


def runtime(request: Values) -> Values:
    """Send `command` to the runtime API at `port`; return its answer as `text`."""
    where, limit = ("127.0.0.1", request["port"]), request["timeout"]
    try:
        with socket.create_connection(where, limit) as connection:
            connection.sendall(request["command"].encode() + b"\n")
            parts = iter(lambda: connection.recv(65536), b"")
            return {"text": b"".join(parts).decode(errors="replace")}
    except OSError as error:
        return {"error": str(error)}


def main() -> None:
    """Answer requests until standard input ends."""
    kinds = {"http": exchange, "runtime": runtime}
    for line in sys.stdin:
        request = json.loads(line)
        answer = kinds[request["kind"]](request)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
