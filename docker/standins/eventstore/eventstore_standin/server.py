"""Start, serve and stop: the process that stands in for EventStoreDB."""

import asyncio
import logging
import os
import sys
from datetime import UTC, datetime
from functools import partial
from ssl import SSLContext

from standin_wire.durable import DirectoryInUseError, hold_directory
from standin_wire.http import talk_http
from standin_wire.serve import Endpoint, serve_until_stopped

from eventstore_standin.certificates import InvalidConfigurationError, server_context
from eventstore_standin.log import LogDamagedError
from eventstore_standin.options import OptionError, Options, read_options
from eventstore_standin.streams import Streams
from eventstore_standin.tcp import talk_tcp
from eventstore_standin.web import VERSION, Node

BANNER = f"This is a small stand-in for EventStoreDB {VERSION}, not EventStoreDB."
_CHUNK_SIZE = 256 * 1024 * 1024  # EventStoreDB's; the variable below is for tests
_CHUNK_SIZE_VARIABLE = "STANDIN_CHUNK_SIZE"
_log = logging.getLogger("eventstore")
_FORMAT = "[%(process)d, 1, %(asctime)s.%(msecs)03d, %(levelname).3s] %(message)s"


def main(arguments: list[str]) -> int:
    """Run until SIGTERM or SIGINT; 0 after a clean stop, 1 when it cannot start."""
    logging.basicConfig(
        stream=sys.stdout, level=logging.INFO, format=_FORMAT, datefmt="%H:%M:%S"
    )
    try:
        options = read_options(arguments, os.environ)
        _log_to_file(options)
        _run(options)
    except OptionError as error:
        _log.critical("%s", error)
        return 1
    except InvalidConfigurationError as error:
        _log.critical("Invalid Configuration: %s", error)
        return 1
    except DirectoryInUseError as error:
        _log.critical("Couldn't acquire exclusive lock on DB at '%s'.", error)
        return 1
    except LogDamagedError as error:
        _log.critical("Corrupt database detected: %s", error)
        return 1
    except (OSError, ValueError) as error:
        _log.critical("Host terminated unexpectedly. %s", error)
        return 1
    return 0


def _run(options: Options) -> None:
    tls = server_context(options)
    root = options.path("Db", "/var/lib/eventstore")
    index = options.path("Index", str(root / "index"))
    for folder in (root, index):
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    hold_directory(root, name=".standin-lock")
    chunk_size = int(os.environ.get(_CHUNK_SIZE_VARIABLE, _CHUNK_SIZE))
    streams = Streams.open(root, index, chunk_size=chunk_size)
    if streams.index_is_ahead():
        _log.error("The index is ahead of the log: rebuilding it.")
    streams.write_index()
    try:
        asyncio.run(_serve(options, streams, tls))
    finally:
        streams.write_index()
        streams.log.close()


async def _serve(options: Options, streams: Streams, tls: SSLContext | None) -> None:
    node = Node(
        streams,
        secure=tls is not None,
        admin_password=options.given.get("DefaultAdminPassword", "changeit"),
        anonymous=options.flag("AllowAnonymousStreamAccess"),
        atom=options.flag("EnableAtomPubOverHttp") or options.flag("Dev"),
        started=datetime.now(tz=UTC),
        append_limit=options.number("MaxAppendSize", default=1024 * 1024),
    )
    web = partial(talk_http, answer=node.answer)
    port = options.number("NodePort", "HttpPort", default=2113)
    host = options.given.get("NodeIp") or options.given.get("ExtIp", "127.0.0.1")
    endpoints = [Endpoint(port, web, host=host, tls=tls)]
    if options.flag("EnableExternalTcp"):
        tcp_tls = None if options.flag("DisableExternalTcpTls") else tls
        tcp_port = options.number("NodeTcpPort", "ExtTcpPort", default=1113)
        endpoints.append(Endpoint(tcp_port, talk_tcp, host=host, tls=tcp_tls))
    indexing = asyncio.create_task(_index_regularly(streams))
    try:
        await serve_until_stopped(endpoints, ready=partial(_ready, node))
    finally:
        indexing.cancel()


def _ready(node: Node) -> None:
    node.ready = True
    _log.info(BANNER)


async def _index_regularly(streams: Streams) -> None:
    written = streams.log.writer.value
    while True:
        await asyncio.sleep(5)
        if written != streams.log.writer.value:
            streams.write_index()
            written = streams.log.writer.value


def _log_to_file(options: Options) -> None:
    folder = options.path("Log", "/var/log/eventstore")
    if options.flag("DisableLogFile"):
        return
    folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    day = datetime.now(tz=UTC).strftime("%Y%m%d")
    handler = logging.FileHandler(folder / f"log{day}.log")
    handler.setFormatter(logging.Formatter(_FORMAT, datefmt="%H:%M:%S"))
    logging.getLogger().addHandler(handler)
