"""The log as Memgraph writes it: a file per day, stderr only when it is asked for."""

import logging
import sys
from datetime import UTC, datetime
from pathlib import Path

from memgraph_standin.flags import Flags

log = logging.getLogger("memgraph")
log.addHandler(logging.NullHandler())
log.propagate = False
_LEVELS = {"TRACE": logging.DEBUG}
_FORMAT = "[%(asctime)s] [memgraph_log] [%(levelname)s] %(message)s"


def open_log(flags: Flags) -> None:
    """Send the log where the flags say. Raises OSError when the file cannot be made."""
    level = flags.strings["log_level"]
    log.setLevel(_LEVELS.get(level, level))
    if flags.strings["log_file"]:
        _add(logging.FileHandler(_file_of_today(Path(flags.strings["log_file"]))))
    if flags.booleans["also_log_to_stderr"]:
        _add(logging.StreamHandler(sys.stderr))


def _add(handler: logging.Handler) -> None:
    handler.setFormatter(logging.Formatter(_FORMAT))
    log.addHandler(handler)


def _file_of_today(path: Path) -> Path:
    day = datetime.now(tz=UTC).strftime("%Y-%m-%d")
    return path.with_name(f"{path.stem}_{day}{path.suffix}")
