"""Start, serve and stop: the process that stands in for QuestDB."""

import asyncio
import logging
import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from signal import Signals

from standin_wire.durable import DirectoryInUseError, hold_directory
from standin_wire.http import talk_http
from standin_wire.serve import ConnectionHandler, Endpoint, serve_until_stopped

from questdb_standin.database import Database
from questdb_standin.ilp import talk_ilp
from questdb_standin.pgwire import Login, talk_pg
from questdb_standin.settings import SettingError, Settings, read_settings
from questdb_standin.sql import VERSION
from questdb_standin.web import answer_health, answer_rest

BANNER = f"This is a small stand-in for QuestDB {VERSION}, not QuestDB."
_FORMAT = "%(asctime)s.%(msecs)03dZ %(levelname).1s %(name)s %(message)s"
_log = logging.getLogger("questdb")


def main(arguments: list[str]) -> int:
    """
    Run until a signal.

    Return 128 + its number then, as Java has it, and 55 when it cannot start.
    """
    _open_log()
    root = _root_of(arguments)
    try:
        settings = read_settings(root, os.environ)
        root.mkdir(mode=0o750, parents=True, exist_ok=True)
        (root / "db").mkdir(mode=0o750, exist_ok=True)
        hold_directory(root / "db", name="tables.d.lock")
        database = Database.open(
            root,
            instance_id=settings.values["cairo.snapshot.instance.id"],
            recover=settings.enabled("cairo.snapshot.recovery.enabled"),
        )
        number = asyncio.run(_serve(settings, database))
    except DirectoryInUseError as error:
        _log.critical("cannot lock table name registry file [path=%s]", error)
        return 55
    except (SettingError, OSError, ValueError) as error:
        _log.critical("%s", error)
        return 55
    database.close()
    return 128 + number


def _open_log() -> None:
    level = os.environ.get("QDB_LOG_W_STDOUT_LEVEL", "INFO").split(",")[0]
    known = {"DEBUG", "INFO", "ERROR", "CRITICAL"}
    chosen = level if level in known else "INFO"
    logging.basicConfig(
        stream=sys.stdout, level=chosen, format=_FORMAT, datefmt="%Y-%m-%dT%H:%M:%S"
    )


def _root_of(arguments: list[str]) -> Path:
    """Return the folder after `-d`; the other arguments are Java's own."""
    if "-d" in arguments[:-1]:
        return Path(arguments[arguments.index("-d") + 1])
    return Path("/var/lib/questdb")


async def _serve(settings: Settings, database: Database) -> Signals:
    endpoints = list(_endpoints(settings, database))
    return await serve_until_stopped(endpoints, ready=_say_ready)


def _say_ready() -> None:
    print(BANNER, flush=True)


def _endpoints(settings: Settings, database: Database) -> Iterator[Endpoint]:
    login = Login(settings.values["pg.user"], settings.values["pg.password"])
    handlers: dict[str, ConnectionHandler] = {
        "http": partial(talk_http, answer=partial(answer_rest, database)),
        "http.min": partial(talk_http, answer=answer_health),
        "pg": partial(talk_pg, database=database, login=login),
        "line.tcp": partial(talk_ilp, database=database),
    }
    for name, handler in handlers.items():
        if settings.enabled(f"{name}.enabled"):
            bind = "http.bind.to" if name == "http" else f"{name}.net.bind.to"
            host, port = settings.address(bind)
            yield Endpoint(port, handler, host=host)
