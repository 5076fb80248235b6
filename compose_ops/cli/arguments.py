"""
Kinds of values on the command line, judged before a task looks at anything.

Each flag that takes a value has a kind in `KINDS`. What is refused here is refused
with the flag's name, on one line, with exit code 2, and nothing has begun.
"""

import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from compose_ops.errors import UsageError
from compose_ops.plain_text import plain

Kind = Callable[[str], str]
"""Takes a value and returns what is wrong with it, "" for nothing."""

LONGEST_NAME, LONGEST_PATH, LONGEST_TEXT = 255, 4095, 10_000
LARGEST_FILE = 64 << 20
MOST_DIGITS = 9
SHOWN = 40


def name(value: str) -> str:
    """Judge the name of a service, a mode, a set, a check and their like."""
    if len(value) > LONGEST_NAME:
        return f"has {len(value)} characters, no name has more than {LONGEST_NAME}"
    if not re.fullmatch(r"[A-Za-z0-9_.][\w.-]*", value, re.ASCII):
        return "is no name: letters, digits, '_', '.' and '-' only, not '-' first"
    return ""


def text(value: str) -> str:
    """Judge words that are shown or compared, such as a reason or a time."""
    if len(value) > LONGEST_TEXT:
        return f"has {len(value)} characters, at most {LONGEST_TEXT} are read"
    if not _is_utf8(value):
        return "is not UTF-8"
    return "" if value == plain(value) else "holds a control character"


def word(value: str) -> str:
    """Judge text that becomes an argument of another program, such as an image."""
    if value.startswith("-"):
        return "looks like an option"
    return text(value) or ("holds a space" if re.search(r"\s", value) else "")


def path(value: str) -> str:
    """Judge a path; whether anything is there is not asked."""
    if len(value) > LONGEST_PATH:
        return f"has {len(value)} characters, no path has more than {LONGEST_PATH}"
    if "\0" in value:
        return "holds a zero byte"
    try:
        Path(value).expanduser().resolve()
    except RuntimeError as unknown:  # a user that does not exist, or links in a circle
        return f"leads nowhere: {unknown}"
    except OSError as refused:
        return f"leads nowhere: {refused.strerror}"
    return ""


def readable_file(value: str) -> str:
    """Judge a file that is to be read: regular, there, and of a bounded size."""
    if wrong := path(value):
        return wrong
    try:
        state = Path(value).expanduser().stat()
    except OSError as refused:
        return f"cannot be read: {refused.strerror}"
    if not stat.S_ISREG(state.st_mode):
        return "is not a regular file"
    if state.st_size > LARGEST_FILE:
        return f"has {state.st_size} bytes, at most {LARGEST_FILE} are read"
    return ""


def file_to_write(value: str) -> str:
    """Judge a file that may not exist yet: whatever is there must be a regular file."""
    return readable_file(value) if not path(value) and _is_there(value) else path(value)


def file_of_lint(value: str) -> str:
    """Judge a compose file: whether it is there, lint says, with its own exit code."""
    return file_to_write(value)


def recipient(value: str) -> str:
    """Judge a recipient of encrypted sets, or a file of them."""
    if value.startswith(("age1", "ssh-")):
        return text(value)
    return word(value) if not _is_there(value) else readable_file(value)


KINDS: Mapping[str, Kind] = {
    **dict.fromkeys(("service", "only", "skip", "rule"), name),
    **dict.fromkeys(("set", "project", "from_project", "restore_point"), name),
    **dict.fromkeys(("gpu", "consistency", "format", "fail_on", "explain"), name),
    **dict.fromkeys(("accept", "at", "mode", "overlay"), text),
    **dict.fromkeys(("dest", "bundle"), path),
    "identity": readable_file,
    "file": file_of_lint,
    **dict.fromkeys(("baseline", "report", "output"), file_to_write),
    **dict.fromkeys(("image", "source", "trust", "rotate", "fingerprint"), word),
    "encrypt": recipient,
}
"""What each flag takes, numbers apart, by the name of its parameter."""


def check(flags: Mapping[str, Any]) -> None:
    """
    Return when every value is of its flag's kind; UsageError for the first that is not.

    >>> check({"service": ["web"], "timeout": 60})
    """
    for parameter, given in flags.items():
        kind = KINDS.get(parameter)
        if kind is None or not given:
            continue
        for value in [given] if isinstance(given, str) else given:
            wrong = kind(value) if value else "is empty"
            if wrong:
                flag = parameter.replace("_", "-")
                shown = value if len(value) <= SHOWN else f"{value[:SHOWN]}…"
                raise UsageError(
                    f"--{flag} {plain(shown)!r} {plain(wrong)}",
                    hint="invoke TASK --help says what each flag takes",
                )


def whole_number(value: str) -> int:
    """Return *value* as a number of 0 or more; UsageError where it is none."""
    if value.isascii() and value.isdigit() and len(value.lstrip("0")) <= MOST_DIGITS:
        return int(value)
    shown = value if len(value) <= SHOWN else f"{value[:SHOWN]}…"
    raise UsageError(
        f"{plain(shown)!r} is not a whole number below 10^{MOST_DIGITS}",
        hint="give digits only, such as 60",
    )


def _is_there(value: str) -> bool:
    try:
        return Path(value).expanduser().exists()
    except (OSError, ValueError, RuntimeError):
        return False


def _is_utf8(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
