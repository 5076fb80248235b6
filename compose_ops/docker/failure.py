"""Name the error behind what a docker command said and how it ended."""

import re
import signal
from collections.abc import Sequence

from compose_ops.docker.api import Output
from compose_ops.errors import (
    START_ENGINE,
    ConfigurationError,
    EngineError,
    EngineUnavailable,
)
from compose_ops.redaction import clean

TIMED_OUT = 124
COMPOSE_INVALID = 15
KILLED = {255, 128 + signal.SIGKILL}
"""What docker ends with when a signal ended its plugin, and a shell around it."""

_NO_DAEMON = re.compile(
    r"cannot connect to the docker daemon(?: at (?P<host>\S+?)\.?(?:\s|$))?|"
    r"error during connect:|dial unix \S+: connect:",
    re.IGNORECASE,
)
_NO_PERMISSION = re.compile(r"permission denied while trying to conn", re.IGNORECASE)
_SSH = re.compile(r"command \[ssh .*?\] has exited with .*?stderr=(.*)", re.DOTALL)
_TLS = re.compile(
    r"(?:x509|tls): .*|.*server gave HTTP response to HTTPS client.*|"
    r".*client sent an HTTP request to an HTTPS server.*",
    re.IGNORECASE,
)
_NO_CONTEXT = re.compile(r'context "([^"]+)": context not found')
_NO_PLUGIN = re.compile(
    r"^(?:docker: )?(?:'(?:compose|buildx)' is not a docker command|"
    r"unknown shorthand flag: |unknown flag: --(?:file|project-|env-file)|"
    r"unknown command: docker )",
    re.MULTILINE,
)
_OF_OTHERS = re.compile(r"Error response from daemon|^(?:#\d+|\d+\.\d+) ")
"""Lines of the daemon, which was reached then, and of programs in a build."""
_INVALID = re.compile(
    r"^validating |(?:^|: )yaml: |interpolat|required variable|additional propert|"
    r"invalid compose project|unmarshal|dependency cycle|(?:refers to|on) undefined",
    re.IGNORECASE,
)
"""What is wrong in compose files; other versions of Compose end with other codes."""
_STATES_ERROR = re.compile(
    r"error|fail|denied|refused|cannot|invalid|unknown|no such", re.IGNORECASE
)
_ABSENT = re.compile(r"no such|network \S+ not found", re.IGNORECASE)
"""How Docker says that what is asked about is not there, each noun in its own words."""
_NOISE = re.compile(
    r"attribute `version` is obsolete|level=warning|"
    r"^(See|Run) 'docker .*--help'|^\s*$"
)
OBSOLETE = "the attribute `version` is obsolete"
"""Compose ignores it, and says so at every command."""
_WARNING = re.compile(r'level=warning msg=(?:"((?:[^"\\]|\\.)*)"|(\S+))')
_LOCAL = ("unix://", "npipe://")

START = f"start it: {START_ENGINE}"
KILLED_HINT = "if memory ran out, the kernel's log says so: dmesg | grep -i killed"


def check(output: Output, argv: Sequence[str]) -> Output:
    """Return *output*, or raise what its exit code and words mean."""
    if output.code == 0:
        return output
    raise failure(output.code, output.stderr or output.stdout, argv)


def says_absent(words: str) -> bool:
    """Say whether Docker only complains that something is not there."""
    return bool(_ABSENT.search(words))


def warnings(words: str) -> tuple[str, ...]:
    """Return each warning among Docker's *words* once; one that changes nothing not."""
    found = (quoted or bare for quoted, bare in _WARNING.findall(words))
    texts = dict.fromkeys(text.replace(r"\"", '"') for text in found)
    return tuple(text for text in texts if OBSOLETE not in text)


