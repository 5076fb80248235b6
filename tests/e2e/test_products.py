"""PostgreSQL and Redis as they are: no label, no word of what they are."""

import shutil
from collections.abc import Iterator

import pytest
from products_site import Site, made

from compose_ops.backup import create, drill, repository, restore, restore_undo
from compose_ops.backup.manifest import Manifest
from compose_ops.backup.session import Session
from compose_ops.errors import DataError

pytestmark = pytest.mark.docker

ACKNOWLEDGED = 500


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Return a project that plain Compose started: a volume and a bind mount."""
    found = made(tmp_path_factory.mktemp("foreign"))
    try:
        yield found
    finally:
        found.remove()


def back_up(site: Site) -> Manifest:
    stack = site.open()
    request = create.BackupRequest(everything=True, dest=site.root / "sets")
    taken = create.take(stack, request)
    assert taken is not None
    return taken


def bring_back(site: Site) -> None:
    request = restore.RestoreRequest(everything=True, dest=site.root / "sets", yes=True)
    assert restore.restore(site.open(), request) is not None


@pytest.fixture(scope="module")
def taken(site: Site) -> Manifest:
    """Return a set that was taken under load, after some rows were acknowledged."""
    with site.write_for_ever() as load:
        site.sql("CREATE TABLE acknowledged (n int)")
        site.sql(f"INSERT INTO acknowledged SELECT generate_series(1, {ACKNOWLEDGED})")
        site.redis("mset", "one", "1", "two", "2")
        found = back_up(site)
        assert load.poll() is None
        load.kill()
    return found


def assert_all_is_there(site: Site) -> None:
    """Assert what was acknowledged before the backup, whole and consistent."""
    assert site.sql("SELECT count(*) FROM acknowledged") == str(ACKNOWLEDGED)
    assert site.differences() == []
    assert site.corruption() == ""
    assert sorted(site.redis("keys", "*").split()) == ["one", "two"]


def test_servers_are_recognised_and_copied_while_they_run(
    site: Site, taken: Manifest
) -> None:
    """Without a label; nothing is left in the server of what held it."""
    stores = {store.service: store for store in taken.stores}

    assert {name: s.product for name, s in stores.items()} == {
        "ledger": "PostgreSQL",
        "cache": "Redis",
    }
    assert {s.consistency for s in stores.values()} == {"native"}
    assert [a.kind for s in stores.values() for a in s.archives] == ["bind", "volume"]
    assert site.sql("SELECT count(*) FROM pg_replication_slots") == "0"


def test_set_of_running_servers_is_restored_undone_and_restored_from_nothing(
    site: Site, taken: Manifest
) -> None:
    """Into the running project, and once its volume and its folder are gone."""
    site.sql("CREATE TABLE later (n int); DROP TABLE acknowledged")
    site.redis("mset", "one", "changed", "three", "3")

    bring_back(site)
    assert_all_is_there(site)

    restore_undo.undo(site.open(), (), yes=True)
    assert site.sql("SELECT to_regclass('later') || '' ") == "later"
    assert site.redis("get", "three") == "3"

    site.remove()
    shutil.rmtree(site.root / "cache")
    bring_back(site)
    site.compose("up", "--detach", "--wait")
    assert_all_is_there(site)
    assert repository.choose(site.root / "sets", site.project).id == taken.id


def test_drill_proves_a_set_by_the_servers_own_checks(
    site: Site, taken: Manifest
) -> None:
    found = drill.drill(site.open(), drill.DrillRequest(site.root / "sets"))

    assert found.set_id == taken.id
    assert {(s.service, s.checked) for s in found.stores} == {
        ("ledger", True),
        ("cache", True),
    }


def test_tablespace_outside_of_the_data_is_refused(site: Site, taken: Manifest) -> None:
    """A copy would hold a link to it, and nothing of what it holds."""
    site.compose("exec", "-T", "-u", "postgres", "ledger", "mkdir", "/tmp/elsewhere")
    site.sql("CREATE TABLESPACE elsewhere LOCATION '/tmp/elsewhere'")

    with pytest.raises(DataError, match="pg_tblspc/"):
        back_up(site)

    (left,) = repository.listed(site.root / "sets", site.project)
    assert left.id == taken.id
    site.sql("DROP TABLESPACE elsewhere")


@pytest.mark.usefixtures("taken")
def test_session_that_is_lost_discards_the_copy(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server ends it: what was copied until then may be torn."""
    ends = "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots"
    stop = Session.stop

    def lost(held: Session) -> object:
        if held.service == "ledger":
            site.sql(ends)
        return stop(held)

    monkeypatch.setattr(Session, "stop", lost)

    with pytest.raises(DataError, match="the session that holds ledger"):
        back_up(site)

    assert len(repository.listed(site.root / "sets", site.project)) == 1
    assert site.sql("SELECT count(*) FROM pg_replication_slots") == "0"
