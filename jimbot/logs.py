"""Log lines as JSON objects, on stdout and in the log folder."""

import json
import logging
import socket
import sys
import time
from logging.handlers import RotatingFileHandler
from pathlib import Path

KEPT_DAYS = 14
FILE_BYTES = 10_000_000
OLD_FILES = 3


class JsonLines(logging.Formatter):
    """One JSON object per record: time (UTC), level, logger, message, exception."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        """Return *record* as one line."""
        line = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S")
            + f".{record.msecs:03.0f}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def write_logs(level: str, folder: Path) -> None:
    """
    Send every logger's lines of *level* and above to stdout and to *folder*.

    A folder that cannot be written is reported once and leaves stdout alone.
    """
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stdout)]
    problem = None
    try:
        handlers.append(_file(folder))
    except OSError as error:
        problem = error
    for handler in handlers:
        handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=handlers, force=True)
    logging.captureWarnings(capture=True)
    # Tells at info of every request that it makes.
    logging.getLogger("httpx").setLevel(max(logging.WARNING, logging.root.level))
    if problem:
        logging.getLogger(__name__).warning("no log file: %s", problem)


def _file(folder: Path) -> logging.Handler:
    # Replicas share the folder: each host writes, and rotates, files of its own.
    _remove_old(folder)
    return RotatingFileHandler(
        folder / f"app-{socket.gethostname()}.log",
        maxBytes=FILE_BYTES,
        backupCount=OLD_FILES,
        encoding="utf-8",
    )


def _remove_old(folder: Path) -> None:
    oldest = time.time() - KEPT_DAYS * 86400
    for file in folder.glob("app-*.log*"):
        if file.stat().st_mtime < oldest:
            file.unlink()
