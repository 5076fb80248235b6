"""Another machine on the link, played by a network namespace of the test's own."""

import json
import random
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

CONNECT_ALL = """
import json, socket, sys
from concurrent.futures import ThreadPoolExecutor

def reaches(target):
    try:
        socket.create_connection(tuple(target), 1.5).close()
        return True
    except OSError:
        return False

targets = json.loads(sys.argv[1])
with ThreadPoolExecutor(max(len(targets), 1)) as pool:
    print(json.dumps(list(pool.map(reaches, targets))))
"""
LISTEN = """
import socket, sys
server = socket.create_server(("0.0.0.0", 0))
print(server.getsockname()[1], flush=True)
while True:
    server.accept()[0].close()
"""


@dataclass(frozen=True)
class Neighbour:
    """A machine next to the host: `host` is the host's address on their link."""

    namespace: str
    host: str
    address: str

    def route(self, destination: str) -> None:
        """Send packets for *destination* to the host, as a malicious neighbour may."""
        self.run("ip", "route", "replace", destination, "via", self.host)

    def reaches(self, targets: list[tuple[str, int]]) -> list[bool]:
        """Say for each target whether it accepts a connection from the neighbour."""
        done = self.run("python3", "-c", CONNECT_ALL, json.dumps(targets))
        found: list[bool] = json.loads(done.stdout)
        return found

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["ip", "netns", "exec", self.namespace, *words],
            capture_output=True,
            text=True,
            check=True,
        )

    @contextmanager
    def listening(self) -> Iterator[int]:
        """Listen on a port of the neighbour's, and yield its number."""
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.namespace, sys.executable, "-c", LISTEN],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()
            process.communicate()

    def packets_received(self) -> int:
        """Return how many IPv4 packets have reached the neighbour, from anywhere."""
        lines = self.run("cat", "/proc/net/snmp").stdout.splitlines()
        names, values = (line.split() for line in lines if line.startswith("Ip:"))
        return int(dict(zip(names, values, strict=True))["InReceives"])


@contextmanager
def neighbour() -> Iterator[Neighbour]:
    """Add a namespace, a link to it and routes; take all of it away afterwards."""
    name = f"nb{uuid.uuid4().hex[:8]}"
    block = f"10.{random.randrange(240, 250)}.{random.randrange(250)}"
    link, far = f"{name}h", f"{name}n"
    _ip("netns", "add", name)
    try:
        _ip("link", "add", link, "type", "veth", "peer", "name", far, "netns", name)
        _ip("addr", "add", f"{block}.1/30", "dev", link)
        _ip("link", "set", link, "up")
        made = Neighbour(name, f"{block}.1", f"{block}.2")
        made.run("ip", "addr", "add", f"{block}.2/30", "dev", far)
        made.run("ip", "link", "set", far, "up")
        made.run("ip", "link", "set", "lo", "up")
        yield made
    finally:
        _ip("netns", "delete", name)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
