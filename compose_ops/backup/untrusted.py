"""Read small JSON files that nobody vouches for."""

import json
import os
import stat
from pathlib import Path
from typing import Any


def read_json(path: Path, *, most: int) -> dict[str, Any]:
    """
    Return the object in a plain file of at most *most* bytes.

    Raises FileNotFoundError, OSError, and ValueError for all else that it may be: a
    pipe, a link, a device, too much, too deep, or no JSON object.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ValueError("it is no plain file")
        text = file.read(most + 1)
    if len(text) > most:
        raise ValueError("it is too large")
    try:
        data = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    if not isinstance(data, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004 - what it holds
    return data
