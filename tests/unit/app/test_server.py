"""The application as a process: what it answers, and how it leaves."""

import json
import signal
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from app_process import Applications, got
from waiting import eventually

from jimbot.main import main

QUICK = {"drain": 0.3, "grace": 5, "ray": 0.5}


@pytest.fixture
def applications(tmp_path: Path) -> Iterator[Applications]:
    started = Applications(tmp_path)
    yield started
    started.end()


class Silent:
    """A server that takes connections and never says a word."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self._taken: list[socket.socket] = []
        self.port = str(self._server.getsockname()[1])

    def wait_for_request(self) -> None:
        """Return when somebody has asked something."""
        self._server.settimeout(10)
        taken, _ = self._server.accept()
        taken.settimeout(10)
        self._taken.append(taken)
        assert taken.recv(1)

    def close(self) -> None:
        for opened in (*self._taken, self._server):
            opened.close()


@pytest.fixture
def silent() -> Iterator[Silent]:
    server = Silent()
    yield server
    server.close()


def test_draining_process_goes_on_serving_and_finishes_what_it_began(
    applications: Applications, silent: Silent
) -> None:
    application = applications.start(
        seconds={**QUICK, "eventstore": 2},
        environ={
            "ENVIRONMENT": "trial",
            "CLAUDE_RATE_LIMIT": "7",
            "EVENTSTORE_PORT": silent.port,
        },
    )
    with closing(application.connect()) as kept:
        status, headers, about = got(kept, "/")
        assert (status, headers.get("connection")) == (200, None)
        assert (about["name"], about["environment"]) == ("jimbot", "trial")
        assert about["claude"] == {"api_key": False, "rate_limit": 7}

        application.signal(signal.SIGUSR1)
        eventually(lambda: application.get("/health")[0] == 503)
        status, headers, _ = got(kept, "/")
        assert (status, headers["connection"]) == (200, "close")

    with closing(application.connect()) as slow:
        slow.request("GET", "/ready")
        silent.wait_for_request()
        application.signal(signal.SIGTERM)
        ready = json.loads(slow.getresponse().read())

    assert application.ended() == 0
    assert (ready["ready"], ready["draining"]) == (False, True)
    assert set(ready["dependencies"]) == {"memgraph", "questdb", "eventstore", "ray"}
    for told in ready["dependencies"].values():
        assert not told["up"]
        assert told["reason"]


def test_told_to_end_it_drains_first_and_cuts_off_what_takes_too_long(
    applications: Applications, silent: Silent
) -> None:
    application = applications.start(
        seconds={**QUICK, "drain": 0.5, "grace": 1, "eventstore": 60},
        environ={"EVENTSTORE_PORT": silent.port},
    )
    cut = application.connect()
    cut.request("GET", "/ready")
    silent.wait_for_request()
    application.signal(signal.SIGTERM)
    eventually(lambda: application.get("/health")[0] == 503)

    assert application.ended() == 0
    with closing(cut):
        assert cut.getresponse().status == 500


def test_wrong_setting_is_one_line_and_exit_code_3(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LOG_LEVEL", "loud")

    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: LOG_LEVEL")
