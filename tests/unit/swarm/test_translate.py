"""The stack file says what the compose files say, and what it cannot say is told."""

from pathlib import Path
from typing import Any

import pytest

from compose_ops.docker.api import PROJECT_LABEL
from compose_ops.errors import ConfigurationError
from compose_ops.project.model import Model
from compose_ops.swarm.stackfile import Source, SourceFile, StackFile
from compose_ops.swarm.translate import translate

MARK = "0123456789abcdef0123"


def stack_file(
    service: dict[str, Any],
    *,
    sources: dict[str, Source] | None = None,
    **top: Any,
) -> StackFile:
    """Translate a project of one service."""
    raw = {"name": "shop", "services": {"web": {"image": "web", **service}}, **top}
    return translate(Model(raw), images={}, sources=sources or {})


def web(service: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return the one service of a stack file."""
    made: dict[str, Any] = stack_file(service, **more).content["services"]["web"]
    return made


def refused(service: dict[str, Any], **more: Any) -> str:
    """Return what a refusal lists."""
    with pytest.raises(ConfigurationError) as error:
        stack_file(service, **more)
    return error.value.detail


def held(path: str, *inner: str, mode: int = 0o644) -> Source:
    """Return a file, or a folder of the files *inner*."""
    if not inner:
        return Source((SourceFile(Path(path), "", MARK, mode, 7, 8),))
    files = (SourceFile(Path(path) / name, name, MARK, mode, 7, 8) for name in inner)
    return Source(tuple(files))


def test_what_swarm_knows_stays_as_it_is() -> None:
    """Command, environment, health check and limits of memory are not touched."""
    stated = {
        "command": ["serve"],
        "environment": {"LEVEL": "info"},
        "healthcheck": {"test": ["CMD", "true"], "interval": "1s"},
        "networks": {"front": None, "back": {"aliases": ["api"]}},
        "deploy": {"replicas": 2, "resources": {"limits": {"memory": "1048576"}}},
    }
    made = web(stated)

    labels = made["deploy"].pop("labels")
    assert made == {"image": "web", **stated}
    assert labels == {PROJECT_LABEL: "shop"}


def test_empty_values_are_no_losses() -> None:
    """Compose prints null for what nobody states; nobody is told of it."""
    made = stack_file({"command": None, "privileged": False, "devices": []})

    assert made.losses == ()
    assert "command" not in made.content["services"]["web"]


@pytest.mark.parametrize(
    ("stated", "policy"),
    [
        ("always", {"condition": "any"}),
        ("no", {"condition": "none"}),
        ("on-failure:3", {"condition": "on-failure", "max_attempts": 3}),
    ],
)
def test_restart_becomes_a_restart_policy(stated: str, policy: dict[str, Any]) -> None:
    """What a container does when it ends stays as it was meant."""
    assert web({"restart": stated})["deploy"]["restart_policy"] == policy


def test_a_stated_restart_policy_has_precedence() -> None:
    """An overlay decides, whatever `restart` says."""
    made = web({"restart": "always", "deploy": {"restart_policy": {"delay": "2s"}}})

    assert made["deploy"]["restart_policy"] == {"delay": "2s"}


def test_old_limits_become_those_of_deploy() -> None:
    """`mem_limit`, `cpus` and `pids_limit` limit on Swarm, too."""
    made = web({"mem_limit": "1024", "cpus": 0.5, "pids_limit": 100, "scale": 3})

    assert made["deploy"]["resources"]["limits"] == {
        "memory": "1024",
        "cpus": "0.5",
        "pids": 100,
    }
    assert made["deploy"]["replicas"] == 3


def test_cpus_are_texts() -> None:
    """Compose prints a number, which the format refuses."""
    made = web({"deploy": {"resources": {"limits": {"cpus": 4, "memory": "9"}}}})

    assert made["deploy"]["resources"]["limits"] == {"cpus": "4", "memory": "9"}


def test_a_gpu_becomes_a_generic_resource() -> None:
    """A node offers its GPUs by kind and number."""
    device = {"driver": "nvidia", "count": 2, "capabilities": ["gpu"]}
    reservations = {"memory": "9", "devices": [device]}
    made = web({"deploy": {"resources": {"reservations": reservations}}})

    spec = {"discrete_resource_spec": {"kind": "NVIDIA-GPU", "value": 2}}
    assert made["deploy"]["resources"]["reservations"] == {
        "memory": "9",
        "generic_resources": [spec],
    }


def test_all_gpus_are_refused() -> None:
    """Swarm counts what it hands out."""
    reservations = {"devices": [{"count": "all", "capabilities": ["gpu"]}]}

    assert "count" in refused({"deploy": {"resources": {"reservations": reservations}}})


def test_tmpfs_is_not_lost() -> None:
    """Docker would drop the short form without a word, and the root is read-only."""
    made = web({"tmpfs": ["/tmp", "/run:size=64m,mode=1777"], "shm_size": "1024"})

    assert made["volumes"] == [
        {"type": "tmpfs", "target": "/tmp"},
        {"type": "tmpfs", "target": "/run", "tmpfs": {"size": 64 << 20}},
        {"type": "tmpfs", "target": "/dev/shm", "tmpfs": {"size": 1024}},
    ]


@pytest.mark.parametrize("option", ["mode=0700", "uid=1000", "exec"])
def test_what_a_tmpfs_cannot_be_is_refused(option: str) -> None:
    """Swarm's are all of one kind."""
    assert option in refused({"tmpfs": [f"/tmp:{option}"]})


def test_a_port_of_this_machine_alone_is_refused() -> None:
    """Docker would open 127.0.0.1 to everybody with a warning."""
    port = {"host_ip": "127.0.0.1", "target": 80, "published": "8000"}

    assert "127.0.0.1" in refused({"ports": [port]})


def test_ports_are_numbers_and_lose_an_address() -> None:
    """The port stays; the address of a node is told as lost."""
    port = {"host_ip": "10.0.0.5", "target": 80, "published": "8000", "mode": "host"}
    made = stack_file({"ports": [port]})

    assert made.content["services"]["web"]["ports"] == [
        {"mode": "host", "target": 80, "protocol": "tcp", "published": 8000}
    ]
    assert [loss.key for loss in made.losses] == ["ports.8000.host_ip"]


def test_a_routed_port_does_not_go_with_dnsrr() -> None:
    """The engine would refuse it when half of the stack is deployed."""
    port = {"target": 80, "published": "8000", "mode": "ingress"}

    assert "mode: host" in refused(
        {"ports": [port], "deploy": {"endpoint_mode": "dnsrr"}}
    )


def test_no_new_privileges_is_told_other_options_are_refused() -> None:
    """The one is a setting of the daemons, the others have no equivalent."""
    made = stack_file({"security_opt": ["no-new-privileges:true"]})

    assert "daemon.json" in str(made.losses[0])
    assert "seccomp" in refused({"security_opt": ["seccomp=unconfined"]})


def test_a_read_only_file_becomes_a_config() -> None:
    """The node has no checkout: what the file holds goes with the stack."""
    mount = {"type": "bind", "source": "/srv/a.yml", "target": "/a", "read_only": True}
    made = stack_file({"volumes": [mount]}, sources={"/srv/a.yml": held("/srv/a.yml")})

    [config] = made.content["services"]["web"]["configs"]
    assert made.content["configs"][config["source"]]["file"] == "/srv/a.yml"
    assert made.content["configs"][config["source"]]["name"].endswith(MARK[:12])
    assert (config["target"], config["uid"], config["gid"], config["mode"]) == (
        *("/a", "7", "8"),
        0o644,
    )


def test_a_file_that_not_all_may_read_becomes_a_secret() -> None:
    """A key stays closed to others on the node, too."""
    mount = {"type": "bind", "source": "/srv/key", "target": "/k", "read_only": True}
    sources = {"/srv/key": held("/srv/key", mode=0o640)}
    made = stack_file({"volumes": [mount]}, sources=sources)

    assert made.content["services"]["web"]["secrets"][0]["mode"] == 0o640
    assert "configs" not in made.content


def test_a_folder_becomes_a_config_for_each_file() -> None:
    """Each file lies where it did."""
    mount = {"type": "bind", "source": "/srv/c", "target": "/c", "read_only": True}
    sources = {"/srv/c": held("/srv/c", "a.yml", "sub/b.yml")}
    made = web({"volumes": [mount]}, sources=sources)

    targets = [config["target"] for config in made["configs"]]
    assert targets == ["/c/a.yml", "/c/sub/b.yml"]


def test_a_writable_bind_is_refused() -> None:
    """It would be another folder on each node."""
    mount = {"type": "bind", "source": "/srv/data", "target": "/data"}

    assert "/srv/data" in refused({"volumes": [mount]})


def test_data_without_a_pin_is_refused() -> None:
    """A task that comes to another node would find an empty volume."""
    mount = {"type": "volume", "source": "data", "target": "/data"}
    pin = {"placement": {"constraints": ["node.labels.store == true"]}}

    assert "data" in refused({"volumes": [mount]})
    assert web({"volumes": [mount], "deploy": pin})["volumes"] == [mount]
    disposable = {"compose-ops.data.disposable": "data"}
    assert web({"volumes": [mount], "labels": disposable})["volumes"] == [mount]


def test_a_secret_has_its_fingerprint_in_its_name() -> None:
    """Swarm changes no secret: another content is another secret."""
    secret = {"db": {"name": "shop_db", "file": "/srv/db"}}
    mount = {"source": "db", "target": "/run/secrets/db", "mode": "0440"}
    made = stack_file(
        {"secrets": [mount]}, sources={"/srv/db": held("/srv/db")}, secrets=secret
    )

    assert made.content["secrets"]["db"] == {
        "file": "/srv/db",
        "name": "shop_db-0123456789ab",
    }
    assert made.content["services"]["web"]["secrets"] == [{**mount, "mode": 0o440}]


def test_names_of_the_cluster_are_short_enough() -> None:
    """Swarm takes 64 letters; the fingerprint is never cut off."""
    secret = {"a" * 80: {"file": "/srv/db"}}
    made = stack_file({}, sources={"/srv/db": held("/srv/db")}, secrets=secret)

    name = made.content["secrets"]["a" * 80]["name"]
    assert len(name) == 64
    assert name.endswith("-0123456789ab")


def test_a_bridge_becomes_an_overlay() -> None:
    """What only a bridge has is told: its containers reach each other now."""
    network = {
        "driver": "bridge",
        "driver_opts": {"com.docker.network.bridge.enable_icc": "false"},
        "ipam": {"config": [{"subnet": "10.1.0.0/24", "gateway": "10.1.0.1"}]},
        "internal": True,
    }
    made = stack_file({}, networks={"back": network})

    assert made.content["networks"]["back"] == {
        "driver": "overlay",
        "ipam": {"config": [{"subnet": "10.1.0.0/24"}]},
        "internal": True,
    }
    told = "\n".join(map(str, made.losses))
    assert "enable_icc" in told
    assert "gateway" in told


def test_all_refusals_come_at_once() -> None:
    """A user sees the whole list, not one line a try."""
    found = refused(
        {"privileged": True, "devices": ["/dev/kvm"], "network_mode": "host"}
    )

    assert len(found.splitlines()) == 3


def test_what_nobody_knows_is_refused() -> None:
    """An element of a newer Compose is not lost in silence."""
    assert "brand_new" in refused({"brand_new": {"a": 1}})


def test_extensions_are_left_out() -> None:
    """They have no effect in Compose either."""
    assert "x-note" not in web({"x-note": "mine"})
