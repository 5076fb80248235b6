"""
Ways to an engine that is not here: a real sshd, and TCP with TLS, both on loopback.

The sshd is Debian's own. Where it is not installed its package is unpacked beside the
test, and in a mount namespace of its own it finds the users that it needs.
"""

import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import debian_packages

SECONDS = 15.0
HERE = "127.0.0.1"
# /etc/passwd is another one in there: the home of root's holds the authorised key.
_START = """
set -e
mkdir -p /run/sshd
mount --bind "$1/passwd" /etc/passwd
shift
exec "$@"
"""
_EXTENSIONS = {
    "server": "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n",
    "client": "extendedKeyUsage=clientAuth\n",
}


@dataclass(frozen=True, slots=True)
class SshHost:
    """An sshd, and the configuration of a user who reaches it as `HOST`."""

    folder: Path
    port: int

    HOST = "engine-host"

    def environment(self, *, shared: bool = True) -> dict[str, str]:
        """
        Return this process's environment, with docker pointed at it by ssh.

        Unless they are *shared*, each docker command makes a connection of its own.
        """
        path = f"{self.folder}/bin:{os.environ['PATH']}"
        alone = {} if shared else {"SSH_ALONE": "yes"}
        host = f"ssh://{self.HOST}"
        return {**os.environ, "PATH": path, "DOCKER_HOST": host, **alone}

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"


@contextmanager
def ssh_host(folder: Path, *, docker_host: str) -> Iterator[SshHost]:
    """Run an sshd whose sessions find an engine at *docker_host*."""
    found = SshHost(folder, free_port(HERE))
    make_keys(folder)
    key = (folder / "host_key.pub").read_text()
    found.known_hosts.write_text(f"[{HERE}]:{found.port} {key}")
    _write_client(found)
    write_server(folder, found.port, more=f"SetEnv DOCKER_HOST={docker_host}\n")
    argv, environment = server_command(folder)
    with (folder / "sshd.log").open("wb") as log:
        server = subprocess.Popen(argv, env={**os.environ, **environment}, stderr=log)
    try:
        _wait_for(found.port, server, folder / "sshd.log")
        with _connection(found):
            yield found
    finally:
        server.terminate()
        server.wait()


def _write_client(host: SshHost) -> None:
    """Write what a user would have in ~/.ssh/config, and the ssh that reads it."""
    (host.folder / "ssh_config").write_text(
        f"Host {host.HOST}\n  HostName 127.0.0.1\n  Port {host.port}\n  User root\n"
        f"  IdentityFile {host.folder}/user_key\n  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {host.known_hosts}\n  StrictHostKeyChecking yes\n"
        f"  ControlPath {host.folder}/connection\n"
    )
    client = host.folder / "bin/ssh"
    client.parent.mkdir()
    real = shutil.which("ssh")
    alone = "${SSH_ALONE:+-o ControlPath=none}"
    words = f'{real} -F {host.folder}/ssh_config {alone} "$@"'
    client.write_text(f"#!/bin/sh\nexec {words}\n")
    client.chmod(0o755)


@contextmanager
def _connection(host: SshHost) -> Iterator[None]:
    """Hold one connection that docker commands share, as a user's configuration may."""
    shared = host.folder / "connection"
    client = str(host.folder / "bin/ssh")
    with subprocess.Popen([client, "-M", "-N", host.HOST]) as connection:
        until = time.monotonic() + SECONDS
        while not shared.exists():
            assert connection.poll() is None, "ssh does not reach its sshd"
            assert time.monotonic() < until
            time.sleep(0.05)
        try:
            yield
        finally:
            connection.terminate()


def make_keys(folder: Path) -> None:
    """Make the keys of an sshd and of the one user whom it knows."""
    for name in ("host_key", "user_key"):
        _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name))
    (folder / ".ssh").mkdir(mode=0o700)
    shutil.copy(folder / "user_key.pub", folder / ".ssh/authorized_keys")


def server_command(folder: Path) -> tuple[list[str], dict[str, str]]:
    """Return what runs the sshd of a folder, and the variables that it needs."""
    program, libraries = _sshd(folder)
    argv = [program, "-D", "-e", "-f", str(folder / "sshd_config")]
    start = ["unshare", "--mount", "sh", "-c", _START, "sh", str(folder), *argv]
    return start, {"LD_LIBRARY_PATH": libraries}


