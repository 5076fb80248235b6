"""Encrypt and decrypt a set's files with age while they are written and read."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from compose_ops.errors import DataError, UsageError, needs_extra

# A container's root must open a pipe of ours without the right to open everything.
PIPE_MODE = 0o606


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
            f"{text!r:.40} is no age recipient",
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

    with _thread(pipe, "rb", work, f"{target.name} could not be encrypted"):
        yield


@contextmanager
def opened(pipe: Path, source: Path, keys: Sequence[Any]) -> Iterator[None]:
    """While the block runs, decrypt *source* into *pipe*."""
    from pyrage import decrypt_io

    def work(sink: IO[bytes]) -> None:
        with source.open("rb") as stored:
            decrypt_io(stored, sink, list(keys))

    with _thread(pipe, "wb", work, f"{source.name} cannot be decrypted", WrongKey):
        yield


@contextmanager
def _thread(
    pipe: Path,
    mode: str,
    work: Callable[[IO[bytes]], None],
    failure: str,
    kind: type[DataError] = DataError,
) -> Iterator[None]:
    """Run *work* on the pipe in a thread; its failure comes out of the block."""
    faults: list[Exception] = []

    def run() -> None:
        try:
            with pipe.open(mode) as end:
                work(end)
        except Exception as fault:  # noqa: BLE001 - carried over to the caller
            faults.append(fault)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    except DataError as refused:
        _release(pipe)
        thread.join(5)
        if faults and not isinstance(faults[0], BrokenPipeError):
            raise _named(kind, failure, faults[0]) from refused
        raise
    except BaseException:
        _release(pipe)
        raise
    _release_when_unused(pipe, thread)
    if faults:
        raise _named(kind, failure, faults[0])


def _named(kind: type[DataError], failure: str, fault: Exception) -> DataError:
    return kind(
        f"{failure}: {fault}", hint="--identity FILE must hold a key of a recipient"
    )


def _release_when_unused(pipe: Path, thread: threading.Thread) -> None:
    """Wait for the thread; a pipe whose other end never came is let go."""
    thread.join(60)
    if thread.is_alive():
        _release(pipe)
        thread.join(5)


def _release(pipe: Path) -> None:
    """Open and close both ends, so that nobody waits for the other."""
    with suppress(OSError):
        os.close(os.open(pipe, os.O_RDWR | os.O_NONBLOCK))


def make_pipe(path: Path) -> Path:
    """Make a named pipe that the helper may open; the folder keeps others out."""
    os.mkfifo(path)
    path.chmod(PIPE_MODE)
    return path
