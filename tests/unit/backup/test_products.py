"""What is known of a product stands for what a service says nothing of."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from backup_steps import back_up, opened, store
from backup_world import World

from compose_ops import products, redaction
from compose_ops.backup import policy, repository
from compose_ops.backup import undeclared as undeclared_mounts
from compose_ops.docker.api import Mount, Output
from compose_ops.errors import ConfigurationError, DataError, UsageError
from compose_ops.library import backups as sets
from compose_ops.project.model import Model
from compose_ops.runtime.context import StackContext


def model(**service: Any) -> Model:
    """Return a model with one service `db` on a volume and a folder of the host."""
    mounts = [
        {"type": "volume", "source": "data", "target": "/var/lib/postgresql/data"},
        {"type": "bind", "source": "/srv/x", "target": "/docker-entrypoint-initdb.d"},
    ]
    given = {"image": "postgres:15", "volumes": mounts} | service
    return Model({"name": "p", "services": {"db": given}, "volumes": {"data": {}}})


@pytest.mark.parametrize(
    ("image", "title"),
    [
        ("postgres", "PostgreSQL"),
        ("docker.io/library/postgres:15@sha256:" + "0" * 64, "PostgreSQL"),
        ("registry.example:5000/team/postgis:16-3.4", "PostgreSQL"),
        ("redis:7-alpine", "Redis"),
        ("mongo:7", "MongoDB"),
        ("prometheuscommunity/postgres-exporter", None),
        ("postgres.example/app", None),
        ("my-redis", None),
        ("", None),
    ],
)
def test_product_is_the_last_component_of_the_image_exactly(
    image: str, title: str | None
) -> None:
    found = products.load().of_image(image)

    assert (found.title if found else None) == title


def test_known_server_needs_no_label() -> None:
    (found,) = policy.policies(model()).values()

    assert (found.product, found.volumes) == ("PostgreSQL", ("data",))
    assert found.levels == ("native", "stop", "crash")
    assert found.session
    assert "pg_amcheck" in found.check


def test_label_has_precedence_over_the_product() -> None:
    labels = {
        "compose-ops.backup.consistency": "stop",
        "compose-ops.backup.count": "echo 1",
    }

    (found,) = policy.policies(model(labels=labels)).values()

    assert found.levels == ("stop",)
    assert found.count.endswith("echo 1")
    assert found.check


def test_label_names_the_product_of_an_image_that_says_nothing() -> None:
    labels = {"compose-ops.product": "postgresql"}

    (found,) = policy.policies(model(image="internal/db:3", labels=labels)).values()

    assert found.product == "PostgreSQL"
    assert policy.policies(model(image="internal/db:3")) == {}


def test_data_lies_where_the_products_variable_says() -> None:
    mount = {"type": "bind", "source": "/srv/db", "target": "/db"}
    service = {"environment": {"PGDATA": "/db/cluster"}, "volumes": [mount]}

    (found,) = policy.policies(model(**service)).values()

    assert [m.source for m in found.mounts] == ["/srv/db"]


def test_project_adds_a_product_and_replaces_one(tmp_path: Path) -> None:
    (tmp_path / "ledger.toml").write_text(
        'images = ["ledger"]\n[data]\npaths = ["/data"]\n[backup]\ncount = "tally"\n'
    )
    (tmp_path / "redis.toml").write_text('title = "Ours"\nimages = ["redis"]\n')
    known = products.load(sorted(tmp_path.glob("*.toml")))
    mount = {"type": "volume", "source": "data", "target": "/data"}

    (found,) = policy.policies(model(image="ledger:2", volumes=[mount]), known).values()

    assert (found.volumes, found.count) == (("data",), "tally")
    ours = known.of_image("redis")
    assert ours is not None
    assert ours.title == "Ours"


def test_product_file_with_an_unknown_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text('image = ["x"]\n')

    with pytest.raises(ConfigurationError, match="unknown key image"):
        products.load([tmp_path / "x.toml"])


@pytest.mark.parametrize(
    ("label", "near"),
    [
        ("compose-ops.data.volume", "compose-ops.data.volumes"),
        ("compose-ops.backup.natve.order", "compose-ops.backup.native.order"),
        ("compose-ops.prodct", "compose-ops.product"),
    ],
)
def test_unknown_label_is_refused_with_the_nearest_known_one(
    label: str, near: str
) -> None:
    """One that was mistyped would drop a database from every backup."""
    with pytest.raises(ConfigurationError, match=label) as refused:
        policy.policies(model(labels={label: "data"}))

    assert near in refused.value.hint


def test_labels_of_others_are_nobodys_business() -> None:
    labels = {"traefik.enable": "true", "compose-ops.rollout.port": "80"}

    assert policy.policies(model(labels=labels))


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"native.prepare": "flush"},
        {"native.release": "unlock"},
        {"native.order": "**", "native.release": "unlock"},
    ],
)
def test_native_without_what_makes_it_consistent_is_refused(
    given: dict[str, str],
) -> None:
    labels = {
        "compose-ops.data.volumes": "data",
        "compose-ops.backup.consistency": "native stop",
        **{f"compose-ops.backup.{key}": text for key, text in given.items()},
    }

    with pytest.raises(ConfigurationError, match="native without"):
        policy.policies(model(image="unknown:1", labels=labels))


@pytest.mark.parametrize(
    ("image", "data", "labels"),
    [
        ("mariadb:11", "/var/lib/mysql", {"consistency": "native"}),
        ("mongo:7", "/data/db", {"consistency": "native stop"}),
        ("postgres:15", "/var/lib/postgresql/data", {"native.session": ""}),
        ("memgraph/memgraph", "/var/lib/memgraph", {"native.prepare": ""}),
    ],
)
def test_native_of_a_known_product_is_judged_by_what_results(
    image: str, data: str, labels: dict[str, str]
) -> None:
    """A recipe that it does not have, or that labels blank, holds nothing."""
    mount = {"type": "volume", "source": "data", "target": data}
    stated = {f"compose-ops.backup.{key}": text for key, text in labels.items()}

    with pytest.raises(ConfigurationError, match="native without"):
        policy.policies(model(image=image, volumes=[mount], labels=stated))


@pytest.mark.parametrize(
    "given",
    [
        {"session": "hold"},
        {"prepare": "lock", "release": "unlock"},
        {"prepare": "flush", "order": "index/** **"},
    ],
)
def test_native_with_what_holds_the_store_is_taken(given: dict[str, str]) -> None:
    labels = {
        "compose-ops.backup.consistency": "native",
        **{f"compose-ops.backup.native.{key}": text for key, text in given.items()},
    }
    mount = {"type": "volume", "source": "data", "target": "/var/lib/mysql"}
    service = {"image": "mariadb:11", "volumes": [mount], "labels": labels}

    (found,) = policy.policies(model(**service)).values()

    assert found.levels == ("native",)


@pytest.fixture
def undeclared(stack: StackContext, world: World) -> StackContext:
    """Return a stack in which a service writes where nobody says what it is."""
    world.services["notes"] = {
        "image": "localhost/notes:1",
        "volumes": [
            {"type": "volume", "source": "notes_data", "target": "/notes"},
            {"type": "volume", "target": "/anonymous"},
            {"type": "bind", "source": "/srv/notes", "target": "/more"},
            {"type": "bind", "source": "/srv/r", "target": "/r", "read_only": True},
            {"type": "bind", "source": "/var/run/docker.sock", "target": "/s"},
        ],
    }
    return opened(stack.root, world)


def test_all_is_refused_while_nobody_says_what_is_data(
    undeclared: StackContext, world: World
) -> None:
    world.done.clear()

    with pytest.raises(DataError, match="notes_data on /notes") as refused:
        back_up(undeclared)

    assert "an anonymous volume on /anonymous" in refused.value.message
    assert "/srv/notes on /more" in refused.value.message
    assert "docker.sock" not in refused.value.message
    assert not [words for words in world.done if words[0] in {"stop", "helper"}]


def test_what_is_left_out_by_intent_stands_in_the_manifest(
    undeclared: StackContext,
) -> None:
    back_up(undeclared, allow_undeclared=True)

    (kept,) = repository.listed(undeclared.root / "backups", "trial")
    assert len(repository.valid_manifest(kept).undeclared) == 3


def test_mounts_that_are_declared_disposable_hold_nothing_back(
    undeclared: StackContext, world: World
) -> None:
    labels = {"compose-ops.data.disposable": "notes_data /anonymous /more"}
    world.services["notes"]["labels"] = labels

    assert back_up(opened(undeclared.root, world))


def test_project_without_any_data_makes_no_set(
    stack: StackContext, world: World
) -> None:
    world.services = {"reader": {"image": "localhost/reader:1"}}

    with pytest.raises(DataError, match="no service has data"):
        back_up(opened(stack.root, world))


def test_drill_fails_where_the_store_counts_nothing(
    stack: StackContext, world: World
) -> None:
    """A count command that fails proves nothing."""
    world.commands["count"] = lambda _asked: Output(1, "", "NOAUTH")
    made = back_up(stack, "memo")

    with pytest.raises(DataError, match="memo cannot be counted in the drill"):
        sets.drill(stack, "backups", set_id=made, identity="")

    kept = repository.load(stack.root / "backups/trial" / made)
    assert kept.drilled is None


@pytest.mark.parametrize(("code", "passes"), [(0, True), (2, False)])
def test_drill_believes_the_exit_code_of_the_stores_check(
    stack: StackContext, world: World, code: int, *, passes: bool
) -> None:
    world.services["memo"]["labels"]["compose-ops.drill.check"] = "check"
    world.commands["check"] = lambda _asked: Output(code, "", "page 7 is torn")
    stack = opened(stack.root, world)
    made = back_up(stack, "memo")

    if passes:
        done = sets.drill(stack, "backups", set_id=made, identity="")
        assert [store.checked for store in done.stores] == [True]
    else:
        with pytest.raises(DataError, match=r"failed its check.*page 7 is torn"):
            sets.drill(stack, "backups", set_id=made, identity="")


def recorded_drill(stack: StackContext, made: str) -> str:
    """Drill a set, whether that passes or not; return how its record says it went."""
    with suppress(DataError):
        sets.drill(stack, "backups", set_id=made, identity="")
    kept = repository.load(stack.root / "backups/trial" / made)
    return (kept.drill or {}).get("result", "")


def test_record_of_a_drill_names_the_stores_that_nothing_proves(
    stack: StackContext, world: World
) -> None:
    """One of two is proven: nobody says of it that it is not."""
    del world.services["pair"]["labels"]["compose-ops.backup.count"]
    stack = opened(stack.root, world)

    result = recorded_drill(stack, back_up(stack))

    assert result == "booted, but no count or check proves pair"


def test_words_of_a_check_are_stored_without_secrets(
    stack: StackContext, world: World, request: pytest.FixtureRequest
) -> None:
    """The record lies at the destination, which others may read."""
    request.addfinalizer(redaction.forget)
    redaction.learn("hunter2hunter2", key="PASSWORD")
    world.services["memo"]["labels"]["compose-ops.drill.check"] = "check"
    said = Output(2, "", "cannot log in as root with hunter2hunter2")
    world.commands["check"] = lambda _asked: said
    stack = opened(stack.root, world)

    result = recorded_drill(stack, back_up(stack, "memo"))

    assert "cannot log in as root with [redacted]" in result


@pytest.mark.parametrize("dest", ["sftp://host/srv", "s3://bucket", "rest+https://x"])
def test_destination_that_is_no_folder_is_refused(
    stack: StackContext, dest: str
) -> None:
    with pytest.raises(UsageError, match="is a folder, not"):
        sets.backup(stack, dest, everything=True)

    assert not [path for path in stack.root.iterdir() if ":" in path.name]


def test_anonymous_volume_that_the_image_of_a_store_declares_is_named(
    stack: StackContext, world: World
) -> None:
    """Its data is lost with the container, and is in no set."""
    memo = world.of("memo")
    more = Mount("volume", "0123456789abcdef" * 4, "", "/journal", writable=True)
    world.change("id-memo", mounts=(*memo.mounts, more))

    with pytest.raises(DataError, match="memo: an anonymous volume of its image on /j"):
        back_up(stack)

    labels = {"data.disposable": "/journal"}
    world.services["memo"] = store("memo_data", **labels)
    assert back_up(opened(stack.root, world))


def test_anonymous_volume_of_a_known_product_is_named(
    stack: StackContext, world: World
) -> None:
    """The product covers what is mounted by a name; this is lost when it is removed."""
    world.services["db"] = {
        "image": "postgres:17",
        "volumes": [{"type": "volume", "target": "/var/lib/postgresql/data"}],
    }

    with pytest.raises(DataError, match="db: an anonymous volume on /var/lib/postgres"):
        back_up(opened(stack.root, world))


def mounts(image: str, *mounted: tuple[str, str]) -> Model:
    """Return a model with one service that has each source mounted on a target."""
    volumes = [
        {"type": "bind" if "/" in source else "volume", "source": source, "target": to}
        for source, to in mounted
    ]
    named: dict[str, Any] = {source: {} for source, _ in mounted if "/" not in source}
    service = {"image": image, "volumes": volumes}
    return Model({"name": "p", "services": {"db": service}, "volumes": named})


@pytest.mark.parametrize(
    ("image", "target"),
    [
        ("bitnami/postgresql:16", "/bitnami/postgresql"),
        ("bitnami/mariadb:11", "/bitnami/mariadb"),
        ("bitnami/redis:7", "/bitnami/redis/data"),
        ("postgres:16", "/var/lib/postgres/data"),
        ("mariadb:11", "/srv/mysql"),
        ("rayproject/ray:2.9.0", "/home/ray/models"),
    ],
)
def test_volume_that_a_known_product_has_elsewhere_is_named(
    image: str, target: str
) -> None:
    """Its file names other folders: nothing of this volume would be in a set."""
    found = undeclared_mounts.in_model(mounts(image, ("data", target)), products.load())

    assert found == (f"db: data on {target}",)


def test_second_volume_of_a_known_product_is_named() -> None:
    model = mounts("postgres:17", ("data", "/var/lib/postgresql"), ("more", "/more"))

    assert undeclared_mounts.in_model(model, products.load()) == ("db: more on /more",)


@pytest.mark.parametrize(
    ("image", "data", "settings"),
    [
        (
            "postgres:15",
            "/var/lib/postgresql/data",
            "/docker-entrypoint-initdb.d/a",
        ),
        ("postgres:15", "/var/lib/postgresql/data", "/etc/postgresql/postgresql.conf"),
        ("mariadb:11", "/var/lib/mysql", "/docker-entrypoint-initdb.d"),
        ("mariadb:11", "/var/lib/mysql", "/etc/mysql/conf.d"),
        ("mongo:7", "/data/db", "/docker-entrypoint-initdb.d"),
        ("redis:7", "/data", "/usr/local/etc/redis/redis.conf"),
    ],
)
def test_settings_of_a_known_product_are_no_data(
    image: str, data: str, settings: str
) -> None:
    model = mounts(image, ("data", data), ("/srv/settings", settings))

    assert undeclared_mounts.in_model(model, products.load()) == ()


@pytest.mark.parametrize(
    "source",
    ["/devops/shop/data", "/system/x", "/runtime/u", "/etc/letsencrypt", "/proceeds"],
)
def test_folder_that_begins_like_one_of_the_machine_is_named(source: str) -> None:
    found = undeclared_mounts.in_model(mounts("app:1", (source, "/x")), products.load())

    assert found == (f"db: {source} on /x",)


@pytest.mark.parametrize(
    "source",
    [
        *("/dev", "/dev/dri", "/run/docker.sock", "/var/run/docker.sock", "/sys/fs"),
        *("/proc", "/tmp/.X11-unix/X0", "/etc/localtime", "/etc/hosts", "/etc/passwd"),
    ],
)
def test_what_is_the_machines_is_no_data(source: str) -> None:
    model = mounts("app:1", (source, "/x"))

    assert undeclared_mounts.in_model(model, products.load()) == ()