def write_server(folder: Path, port: int, *, address: str = HERE, more: str) -> None:
    """Write an sshd's configuration with *more* lines, and the users that it finds."""
    (folder / "sshd_config").write_text(
        f"ListenAddress {address}\nPort {port}\nHostKey {folder}/host_key\n"
        "PermitRootLogin prohibit-password\nPasswordAuthentication no\nUsePAM no\n"
        f"StrictModes no\nMaxStartups 100\nMaxSessions 100\nPidFile none\n{more}"
    )
    lines = [
        f"root:x:0:0:root:{folder}:/bin/sh",
        "sshd:x:105:65534::/run/sshd:/usr/sbin/nologin",
    ]
    there = Path("/etc/passwd").read_text().splitlines()
    others = [line for line in there if line.split(":")[0] not in {"root", "sshd"}]
    (folder / "passwd").write_text("\n".join([*lines, *others]) + "\n")


def _sshd(folder: Path) -> tuple[str, str]:
    """Return the program and where its libraries are, unpacked when not installed."""
    if installed := shutil.which("sshd", path="/usr/sbin:/usr/local/sbin"):
        return installed, ""
    root = debian_packages.unpacked(folder, "openssh-server", "libwrap0")
    return str(root / "usr/sbin/sshd"), debian_packages.libraries(root)


@contextmanager
def tls_host(folder: Path, unix_socket: Path) -> Iterator[dict[str, str]]:
    """Carry an engine's socket over TCP with TLS; yield the environment of a client."""
    _certificates(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    context.load_verify_locations(folder / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server(("127.0.0.1", 0)) as server:
        accepting = threading.Thread(
            target=_accept, args=(server, context, unix_socket), daemon=True
        )
        accepting.start()
        port = server.getsockname()[1]
        yield {
            **os.environ,
            "DOCKER_HOST": f"tcp://127.0.0.1:{port}",
            "DOCKER_TLS_VERIFY": "1",
            "DOCKER_CERT_PATH": str(folder),
        }


def _accept(server: socket.socket, context: ssl.SSLContext, target: Path) -> None:
    with suppress(OSError):
        while True:
            near, _ = server.accept()
            threading.Thread(
                target=_carry_both, args=(near, context, target), daemon=True
            ).start()


def _carry_both(near: socket.socket, context: ssl.SSLContext, target: Path) -> None:
    with (
        suppress(OSError),
        context.wrap_socket(near, server_side=True) as inside,
        socket.socket(socket.AF_UNIX) as far,
    ):
        far.connect(str(target))
        back = threading.Thread(target=_carry, args=(far, inside), daemon=True)
        back.start()
        _carry(inside, far)
        back.join()


def _carry(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while block := source.recv(65536):
            target.sendall(block)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _certificates(folder: Path) -> None:
    """Make an authority, and by it a key and certificate of each side."""
    authority = ["-subj", "/CN=trial", "-keyout", "ca.key", "-out", "ca.pem"]
    _run("openssl", "req", "-x509", *_NEW_KEY, *authority, cwd=folder)
    for name, extensions in _EXTENSIONS.items():
        (folder / f"{name}.ext").write_text(extensions)
        made = ["-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr"]
        _run("openssl", "req", *_NEW_KEY, *made, cwd=folder)
        signed = ["-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key"]
        result = ["-CAcreateserial", "-extfile", f"{name}.ext", "-out", f"{name}.pem"]
        _run("openssl", "x509", "-req", *signed, *result, cwd=folder)
    for name, docker_name in (("client.pem", "cert.pem"), ("client.key", "key.pem")):
        shutil.copy(folder / name, folder / docker_name)


_NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


def _run(*argv: str, cwd: Path | None = None) -> None:
    subprocess.run(argv, cwd=cwd, check=True, capture_output=True)


def free_port(address: str) -> int:
    with socket.socket() as plug:
        plug.bind((address, 0))
        return int(plug.getsockname()[1])


def listens(address: str, port: int) -> bool:
    """Say whether something takes connections there."""
    try:
        socket.create_connection((address, port), 1).close()
    except OSError:
        return False
    return True


def _wait_for(port: int, server: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and server.poll() is None:
        if listens(HERE, port):
            return
        time.sleep(0.05)
    raise AssertionError(f"sshd does not listen: {log.read_text()}")
