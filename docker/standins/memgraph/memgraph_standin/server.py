"""Start, serve and stop: the process that stands in for `memgraph`."""

import asyncio
import os
import ssl
import sys
from functools import partial
from pathlib import Path

from standin_wire.durable import DirectoryInUseError, hold_directory
from standin_wire.serve import Endpoint, serve_until_stopped

from memgraph_standin.bolt import talk_bolt
from memgraph_standin.flags import FlagError, Flags, read_flags
from memgraph_standin.logs import log, open_log
from memgraph_standin.monitoring import talk_monitoring
from memgraph_standin.queries import VERSION, Engine
from memgraph_standin.snapshots import StorageError
from memgraph_standin.storage import Durability, Storage
from memgraph_standin.users import Users, user_of_environment

BANNER = f"You are running a small stand-in for Memgraph v{VERSION}, not Memgraph."
_FOLDERS = ("auth", "internal_modules", "settings", "streams", "triggers")


class StartError(Exception):
    """Something that keeps the server from starting; the text is for the user."""


def main(arguments: list[str]) -> int:
    """Run until SIGTERM or SIGINT; 0 after a clean stop, 1 when it cannot start."""
    try:
        flags = read_flags(arguments, os.environ)
        if flags.booleans["help"] or flags.booleans["version"]:
            print(BANNER)
            return 0
        _run(flags)
    except FlagError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    except (StartError, StorageError, OSError, ValueError) as error:
        print(f"Memgraph stand-in cannot run: {error}", file=sys.stderr)
        log.critical("%s", error)
        return 1
    return 0


def _run(flags: Flags) -> None:
    open_log(flags)
    root = Path(flags.strings["data_directory"])
    _take_directory(root)
    storage = Storage.open(root, _durability(flags))
    users = Users.open(root / "auth")
    if pair := user_of_environment(os.environ):
        users.create(*pair)
    engine = Engine(storage, flags.shown())
    asyncio.run(_serve(flags, engine, users))
    if flags.booleans["storage_snapshot_on_exit"]:
        _snapshot(storage)
    storage.close()


def _take_directory(root: Path) -> None:
    """Create or accept the data directory as Memgraph does. Raises StartError."""
    try:
        for folder in (root, *(root / name for name in _FOLDERS)):
            folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(
            f"Could not create the directory '{root}': {error.strerror}"
        ) from error
    owner, user = root.stat().st_uid, os.geteuid()
    if owner != user:
        raise StartError(
            f"The process is running as user {user}, but the data directory"
            f" '{root}' is owned by user {owner}. Please start the process as"
            f" user {owner}!"
        )
    try:
        hold_directory(root)
    except DirectoryInUseError as error:
        raise StartError(
            f"Couldn't acquire lock on the storage directory '{root}'!"
        ) from error


def _durability(flags: Flags) -> Durability:
    return Durability(
        wal_enabled=flags.booleans["storage_wal_enabled"],
        wal_file_size=flags.integers["storage_wal_file_size_kib"] * 1024,
        snapshots_kept=flags.integers["storage_snapshot_retention_count"],
        recover_on_start=flags.booleans["data_recovery_on_startup"],
    )


async def _serve(flags: Flags, engine: Engine, users: Users) -> None:
    bolt = partial(
        talk_bolt,
        engine=engine,
        users=users,
        server_name=flags.strings["bolt_server_name_for_init"],
    )
    endpoints = [
        Endpoint(
            int(os.environ.get("MEMGRAPH_BOLT_PORT", flags.integers["bolt_port"])),
            bolt,
            host=flags.strings["bolt_address"],
            tls=_tls(flags),
        ),
        Endpoint(
            flags.integers["monitoring_port"],
            talk_monitoring,
            host=flags.strings["monitoring_address"],
        ),
    ]
    snapshots = asyncio.create_task(_snapshot_regularly(flags, engine.storage))
    try:
        await serve_until_stopped(endpoints, ready=_say_ready)
    finally:
        snapshots.cancel()


def _say_ready() -> None:
    print(BANNER, flush=True)
    log.info(BANNER)


async def _snapshot_regularly(flags: Flags, storage: Storage) -> None:
    if not flags.snapshot_interval:
        return
    while True:
        await asyncio.sleep(flags.snapshot_interval)
        _snapshot(storage)


def _snapshot(storage: Storage) -> None:
    """Make a snapshot if anything was written since the last."""
    try:
        storage.create_snapshot()
    except StorageError as error:
        log.info("%s", error)


def _tls(flags: Flags) -> ssl.SSLContext | None:
    certificate = flags.strings["bolt_cert_file"]
    key = flags.strings["bolt_key_file"]
    if not (certificate and key):
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise StartError(
            f"Couldn't load the certificate {certificate} and key {key}: {error}"
        ) from error
    return context
