"""Encrypt and decrypt a set's files with age while they are written and read."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, Any

from compose_ops.errors import DataError, UsageError, needs_extra
from compose_ops.project import sharing

# A container's root must open a pipe of ours without the right to open everything.
PIPE_MODE = 0o606
SECONDS_FOR_THE_REST = 60.0
SECONDS_TO_GIVE_UP = 5.0


class WrongKey(DataError):  # noqa: N818 - names what is wrong
    """What is encrypted cannot be opened with the keys at hand."""


def recipients(texts: Sequence[str]) -> list[Any]:
    """
    Read age recipients: `age1…`, an `ssh-…` public key, or a file with one a line.

    Raises UsageError for what is none of these.
    """
    return [_recipient(line) for text in texts for line in _lines(text)]


def identities(path: Path) -> list[Any]:
    """Read the secret keys in a file, age's or an SSH one; UsageError."""
    with needs_extra("encryption"):
        from pyrage import IdentityError, ssh, x25519

    try:
        text = path.read_text()
        if text.startswith("-----BEGIN"):
            return [ssh.Identity.from_buffer(text.encode())]
        return [x25519.Identity.from_str(line) for line in _keys(text)]
    except (OSError, IdentityError) as wrong:
        raise UsageError(
            f"{path} holds no age identity: {wrong}",
            hint="age-keygen -o FILE makes one; its public key is the recipient",
        ) from wrong


def one_time_identity() -> tuple[Any, Any]:
    """Return a secret key for reading back what is being written, and its recipient."""
    from pyrage import x25519

    secret = x25519.Identity.generate()
    return secret, secret.to_public()


def _recipient(text: str) -> Any:
    with needs_extra("encryption"):
        from pyrage import RecipientError, ssh, x25519

    try:
        kind = ssh if text.startswith("ssh-") else x25519
        return kind.Recipient.from_str(text)
    except RecipientError as wrong:
        raise UsageError(
            f"{text!r:.40} is not an age recipient",
            hint="give --encrypt age1…, an ssh- public key, or a file of them",
        ) from wrong


def _lines(text: str) -> list[str]:
    if text.startswith(("age1", "ssh-")):
        return [text]
    try:
        return _keys(Path(text).expanduser().read_text())
    except OSError as missing:
        raise UsageError(
            f"{text!r:.60} is neither a recipient nor a file that can be read",
            hint="give --encrypt age1…, an ssh- public key, or a file of them",
        ) from missing


def _keys(text: str) -> list[str]:
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


@contextmanager
def sealed(pipe: Path, target: Path, keys: Sequence[Any]) -> Iterator[None]:
    """While the block runs, encrypt what is written into *pipe* to *target*."""
    from pyrage import encrypt_io

    def work(source: IO[bytes]) -> None:
        with target.open("wb") as sink:
            encrypt_io(source, sink, list(keys))
            sink.flush()
            os.fsync(sink.fileno())

    with _working(pipe, "rb", work, partial(_cannot_encrypt, target)):
        yield


@contextmanager
def opened(pipe: Path, source: Path, keys: Sequence[Any]) -> Iterator[None]:
    """While the block runs, decrypt *source* into *pipe*."""
    from pyrage import decrypt_io

    def work(sink: IO[bytes]) -> None:
        with source.open("rb") as stored:
            decrypt_io(stored, sink, list(keys))

    with _working(pipe, "wb", work, partial(_cannot_decrypt, source)):
        yield


class _PipeThread:
    """
    Runs *work* on this end of a pipe, in a thread, while a helper has the other end.

    `fault` is what the work failed of.
    """

    def __init__(
        self, pipe: Path, mode: str, work: Callable[[IO[bytes]], None]
    ) -> None:
        self._pipe, self._mode, self._work = pipe, mode, work
        self.fault: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            with self._pipe.open(self._mode) as end:
                self._work(end)
        except Exception as fault:  # noqa: BLE001 - carried over to the caller
            self.fault = fault

    def join(self) -> None:
        """Wait for the end of the work, unless the other end of the pipe never came."""
        self._thread.join(SECONDS_FOR_THE_REST)
        if self._thread.is_alive():
            self.give_up()

    def give_up(self) -> None:
        """Open and close both ends of the pipe, so that the work is not waited for."""
        with suppress(OSError):
            os.close(os.open(self._pipe, os.O_RDWR | os.O_NONBLOCK))
        self._thread.join(SECONDS_TO_GIVE_UP)


@contextmanager
def _working(
    pipe: Path,
    mode: str,
    work: Callable[[IO[bytes]], None],
    error: Callable[[Exception], DataError],
) -> Iterator[None]:
    """
    Run *work* on the pipe while the block runs; its failure comes out of the block.

    The helper's own failure comes first, unless the work's is the cause of it.
    """
    thread = _PipeThread(pipe, mode, work)
    try:
        yield
    except DataError as refused:
        thread.give_up()
        if thread.fault and not isinstance(thread.fault, BrokenPipeError):
            raise error(thread.fault) from refused
        raise
    except BaseException:
        thread.give_up()
        raise
    thread.join()
    if thread.fault:
        raise error(thread.fault)


def _cannot_encrypt(target: Path, fault: Exception) -> DataError:
    return DataError(
        f"{target.name} could not be encrypted: {fault}",
        hint="is there room at the destination? --dest DIR names another",
    )


def _cannot_decrypt(source: Path, fault: Exception) -> DataError:
    return WrongKey(
        f"{source.name} cannot be decrypted: {fault}",
        hint="--identity FILE must hold a key of a recipient",
    )


def make_pipe(path: Path) -> Path:
    """
    Make a named pipe that the helper may open; the folder keeps others out.

    Raises DataError, naming the filesystem, where that has no pipes.
    """
    try:
        os.mkfifo(path)
        path.chmod(PIPE_MODE)
    except OSError as refused:
        kind = sharing.filesystem(path.parent) or "this type"
        raise DataError(
            f"{path.parent} is on a filesystem of {kind} without named pipes, which "
            f"encryption needs: {refused.strerror}",
            hint="--dest DIR names another destination",
        ) from refused
    return path
