"""
One project on three machines, with the tasks and by hand.

The tests share a Swarm and run in this order; each leaves the stack healthy.
"""

import hashlib
import json
import os
import signal
from collections.abc import Iterator

import pytest
from swarm_site import REGISTRY, SwarmSite, swarm_site

pytestmark = [
    pytest.mark.docker,
    pytest.mark.slow,
    pytest.mark.xdist_group("swarm"),
    pytest.mark.skipif(os.geteuid() != 0, reason="further engines need root"),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SwarmSite]:
    """Return the project, deployed by one command."""
    with swarm_site(tmp_path_factory.mktemp("swarm")) as site:
        _, said = site.task("up", "--cluster")
        assert "depends_on" in said, "a loss is told"
        yield site


def of_service(site: SwarmSite, name: str) -> list[dict[str, str]]:
    """Return the tasks of a service, as `status` says."""
    rows: list[dict[str, str]] = site.json("status")["services"]
    return [row for row in rows if row["service"] == name]


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def names(site: SwarmSite, kind: str) -> list[str]:
    return site.docker(kind, "ls", "--format", "{{.Name}}").split()


def test_up_makes_all_healthy_where_the_labels_are(site: SwarmSite) -> None:
    """Replicas are on two nodes, and see files, secret and /tmp of the checkout."""
    tasks = of_service(site, "web")

    assert {task["node"] for task in tasks} == {"node2", "node3"}
    assert [(t["state"], t["health"]) for t in tasks] == [("running", "healthy")] * 2
    assert [t["node"] for t in of_service(site, "store")] == ["node3"]
    for node in (2, 3):
        page = site.page(node)
        assert page["files"] == {
            "/etc/web/sub/more.yaml": "more: true\n",
            "/etc/web/web.yaml": "level: info\n",
        }
        assert page["token"] == sha("first\n")


def test_images_are_deployed_by_digest(site: SwarmSite) -> None:
    """What runs is what was pushed, whatever its tag becomes."""
    words = ("service", "inspect", f"{site.project}_web", f"{site.project}_store")
    for service in json.loads(site.docker(*words)):
        image = service["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"]
        assert image.startswith(f"{REGISTRY}/trial/")
        assert "@sha256:" in image


def test_nodes_are_shown(site: SwarmSite) -> None:
    """Managers, their reachability, and the labels that place services."""
    nodes = {node["hostname"]: node for node in site.json("nodes")["nodes"]}

    assert nodes.keys() == {"node1", "node2", "node3"}
    assert nodes["node1"]["reachability"] == "reachable"
    assert nodes["node3"]["labels"] == {"store": "true", "web": "true"}


def test_logs_come_from_every_node(site: SwarmSite) -> None:
    out, _ = site.task("logs", "--service", "web")

    assert "@node2" in out
    assert "@node3" in out


def test_up_again_restarts_nothing(site: SwarmSite) -> None:
    """Without a change the same tasks go on."""
    before = {task["since"] for task in of_service(site, "web")}
    site.task("up")

    assert {task["since"] for task in of_service(site, "web")} == before


def test_a_changed_secret_is_another_secret(site: SwarmSite) -> None:
    """Swarm changes none: the next `up` brings the new one."""
    (site.folder / "token.txt").write_text("second\n")
    site.task("up")

    assert [site.page(node)["token"] for node in (2, 3)] == [sha("second\n")] * 2
    assert len(names(site, "secret")) == 2, "what a rollback would need stays"


def test_a_version_that_ends_is_rolled_back(site: SwarmSite) -> None:
    """The exit code says so although Docker's own would be 0, and all is served."""
    _, said = site.task("up", code=8, VERSION="bad")

    assert "exit (3)" in said
    assert site.page(2)["version"] == "1"
    assert site.page(3)["version"] == "1"


def test_what_was_killed_half_way_is_completed(site: SwarmSite) -> None:
    """The next run deploys the rest, and removes secrets that nobody goes back to."""
    (site.folder / "token.txt").write_text("third\n")
    with site.begin("up", VERSION="2") as process:
        assert process.stderr is not None
        next(line for line in process.stderr if line.startswith("deploying"))
        process.send_signal(signal.SIGKILL)
    site.task("up", VERSION="2")

    assert [site.page(node)["version"] for node in (2, 3)] == ["2", "2"]
    assert site.page(2)["token"] == sha("third\n")
    assert len(names(site, "secret")) == 2


def test_nodes_that_do_not_suffice_are_named_before_a_change(site: SwarmSite) -> None:
    """Swarm would wait for ever for a node with the label."""
    site.docker("node", "update", "--label-rm", "store", "node3")
    try:
        _, said = site.task("up", code=3)
    finally:
        site.docker("node", "update", "--label-add", "store=true", "node3")

    assert "node.labels.store == true" in said


def test_tasks_that_do_not_act_on_a_swarm_say_so(site: SwarmSite) -> None:
    """None of them looks for containers on this engine and finds nothing."""
    for task in (("restart",), ("backup", "--all"), ("rebuild",), ("stats",)):
        _, said = site.task(*task, code=2)
        assert "Swarm" in said


def test_the_printed_file_deploys_by_hand(site: SwarmSite) -> None:
    """Docker takes it without this library, and says nothing is ignored."""
    printed, _ = site.task("config", "--cluster", VERSION="3")
    (site.folder / "stack.yml").write_text(printed)
    words = ("stack", "deploy", "--detach=false", "--with-registry-auth")
    said = site.docker(*words, "--compose-file", "stack.yml", site.project)

    assert "Ignoring" not in said
    assert [site.page(node)["version"] for node in (2, 3)] == ["3", "3"]


def test_down_leaves_only_the_data(site: SwarmSite) -> None:
    """Right after it `up` works again, and the store finds its volume."""
    before = starts(site)
    site.task("down")
    assert names(site, "service") == []
    assert names(site, "secret") == []
    assert site.project not in site.docker("network", "ls", "--format", "{{.Name}}")

    site.task("up", "--cluster")
    assert starts(site) == before + 1


def starts(site: SwarmSite) -> int:
    """Return how often the store began, as its volume tells."""
    host = site.engines[2]
    words = ("ps", "--quiet", "--filter", f"name={site.project}_store")
    [store] = host.docker(*words).split()
    return int(host.docker("exec", store, "wc", "-l", "/data/starts").split()[0])
