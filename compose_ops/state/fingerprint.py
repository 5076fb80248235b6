"""
Fingerprints of secrets: equal for equal contents, and of no use without our key.

A plain hash would let anyone who sees it, such as in a name on the cluster, try
passwords until one fits.
"""

import hashlib
import hmac
import secrets
from pathlib import Path

from compose_ops.project.paths import STATE
from compose_ops.state import folder, store

KEY_FILE = "fingerprint-key"
KEY_BYTES = 32


def key_of(root: Path) -> bytes:
    """
    Return the key of a checkout, made when it is first asked for (0600).

    Raises DataError where it is damaged or cannot be written, ConfigurationError where
    it is closed to this user.
    """
    path = root / STATE / KEY_FILE
    try:
        return _key_in_file(path)
    except FileNotFoundError:
        folder.ignore(root)
        store.write(path, new_key())
        return _key_in_file(path)


def _key_in_file(path: Path) -> bytes:
    try:
        return key_in(store.read_bytes(path).decode("ascii"))
    except FileNotFoundError:
        raise
    except PermissionError as refused:
        raise store.closed(path) from refused
    except (OSError, ValueError) as wrong:
        reason = getattr(wrong, "strerror", None) or str(wrong)
        raise store.damaged(
            path, reason, "the next task makes another one, and new names"
        ) from wrong


def new_key() -> str:
    return secrets.token_hex(KEY_BYTES)


def key_in(text: str) -> bytes:
    """Return the key that *text* has in hex; ValueError for one of another length."""
    key = bytes.fromhex(text)
    if len(key) != KEY_BYTES:
        raise ValueError(f"its key has {len(key)} bytes, not {KEY_BYTES}")
    return key


def fingerprint(key: bytes, data: bytes) -> str:
    """
    Return 64 hexadecimal digits that stand for *data*.

    >>> fingerprint(b"key", b"data")[:12]
    '5031fe3d989c'
    """
    return hmac.new(key, data, hashlib.sha256).hexdigest()
