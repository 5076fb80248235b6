"""Docker's words, and what they are taken for."""

import pytest

from compose_ops.docker.failure import failure, warnings
from compose_ops.errors import ConfigurationError, EngineError, EngineUnavailable

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


CONFIG = ["docker", "compose", "--file", "compose.yaml", "config", "--format", "json"]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (15, 'service "a" refers to undefined network n: invalid compose project'),
        (1, "validating /srv/compose.yaml: services.a Additional property bad"),
        (1, "yaml: line 2: did not find expected node content"),
        (
            1,
            "error while interpolating a.image: required variable X is missing",
        ),
    ],
)
def test_compose_files_are_not_valid_where_compose_says_so(
    code: int, words: str
) -> None:
    found = failure(code, words, CONFIG)

    assert isinstance(found, ConfigurationError)
    assert found.message == f"the compose files are not valid: {words}"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (1, "open /srv/.env: permission denied"),
        (1, "write /dev/stdout: no space left on device"),
        (14, "open /srv/more.yaml: no such file or directory"),
        (2, "fatal error: runtime: out of memory"),
    ],
)
def test_compose_files_that_cannot_be_read_are_not_called_invalid(
    code: int, words: str
) -> None:
    found = failure(code, words, CONFIG)

    assert isinstance(found, ConfigurationError)
    assert found.message == f"the compose files could not be read: {words}"
    assert "invoke lint" not in found.hint


def test_crash_of_the_client_is_told_by_its_cause_and_not_by_its_trace() -> None:
    words = "fatal error: runtime: out of memory\n\ngoroutine 1:\n\t/src/asm.s:349 +0x1"

    assert failure(2, words, CONFIG).message.endswith("runtime: out of memory")


@pytest.mark.parametrize("code", [255, 137])
@pytest.mark.parametrize("words", ["", " Network x  Created\n Container db  Starting"])
def test_killed_client_is_named_whatever_progress_it_printed(
    code: int, words: str
) -> None:
    found = failure(code, words, ["docker", "compose", "up", "--detach"])

    assert "dmesg" in found.hint
    assert str(code) in found.message
    assert "Starting" not in found.message


def test_error_that_ends_with_the_code_of_a_killed_client_is_told() -> None:
    words = "Error response from daemon: conflict"

    assert failure(255, words, ["docker", "rm"]).message.endswith(words)


@pytest.mark.parametrize(
    "words",
    [
        "Error response from daemon: dial unix /run/containerd.sock: connect: refused",
        "Error response from daemon: error during connect: plugin",
        f"#7 0.31 {NO_DAEMON.format('tcp://dind')}\nfailed to solve: exit code: 1",
        "0.2 docker: 'compose' is not a docker command.\nfailed to solve: exit code: 1",
        "failed to start: tool says unknown shorthand flag: 'f' in -f",
    ],
)
def test_words_of_the_daemon_and_of_programs_do_not_say_that_no_engine_answers(
    words: str,
) -> None:
    found = failure(1, words, ["docker", "compose", "build"])

    assert not isinstance(found, EngineUnavailable)
    assert found.message.endswith(words.splitlines()[-1])


@pytest.mark.parametrize(
    "words",
    [
        "unable to get image 'a': " + NO_DAEMON.format("unix:///var/run/docker.sock"),
        "ERROR: " + NO_DAEMON.format("unix:///var/run/docker.sock"),
        "unknown shorthand flag: 'f' in -f\nSee 'docker --help'.",
        "docker: unknown command: docker compose",
    ],
)
def test_words_of_the_client_say_it(words: str) -> None:
    found = failure(1, words, ["docker", "compose", "up"])

    assert isinstance(found, EngineUnavailable)


def test_warnings_are_read_once_each() -> None:
    unset = r'level=warning msg="The \"A\" variable is not set."'
    words = f"{unset}\n{unset}\nlevel=info msg=fine\nlevel=warning msg=late\n"
    words += 'level=warning msg="a.yml: the attribute `version` is obsolete, it"\n'

    assert warnings(words) == ('The "A" variable is not set.', "late")
