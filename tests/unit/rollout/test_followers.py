"""What lives in a namespace of another service runs in a living one after each task."""

import itertools
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from composing import UPDATED, Composing, opened
from fakes import EPOCH

from compose_ops.errors import EngineError, RolledBack
from compose_ops.rollout import update
from compose_ops.rollout.update import UpdateRequest
from compose_ops.stack.rebuild import rebuild
from compose_ops.stack.restart import restart
from compose_ops.stack.up import up

pytestmark = pytest.mark.usefixtures("quick_update")

VPN = {"image": "vpn", "build": {"context": "."}}
CLIENT = {"image": "client", "network_mode": "service:vpn"}


class Networked(Composing):
    """An engine that recreates as Compose does, and knows what started when."""

    def __init__(self, services: dict[str, Any]) -> None:
        self.seconds = itertools.count(1)
        super().__init__(services)
        self.run_all()

    def up(
        self,
        services: Iterable[str] = (),
        *,
        start: bool = True,
        recreate: str = "changed",
        **how: Any,
    ) -> None:
        """Recreate of what is named what changed, or all."""
        names = tuple(services) or tuple(self.services)
        hashes = self.config_hashes()
        for old in [c for c in self.there if c.service in names]:
            changed = old.config_hash != hashes[old.service]
            if not how.get("scale") and (recreate == "always" or changed):
                self.there.remove(old)
        super().up(names, start=start, **how)

    def start(self, *containers: str) -> None:
        stopped = [c.id for c in self._those(containers) if not c.is_running]
        super().start(*containers)
        self._began(stopped)

    def restart(self, *containers: str, timeout: int | None = None) -> None:
        super().restart(*containers, timeout=timeout)
        self._began(containers)

    def _began(self, containers: Iterable[str]) -> None:
        for each in self._those(list(containers)):
            now = EPOCH + timedelta(seconds=next(self.seconds))
            self._change(each, started=now)

    def the(self, service: str) -> Any:
        [found] = [c for c in self.there if c.service == service]
        return found

    def become(self, service: str, state: str) -> None:
        self._change(self.the(service), state=state)

    def assert_connected(self) -> None:
        vpn, client = self.the("vpn"), self.the("client")
        assert vpn.is_running
        assert client.is_running
        assert client.started > vpn.started


@pytest.fixture
def engine() -> Networked:
    return Networked({"vpn": VPN, "client": CLIENT})


def rolled(service: dict[str, Any]) -> dict[str, Any]:
    return {**service, "deploy": UPDATED}


def test_up_of_a_changed_service_takes_its_follower_along(
    engine: Networked, tmp_path: Path
) -> None:
    engine.services = {"vpn": {**VPN, "command": "other"}, "client": CLIENT}

    up(opened(tmp_path, engine), ["vpn"])

    engine.assert_connected()


def test_up_takes_along_what_follows_a_service_that_had_ended(
    engine: Networked, tmp_path: Path
) -> None:
    """Compose starts that one, and leaves what runs."""
    engine.stop(engine.the("vpn").id)

    up(opened(tmp_path, engine))

    engine.assert_connected()


def test_up_takes_along_what_was_left_in_a_dead_namespace(
    engine: Networked, tmp_path: Path
) -> None:
    engine.restart(engine.the("vpn").id)

    up(opened(tmp_path, engine))

    engine.assert_connected()


def test_follower_that_runs_in_a_living_namespace_is_left_alone(
    engine: Networked, tmp_path: Path
) -> None:
    before = engine.the("client").id

    up(opened(tmp_path, engine))

    assert engine.the("client").id == before


def test_follower_that_did_not_run_is_not_started(
    engine: Networked, tmp_path: Path
) -> None:
    engine.stop(engine.the("client").id)

    rebuild(opened(tmp_path, engine), ["vpn"])

    assert not engine.the("client").is_running


def test_rebuild_takes_the_follower_along(engine: Networked, tmp_path: Path) -> None:
    rebuild(opened(tmp_path, engine), ["vpn"])

    engine.assert_connected()


def test_update_that_goes_back_takes_the_follower_along(
    engine: Networked, tmp_path: Path
) -> None:
    engine.services = {"vpn": rolled(VPN), "client": CLIENT}
    engine.up()
    engine.bad.add("sha256:built")

    with pytest.raises(RolledBack, match="vpn was not updated"):
        update.update(opened(tmp_path, engine), "vpn", UpdateRequest(build=True))

    engine.assert_connected()


def test_follower_that_ended_without_its_network_runs_again(
    engine: Networked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.services = {"vpn": rolled(VPN), "client": CLIENT}
    engine.up()
    remove = engine.remove

    def removed(*ids: str, **how: Any) -> None:
        engine.become("client", "exited")
        remove(*ids, **how)

    monkeypatch.setattr(engine, "remove", removed)

    update.update(opened(tmp_path, engine), "vpn", UpdateRequest(build=True))

    engine.assert_connected()


class Killed(BaseException):
    """The end of a process in the middle of something."""


@pytest.mark.parametrize("state", ["running", "exited"])
def test_follower_is_taken_along_after_an_update_that_was_killed(
    engine: Networked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    """Also where it has ended since."""
    engine.services = {"vpn": rolled(VPN), "client": CLIENT}
    engine.up()

    def die(*_ids: str, **_how: Any) -> None:
        patch.setattr(engine, "up", die)
        raise Killed

    with monkeypatch.context() as patch, suppress(Killed):
        patch.setattr(engine, "remove", die)
        update.update(opened(tmp_path, engine), "vpn", UpdateRequest(build=True))
    engine.become("client", state)

    update.clean_up(opened(tmp_path, engine))

    engine.assert_connected()


def test_error_of_a_task_is_not_hidden_by_what_follows(
    engine: Networked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.services = {"vpn": rolled(VPN), "client": CLIENT}
    engine.up()
    engine.bad.add("sha256:built")
    create = engine.up

    def refuse(services: Iterable[str] = (), **how: Any) -> None:
        if "client" in services:
            raise EngineError("client cannot be created")
        create(services, **how)

    monkeypatch.setattr(engine, "up", refuse)

    with pytest.raises(RolledBack, match="vpn was not updated"):
        update.update(opened(tmp_path, engine), "vpn", UpdateRequest(build=True))


@pytest.mark.parametrize("rolls", [(), ("vpn",), ("client",), ("vpn", "client")])
@pytest.mark.parametrize("named", [(), ("vpn",)])
def test_restart_leaves_no_follower_without_a_network(
    tmp_path: Path, rolls: tuple[str, ...], named: tuple[str, ...]
) -> None:
    """Whoever of both is restarted by an update."""
    services: dict[str, dict[str, Any]] = {"vpn": VPN, "client": CLIENT}
    engine = Networked({n: rolled(s) if n in rolls else s for n, s in services.items()})
    before = {c.service: (c.id, c.started) for c in engine.there}

    restart(opened(tmp_path, engine), named)

    engine.assert_connected()
    assert all((c.id, c.started) != before[c.service] for c in engine.there)


def test_restart_that_is_cut_off_takes_the_follower_along(
    engine: Networked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = engine.restart

    def interrupted(*ids: str, **how: Any) -> None:
        again(*ids, **how)
        raise KeyboardInterrupt

    monkeypatch.setattr(engine, "restart", interrupted)

    with pytest.raises(KeyboardInterrupt):
        restart(opened(tmp_path, engine), ["vpn"])

    engine.assert_connected()
