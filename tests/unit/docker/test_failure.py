"""Docker's words, and what they are taken for."""

import pytest

from compose_ops.docker.failure import failure, warnings
from compose_ops.errors import EngineError, EngineUnavailable

SSH = (
    'error during connect: Get "http://docker.example.com/v1.45/info": command '
    "[ssh -o ConnectTimeout=30 -T -- box docker system dial-stdio] has exited with "
    "exit status 255, make sure the URL is valid, and Docker 18.09 or later is "
    "installed on the remote host: stderr="
)
TLS = (
    'error during connect: Get "https://there:2376/v1.45/info": tls: failed to '
    "verify certificate: x509: certificate signed by unknown authority"
)
CLOSED = (
    "permission denied while trying to connect to the Docker daemon socket at "
    "unix:///var/run/docker.sock"
)
NO_DAEMON = "Cannot connect to the Docker daemon at {}. Is the docker daemon running?"


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (NO_DAEMON.format("unix:///var/run/docker.sock"), "no Docker Engine", "start"),
        (
            NO_DAEMON.format("tcp://there:2376"),
            "answers at tcp://there:2376",
            "context",
        ),
        (SSH + "Host key verification failed.\r\n", "Host key verification", "ssh"),
        (SSH + "ssh: connect to host box port 22: refused", "port 22: refused", "ssh"),
        (
            TLS,
            "unknown authority",
            "DOCKER_CERT_PATH",
        ),
        ('context "far": context not found: open', "no docker context named far", "ls"),
        ("docker: 'compose' is not a docker command.", "lacks its compose", "install"),
        (
            CLOSED,
            "may not be used by this user",
            "usermod",
        ),
    ],
)
def test_engine_that_is_not_reached_is_told_apart(
    words: str, message: str, hint: str
) -> None:
    found = failure(1, words, ["docker", "info"])

    assert isinstance(found, EngineUnavailable)
    assert message in found.message
    assert hint in found.hint


def test_last_line_that_means_something_is_the_message() -> None:
    words = (
        "docker: Error response from daemon: No such image: x.\n"
        "See 'docker run --help'.\n"
    )
    found = failure(125, words, ["docker", "run", "x"])

    assert isinstance(found, EngineError)
    assert found.message.endswith("Error response from daemon: No such image: x.")


def test_warnings_are_read_once_each() -> None:
    unset = r'level=warning msg="The \"A\" variable is not set."'
    words = f"{unset}\n{unset}\nlevel=info msg=fine\nlevel=warning msg=obsolete\n"

    assert warnings(words) == ('The "A" variable is not set.', "obsolete")
