"""
Run the application: ``python -m jimbot.main``.

Exit codes: 0 stopped as told; 1 the port cannot be used; 3 a setting is wrong.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from socket import socket
from types import FrameType
from typing import NoReturn

import uvicorn
from starlette.types import ASGIApp
from uvicorn.supervisors.statreload import StatReload

from jimbot.draining import Draining, DrainingServer
from jimbot.logs import write_logs
from jimbot.settings import Settings, SettingsError, read_settings
from jimbot.web import application

PACKAGE = Path(__file__).resolve().parent
# Longer than a gateway keeps an idle connection: the side that sends requests must
# be the one that closes, or a request can meet a connection that is going away.
KEEP_ALIVE_SECONDS = 75


def main() -> None:
    """Serve until told to stop; with RELOAD, start anew when the code changes."""
    settings = _settings()
    if settings.debug:
        _listen_for_debugger(settings.debug_port)
    if settings.reload:
        write_logs(settings.log_level, settings.log_dir)
        _serve_and_reload(_config(settings, "jimbot.web:application"))
    else:
        serve()


def serve(sockets: list[socket] | None = None) -> None:
    """Serve in this process, on *sockets* where a reloader holds them."""
    settings = _settings()
    write_logs(settings.log_level, settings.log_dir)
    draining = Draining()
    config = _config(settings, application(settings, draining))
    # Reloading is for a developer, who waits: nothing is sent elsewhere meanwhile.
    drain_seconds = 0.0 if settings.reload else settings.seconds["drain"]
    server = DrainingServer(config, draining, drain_seconds)
    server.run(sockets)
    sys.exit(0 if server.started else 1)


def _serve_and_reload(config: uvicorn.Config) -> None:
    # By modification time: file events do not cross every kind of bind mount.
    reloader = StatReload(config, target=serve, sockets=[config.bind_socket()])

    def pass_on(sig: int, frame: FrameType | None) -> None:
        del frame
        if reloader.process.pid:
            os.kill(reloader.process.pid, sig)

    signal.signal(signal.SIGUSR1, pass_on)
    reloader.run()


def _config(settings: Settings, app: ASGIApp | str) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host="0.0.0.0",  # noqa: S104
        port=settings.port,
        log_config=None,
        access_log=settings.log_level in {"DEBUG", "INFO"},
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=round(settings.seconds["grace"]),
        reload=isinstance(app, str),
        reload_dirs=[str(PACKAGE)] if isinstance(app, str) else None,
    )


def _settings() -> Settings:
    config = Path(os.environ.get("CONFIG_DIR", PACKAGE.parent / "config"))
    try:
        return read_settings(os.environ, config)
    except SettingsError as error:
        _give_up(str(error))


def _listen_for_debugger(port: int) -> None:
    # The usual command is `python -m debugpy --listen …`, which listens already.
    if "debugpy" in sys.modules:
        return
    try:
        import debugpy  # noqa: T100
    except ImportError:
        _give_up("DEBUG needs debugpy, which only the development image has")
    debugpy.listen(("0.0.0.0", port))  # noqa: S104, T100


def _give_up(problem: str) -> NoReturn:
    print(f"error: {problem}", file=sys.stderr)  # noqa: T201
    sys.exit(3)


if __name__ == "__main__":
    main()
