"""Carry the engine's socket over TCP on loopback: `doctor_relay.py PORT`."""

import socket
import sys
import threading
from contextlib import suppress


def carry(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while block := source.recv(65536):
            target.sendall(block)
        target.shutdown(socket.SHUT_WR)


def main(port: int) -> None:
    with socket.create_server(("127.0.0.1", port)) as server:
        while True:
            near, _ = server.accept()
            far = socket.socket(socket.AF_UNIX)
            far.connect("/var/run/docker.sock")
            for pair in ((near, far), (far, near)):
                threading.Thread(target=carry, args=pair, daemon=True).start()


if __name__ == "__main__":
    main(int(sys.argv[1]))
