"""
python-on-whales, each of whose requests gets a time limit and an environment here.

Its `run` takes neither, so what it knows as the subprocess module is replaced by
`_Subprocess`, which adds both within `limited`. Requests that the same process makes
with python-on-whales outside of that are run as ever.
"""

import re
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import local
from typing import TYPE_CHECKING, Any, TypeVar

from compose_ops.docker import failure, process
from compose_ops.docker.api import Echo
from compose_ops.errors import EngineError, EngineUnavailable

if TYPE_CHECKING:
    from python_on_whales import DockerClient

T = TypeVar("T")

_WRITTEN = re.compile(r"in (\S+\.json) because")
"""Where python-on-whales says that it wrote an answer which it could not read."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the requests of one call get: `timeout` is in seconds, for each of them."""

    timeout: float
    environment: Mapping[str, str]
    echo: Echo


_current = local()


class _Subprocess:
    """What python-on-whales uses of the subprocess module, under the current limits."""

    PIPE = subprocess.PIPE
    Popen = subprocess.Popen
    TimeoutExpired = subprocess.TimeoutExpired

    @staticmethod
    def run(
        args: Sequence[str], *, env: Mapping[str, str] | None = None, **how: Any
    ) -> "subprocess.CompletedProcess[bytes]":
        limits: Limits | None = getattr(_current, "limits", None)
        if limits is None:
            return subprocess.run(args, env=env, check=False, **how)
        process.shown(args, limits.environment, limits.echo)
        content = how.pop("input", None)
        how["stdin"] = subprocess.DEVNULL if content is None else subprocess.PIPE
        started = process.begin(args, {**(env or {}), **limits.environment}, **how)
        out, err = process.finish(started, content, limits.timeout)
        return subprocess.CompletedProcess(args, started.returncode, out, err)


@contextmanager
def limited(limits: Limits) -> Iterator[None]:
    """Give what this thread asks python-on-whales within the block these limits."""
    _current.limits = limits
    try:
        yield
    finally:
        _current.limits = None


def client(**settings: Any) -> "DockerClient":
    """Return python-on-whales' client; importing it takes 0.2 s."""
    from python_on_whales import DockerClient, utils

    vars(utils)["subprocess"] = _Subprocess
    return DockerClient(**settings)


def call(
    docker: "DockerClient", action: Callable[["DockerClient"], T], limits: Limits
) -> T:
    """
    Do *action* on the client; what goes wrong comes back as an EngineError.

    An answer that python-on-whales cannot read is not left on the disk.
    """
    from python_on_whales import DockerException
    from python_on_whales.client_config import ClientNotFoundError, ParsingError

    try:
        with limited(limits):
            return action(docker)
    except DockerException as refused:
        raise failure.failure(
            refused.return_code,
            refused.stderr or refused.stdout or "",
            [str(word) for word in refused.docker_command],
        ) from refused
    except subprocess.TimeoutExpired as late:
        raise EngineUnavailable(
            f"docker {_verb(late.cmd)} did not end within {limits.timeout:g} s",
            hint="look at the daemon's log; invoke doctor looks for the cause",
        ) from late
    except ClientNotFoundError as missing:
        raise failure.no_client() from missing
    except ParsingError as unreadable:
        for file in _WRITTEN.findall(str(unreadable)):
            with suppress(OSError):
                Path(file).unlink()
        raise EngineError(
            "python-on-whales cannot read what docker answered",
            hint="docker version names both sides; a newer python-on-whales may help",
        ) from None


def _verb(argv: Sequence[str]) -> str:
    """Return the first words of a docker command that are no flags."""
    words = [str(word) for word in argv[1:]]
    if "compose" not in words:
        return " ".join(words[:2])
    after = words[words.index("compose") + 1 :]
    while after and after[0].startswith("--"):
        after = after[2:]
    return " ".join(["compose", *after[:1]])