def failure(
    code: int, words: str, argv: Sequence[str]
) -> EngineError | ConfigurationError:
    """Name the error behind Docker's *words*."""
    lines = [
        line for line in clean(words).strip().splitlines() if not _NOISE.search(line)
    ]
    if code == TIMED_OUT:
        return EngineUnavailable(
            "the Docker Engine does not answer in time",
            hint=f"look at the daemon's log, then {START}",
        )
    if code < 0:
        return EngineError(
            f"docker was killed by signal {-code} ({_signal_name(-code)})",
            hint=KILLED_HINT,
            detail="\n".join(lines[-10:]),
        )
    own = "\n".join(line for line in lines if not _OF_OTHERS.search(line))
    unreachable = _unreachable(own)
    if unreachable is not None:
        return unreachable
    killed = code in KILLED and not (lines and _STATES_ERROR.search(lines[-1]))
    if killed or not lines:
        return EngineError(
            f"docker ended with exit code {code} and no "
            + ("word of an error" if lines else "output"),
            hint=KILLED_HINT if killed else "--echo shows each command",
            detail="\n".join(lines[-10:]),
        )
    if code == COMPOSE_INVALID or _is_config(argv):
        return _not_merged(code, lines)
    return EngineError(
        f"docker refused: {lines[-1].removeprefix('docker: ')}",
        hint="invoke doctor looks for the cause; --echo shows each command",
        detail="\n".join(lines[-10:-1]),
    )


def _not_merged(code: int, lines: Sequence[str]) -> ConfigurationError:
    """Tell files that are not valid from those that could not be read or merged."""
    if code == COMPOSE_INVALID or any(map(_INVALID.search, lines)):
        return ConfigurationError(
            f"the compose files are not valid: {lines[-1]}",
            hint="invoke config shows the merged model; invoke lint names the fault",
        )
    crash = (line for line in lines if line.startswith("fatal error: "))
    return ConfigurationError(
        f"the compose files could not be read: {next(crash, lines[-1])}",
        hint="mend what it names, then run this again; --echo shows the command",
    )


def no_client() -> EngineUnavailable:
    return EngineUnavailable(
        "no docker client on PATH", hint=f"install an engine, then: {START_ENGINE}"
    )


def _unreachable(words: str) -> EngineUnavailable | None:
    """Return why no engine was reached, None where one was."""
    if found := _SSH.search(words):
        said = (found[1].strip().splitlines() or ["ssh said nothing"])[-1]
        return EngineUnavailable(
            f"the engine's host is not reached by ssh: {said}",
            hint="ssh HOST docker version must answer without a question",
        )
    if _NO_PERMISSION.search(words):
        return EngineUnavailable(
            "Docker's socket may not be used by this user",
            hint='join the group: sudo usermod -aG docker "$USER", then log in again',
        )
    if found := _NO_CONTEXT.search(words):
        return EngineUnavailable(
            f"there is no docker context named {found[1]}",
            hint="docker context ls lists all; docker context use selects one",
        )
    if found := _NO_DAEMON.search(words):
        return _no_answer(found["host"] or "", words)
    if _NO_PLUGIN.search(words):
        return EngineUnavailable(
            "the docker client lacks its compose or buildx plugin",
            hint=f"install both: {START_ENGINE}",
        )
    return None


def _no_answer(host: str, words: str) -> EngineUnavailable:
    if tls := _TLS.search(words):
        return EngineUnavailable(
            f"the connection to the engine is refused: {tls[0].strip()}",
            hint="DOCKER_TLS_VERIFY and DOCKER_CERT_PATH, or the context, name the "
            "certificates",
        )
    if host and not host.startswith(_LOCAL):
        return EngineUnavailable(
            f"no Docker Engine answers at {host}",
            hint="DOCKER_HOST or the context selects it: docker context ls",
        )
    return EngineUnavailable("no Docker Engine answers", hint=START)


def _is_config(argv: Sequence[str]) -> bool:
    """Say whether a command only merges compose files."""
    words = list(argv)
    after = words[words.index("compose") + 1 :] if "compose" in words else []
    while after and after[0].startswith("--"):  # each of these has a value
        after = after[2:]
    return after[:1] == ["config"]


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"
