#!/opt/venv/bin/python -I
"""
Ask each Ray process of this container for an answer of its own.

``ray status`` asks the GCS alone, and takes ten times the CPU. Here the GCS, the
raylet, the dashboard and the client server each have to answer in time; a worker
node has only the raylet. Exit codes: 0 all answered; 1 one did not, named on stderr.
"""

import sys
import time
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import grpc

SECONDS = 6.0
RAYLET = {"raylet": ("127.0.0.1:6380", "NodeManagerService/GetSystemConfig", b"")}
# The last request is a ClusterInfoRequest of the type PING.
HEAD = {
    "gcs": ("127.0.0.1:6379", "NodeInfoGcsService/CheckAlive", b""),
    "client server": ("127.0.0.1:10001", "RayletDriver/ClusterInfo", b"\x08\x06"),
}


def main() -> int:
    """Return the exit code."""
    head = b"--head" in Path("/proc/1/cmdline").read_bytes().split(b"\0")
    deadline = time.monotonic() + SECONDS
    processes = {**RAYLET, **HEAD} if head else RAYLET
    channels = [grpc.insecure_channel(process[0]) for process in processes.values()]
    answers = {
        name: channel.unary_unary(f"/ray.rpc.{method}").future(request, timeout=SECONDS)
        for channel, (name, (_, method, request)) in zip(channels, processes.items())
    }
    silent = {name: str(a.code()) for name, a in answers.items() if a.exception()}
    if head:
        silent.update(_ask_dashboard(max(deadline - time.monotonic(), 0.1)))
    for name, reason in silent.items():
        print(f"{name}: {reason}", file=sys.stderr)  # noqa: T201
    return 1 if silent else 0


def _ask_dashboard(seconds: float) -> dict[str, str]:
    connection = HTTPConnection("127.0.0.1", 8265, timeout=seconds)
    try:
        # Ray's dashboard fails on a request that names no agent.
        connection.request("GET", "/api/version", headers={"User-Agent": "ray-health"})
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        return {"dashboard": str(error) or type(error).__name__}
    return {} if status == HTTPStatus.OK else {"dashboard": f"HTTP {status}"}


if __name__ == "__main__":
    sys.exit(main())
