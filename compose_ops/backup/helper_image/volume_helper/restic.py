"""Run restic on the repository that the container was given."""

import json
import math
import os
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from volume_helper.failure import Failed

FOLDER = Path(os.environ.get("COMPOSE_OPS_REPOSITORY", "/repository"))
SOURCE = Path("/source")
SOURCE_PASSWORD = Path("/source-password")
PASSWORD = Path(os.environ.get("COMPOSE_OPS_PASSWORD", "/password"))
CREDENTIALS = Path(os.environ.get("COMPOSE_OPS_CREDENTIALS", "/credentials"))
KILLED = -9
KINDS = {KILLED: "unreachable", 10: "missing", 11: "locked", 12: "password"}
"""What restic's own exit codes say of a repository."""
LOST = ("unable to open config file", "Is there a repository at the following location")
SHORT_SFTP = re.compile(r"sftp:((?:[^@/]+@)?(?:\[[^\]]+\]|[^:/]+)):")
PORTS = {"http": 80, "https": 443, "sftp": 22}
REFUSALS = {
    "Host key verification failed": "host key",
    "Permission denied (": "login",
    "The specified bucket does not exist": "missing",
    "NoSuchBucket": "missing",
    "The request signature we calculated does not match": "credentials",
    "The Access Key Id you provided does not exist": "credentials",
    "Access Denied": "credentials",
}
"""What ssh and S3 servers answer, which no repetition changes."""
SECONDS_TO_CONNECT = 10.0
SECONDS_AWAY = 60.0
"""How long a server may refuse connections before restic is not waited for."""
RETRYING = re.compile(r"retrying after [^:]*: (.*)")
PIECE = 1 << 20
UPDATES = "2"  # a second


@dataclass(slots=True)
class Restic:
    """
    A repository: `url` is restic's own, "" for the folder that is mounted.

    `options` stand before each command. What reads needs no lock.
    """

    url: str = ""
    options: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    password: Path = PASSWORD

    @classmethod
    def of(cls, words: Mapping[str, Any]) -> "Restic":
        """Return the repository that a request describes."""
        return cls(
            words.get("url", ""),
            tuple(words.get("options", ())),
            _variables(CREDENTIALS),
        )

    def lines(self, *words: str, progress: bool = False) -> Iterator[dict[str, Any]]:
        """Yield what restic prints as JSON; raise Failed when it fails."""
        with self.running(*words, *(["--json"] if progress else [])) as stream:
            for line in stream:
                yield _object(line)

    def answer(self, *words: str) -> Any:
        """Return the one JSON value that restic prints."""
        with self.running(*words, "--json", patience=SECONDS_AWAY) as stream:
            text = stream.read()
        return json.loads(text or b"null")

    def quiet(self, *words: str) -> None:
        """Run restic for its effect."""
        with self.running(*words) as stream:
            while stream.read(PIECE):
                pass

    @contextmanager
    def running(
        self,
        *words: str,
        text: bytes | None = None,
        cwd: Path | None = None,
        patience: float = math.inf,
        tolerates: Callable[[int, str], bool] = lambda _code, _said: False,
    ) -> Iterator[IO[bytes]]:
        """
        Yield what restic writes; *text* is its standard input.

        A failure raises Failed at the block's end, unless *tolerates* its exit code and
        what it said. Requests that fail are repeated for *patience* seconds, at most
        for as long as restic does (15 minutes).
        """
        require_server(self.url)
        with subprocess.Popen(
            [*self._user(), "restic", "--no-cache", *self.options, *words],
            stdin=subprocess.PIPE if text is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=self._variables(),
        ) as process:
            said: list[bytes] = []
            ears = (process, self.url, said, patience)
            aside = [threading.Thread(target=_listen, args=ears)]
            if text is not None:
                aside.append(threading.Thread(target=_give, args=(process.stdin, text)))
            for thread in aside:
                thread.start()
            try:
                yield _present(process.stdout)
            except BaseException:
                process.kill()
                raise
            finally:
                for thread in aside:
                    thread.join()
            code = process.wait()
        words_said = _said(said)
        if code != 0 and not tolerates(code, words_said):
            raise _failure(code, words_said)

    def _user(self) -> list[str]:
        """
        Return what runs restic as the owner of a mounted repository.

        So its files are the owner's; to read all of a volume it needs no more than
        one capability. A restore must write as root.
        """
        folder = SOURCE if SOURCE.is_dir() else FOLDER
        if not folder.is_dir() or os.environ.get("COMPOSE_OPS_WRITES"):
            return []
        owner = folder.stat()
        if owner.st_uid == 0:
            return []
        return [
            *("setpriv", f"--reuid={owner.st_uid}", f"--regid={owner.st_gid}"),
            *("--clear-groups", "--inh-caps=+dac_read_search"),
            "--ambient-caps=+dac_read_search",
        ]

    def _variables(self) -> dict[str, str]:
        return {
            **os.environ,
            **self.environment,
            "RESTIC_REPOSITORY": self.url or str(FOLDER),
            "RESTIC_PASSWORD_FILE": str(self.password),
            "RESTIC_PROGRESS_FPS": UPDATES,
        } | (
            {
                "RESTIC_FROM_REPOSITORY": str(SOURCE),
                "RESTIC_FROM_PASSWORD_FILE": str(SOURCE_PASSWORD),
            }
            if SOURCE.is_dir()
            else {}
        )


