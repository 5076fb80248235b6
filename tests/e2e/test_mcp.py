"""The application as a server of the Model Context Protocol, to official clients."""

import json
import os
import secrets
import signal
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from e2e_scenario import Scenario, created, docker
from mcp_clients import (
    HAND,
    TOOLS,
    PythonLoad,
    Server,
    TypeScript,
    by_python,
    installed,
)

pytestmark = pytest.mark.docker
SECONDS = 60.0
FEW = 12
FILES = tuple(
    f"{name}.yml"
    for name in ("docker-compose", "docker-compose.prod", "docker/overlays/offline")
)


@pytest.fixture(scope="module")
def typescript(tmp_path_factory: pytest.TempPathFactory) -> TypeScript:
    return installed(tmp_path_factory.mktemp("typescript"))


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    """Return production on stand-ins, whose limit is high, and that has two tokens."""
    scenario = created(tmp_path_factory.mktemp("production"))
    scenario.set(CLAUDE_RATE_LIMIT="1000000")
    file = scenario.root / "docker-compose.prod.yml"
    quick = {"monitor: 130s": "monitor: 3s", "delay: 10s": "delay: 1s"}
    for slow, fast in quick.items():
        assert slow in file.read_text()
        file.write_text(file.read_text().replace(slow, fast))
    try:
        scenario.invoke("init", "--prod")
        keys = scenario.root / "secrets/api_keys.json"
        content = json.loads(keys.read_text())
        content["mcp"]["second"] = secrets.token_urlsafe(32)
        keys.write_text(json.dumps(content))
        scenario.invoke("up", "--prod", "--offline", timeout=590)
        yield scenario
    except AssertionError:
        print(scenario.evidence())  # noqa: T201 - pytest shows it with the failure
        raise
    finally:
        scenario.remove()


def server(scenario: Scenario, service: str, name: str = "") -> Server:
    """Return where *service* is published, and the token of client *name*."""
    host, port = scenario.published(service, 8000)
    keys = json.loads((scenario.root / "secrets/api_keys.json").read_text())
    token = keys["mcp"][name] if name else ""
    return Server(f"http://{host}:{port}/mcp", token)


def replicas(scenario: Scenario) -> list[dict[str, Any]]:
    label = "com.docker.compose.service"
    return [c for c in scenario.containers() if c["Config"]["Labels"][label] == "app"]


def assert_every_tool_works(found: dict[str, Any]) -> None:
    results = found["results"]

    assert found["version"] == "2025-06-18"
    assert found["tools"] == TOOLS
    assert results["services"]["ready"] is True
    assert results["graph_query"]["rows"] == [[0]]
    assert results["metrics_query"]["rows"] == [[1]]
    (event,) = results["read_events"]["events"]
    assert event["event_id"] == results["append_event"]["event_id"]
    assert event["data"] == {"by": "test"}
    assert results["estimate_hand"]["samples"] == HAND["samples"]
    assert found["progress"] >= 2
    assert "'AS' is not of type 'array'" in found["refused"]


def test_both_clients_call_every_tool_through_the_gateway(
    production: Scenario, typescript: TypeScript
) -> None:
    """And a seed gives both the same estimate, whichever replica they reach."""
    python = by_python(server(production, "gateway", "claude"), "auto")
    script = typescript.every(server(production, "gateway", "second"))

    assert_every_tool_works(python)
    assert_every_tool_works(script)
    estimates = [r["results"]["estimate_hand"] for r in (python, script)]
    assert estimates[0] == estimates[1]
    assert 0 < estimates[0]["standard_error"] < estimates[0]["expected_score"] / 10


def test_development_on_loopback_wants_no_token(dev_stack: Scenario) -> None:
    """The same tools, without a gateway."""
    assert_every_tool_works(by_python(server(dev_stack, "app")))


def ping(where: Server, **headers: str) -> httpx.Response:
    message = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    return httpx.post(where.url, json=message, headers=where.headers | headers)


def test_production_wants_a_token_and_keeps_it_to_itself(production: Scenario) -> None:
    right = server(production, "gateway", "claude")

    assert ping(Server(right.url)).status_code == 401
    assert ping(Server(right.url, right.token[:-1])).status_code == 401
    assert ping(right, Origin="http://evil.example").status_code == 403
    assert ping(right).status_code == 200
    for replica in replicas(production):
        assert right.token not in docker("logs", replica["Id"], check=False)
        assert right.token not in json.dumps(replica)