def _variables(file: Path) -> dict[str, str]:
    """Return the variables in a file of lines NAME=value."""
    if not file.is_file():
        return {}
    lines = (line.strip() for line in file.read_text().splitlines())
    pairs = (line.partition("=") for line in lines if line[:1] not in {"", "#"})
    return {name.strip(): value.strip() for name, _, value in pairs}


def _present(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise Failed("restic did not start")
    return pipe


def _listen(
    process: "subprocess.Popen[bytes]", url: str, said: list[bytes], patience: float
) -> None:
    """Keep what restic says; end it where its server does not come back, or refuses."""
    away: float | None = None
    began: float | None = None
    for line in process.stderr or ():
        said.append(line)
        text = line.decode(errors="replace")
        if not RETRYING.search(text):
            continue
        now = time.monotonic()
        began = now if began is None else began
        if answers(url):
            away = None
        elif away is None:
            away = now
        gone = away is not None and now - away > SECONDS_AWAY
        if gone or now - began > patience or any(w in text for w in REFUSALS):
            process.kill()


def require_server(url: str) -> None:
    """Raise Failed where nothing answers: restic would try it for a quarter hour."""
    if not answers(url):
        server = urlsplit(_inner(url))
        raise Failed(f"{server.netloc} does not answer", kind="unreachable")


def answers(url: str) -> bool:
    """Say whether the server of a repository takes connections; True without one."""
    server = urlsplit(_inner(url))
    if server.scheme not in PORTS or not server.hostname:
        return True
    try:
        place = (server.hostname, server.port or PORTS[server.scheme])
        socket.create_connection(place, SECONDS_TO_CONNECT).close()
    except OSError:
        return False
    return True


def _inner(url: str) -> str:
    """Return the url behind `rest:` or `s3:`, or of the server behind `sftp:`."""
    if url.startswith(("rest:", "s3:")):
        return url.partition(":")[2]
    short = SHORT_SFTP.match(url)
    return f"sftp://{short[1]}" if short else url


def _give(pipe: IO[bytes] | None, text: bytes) -> None:
    try:
        with _present(pipe) as sink:
            sink.write(text)
    except BrokenPipeError:
        return


def _object(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _said(lines: Sequence[bytes]) -> str:
    """Return what restic complained of, a line each, without its JSON."""
    return "\n".join(filter(None, map(_complaint, lines)))


def _complaint(line: bytes) -> str:
    found = _object(line)
    if not found:
        return line.decode(errors="replace").strip()
    error = found.get("error")
    inner = error.get("message", "") if isinstance(error, dict) else error
    return str(found.get("message") or inner or "")


def _failure(code: int, said: str) -> Failed:
    kind = KINDS.get(code, "")
    if not kind and any(words in said for words in LOST):
        kind = "missing"
    kind = next((REFUSALS[words] for words in REFUSALS if words in said), kind)
    lines = said.splitlines()
    if retried := RETRYING.findall(said):
        lines = [retried[-1]] if code == KILLED else lines
    fatal = [line for line in lines if line.startswith("Fatal: ")]
    last = (fatal or lines or [f"exit code {code}"])[-1 if not fatal else 0]
    return Failed(last.removeprefix("Fatal: "), kind=kind)