def test_a_cancelled_call_stops_its_tasks(production: Scenario) -> None:
    """Whichever replica the cancellation comes by: the session leads it there."""
    where = server(production, "gateway", "claude")
    arguments = {"held": [], "draw": 8, "samples": 100_000}
    asked = {
        "jsonrpc": "2.0",
        "id": 5,
        "method": "tools/call",
        "params": {
            "name": "estimate_hand",
            "arguments": arguments,
            "_meta": {"progressToken": 1},
        },
    }
    told = {
        "jsonrpc": "2.0",
        "method": "notifications/cancelled",
        "params": {"requestId": 5},
    }
    for session in ("one", "two", "three"):
        headers = where.headers | {"Mcp-Session-Id": session}
        with (
            httpx.Client(headers=headers, timeout=SECONDS) as client,
            client.stream("POST", where.url, json=asked) as answer,
        ):
            lines = answer.iter_lines()
            first = next(line for line in lines if line.startswith("data: "))
            assert client.post(where.url, json=told).status_code == 202
            rest = "".join(lines)
        assert "progress" in first
        assert '"result"' not in rest


def test_no_call_is_lost_in_an_update(
    production: Scenario, typescript: TypeScript
) -> None:
    """Both replicas are replaced while both clients call without pause."""
    before = {c["Id"] for c in replicas(production)}
    production.set(ANTHROPIC_API_KEY="another")
    with (
        PythonLoad(server(production, "gateway", "claude")) as python,
        typescript.load(server(production, "gateway", "second")) as script,
    ):
        outcome = production.json("rolling-update", "--service", "app")

    assert outcome["result"] == "updated"
    assert not before & {c["Id"] for c in replicas(production)}
    assert (python.failures, script.failures) == ([], [])
    assert min(python.made, script.made) > 50
    print(f"calls: {python.made} and {script.made}")  # noqa: T201 - a figure to report


def test_a_dead_replica_takes_only_its_own_calls_along(
    production: Scenario, typescript: TypeScript
) -> None:
    """Each replica dies once; what was not under way in it is answered."""
    for replica in replicas(production):
        with (
            PythonLoad(server(production, "gateway", "claude")) as python,
            typescript.load(server(production, "gateway", "second")) as script,
        ):
            python.wait_for(python.made + 10)
            moment = time.time()
            os.kill(replica["State"]["Pid"], signal.SIGKILL)
            _wait_until_it_runs_again(replica["Id"], replica["State"]["StartedAt"])
            python.wait_for(python.made + 10)

        for load in (python, script):
            assert load.failed_except_at(moment) == []
            assert len(load.failures) <= 1
            assert load.made > 10


def _wait_until_it_runs_again(container: str, started: str) -> None:
    deadline = time.monotonic() + SECONDS
    form = "{{.State.StartedAt}} {{.State.Health.Status}}"
    while True:
        said, health = docker("inspect", "--format", form, container).split()
        if said != started and health == "healthy":
            return
        assert time.monotonic() < deadline, (said, health)
        time.sleep(0.2)


def test_the_limit_is_each_tokens_over_all_replicas(production: Scenario) -> None:
    """Two clients, FEW calls each, whichever replicas they came to; then 429."""
    production.set(CLAUDE_RATE_LIMIT=str(FEW))
    production.compose(
        *("up", "--detach", "--no-deps", "--no-build", "--wait", "gateway"), files=FILES
    )
    clients = [server(production, "gateway", name) for name in ("claude", "second")]

    answers = [[ping(client) for _ in range(FEW + 2)] for client in clients]

    for of_client in answers:
        assert [a.status_code for a in of_client] == [200] * FEW + [429] * 2
        assert int(of_client[-1].headers["retry-after"]) == 60
        assert of_client[-1].json()["error"]["message"].startswith(f"more than {FEW} ")


@pytest.mark.real_images
def test_every_tool_works_on_the_real_products(scenario: Scenario) -> None:
    """Production with the published images; Memgraph keeps nothing of a write."""
    scenario.set(CLAUDE_RATE_LIMIT="1000")
    scenario.invoke("init", "--prod")
    scenario.invoke("up", "--prod", timeout=1800)
    where = server(scenario, "gateway", "claude")

    assert_every_tool_works(by_python(where))
    app = replicas(scenario)[0]["Id"]
    docker("exec", app, "python", "-c", WRITE)
    assert_every_tool_works(by_python(where))


# What our own look at the words would not let through, asked of Memgraph all the same.
WRITE = """
import asyncio, os, pathlib
from jimbot.mcp.calls import ToolError
from jimbot.settings import read_settings
from jimbot.tools.graph import read
server = read_settings(os.environ, pathlib.Path("/app/config")).memgraph
try:
    asyncio.run(read(server, {"query": "CREATE (n:Written) RETURN n"}, 10))
except ToolError as refused:
    print(refused)
"""
