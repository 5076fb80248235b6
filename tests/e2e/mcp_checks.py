"""What the official clients have to find, wherever the application runs."""

import json
import secrets
import time
from typing import Any

import httpx
from e2e_scenario import Scenario
from mcp_clients import HAND, TOOLS, Server

SECONDS = 60.0


def endpoint(scenario: Scenario, service: str, client: str = "") -> Server:
    """Return where *service* is published, with the token of *client*, once ready."""
    host, port = scenario.published(service, 8000)
    token = keys(scenario)["mcp"][client] if client else ""
    deadline = time.monotonic() + SECONDS
    while (ready := httpx.get(f"http://{host}:{port}/ready")).status_code != 200:
        assert time.monotonic() < deadline, ready.text
        time.sleep(0.5)
    return Server(f"http://{host}:{port}/mcp", token)


def keys(scenario: Scenario) -> dict[str, Any]:
    file = scenario.root / "secrets/api_keys.json"
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def add_client(scenario: Scenario, name: str) -> None:
    """Give a further client a token, before the application starts."""
    known = keys(scenario)
    known["mcp"][name] = secrets.token_urlsafe(32)
    (scenario.root / "secrets/api_keys.json").write_text(json.dumps(known))


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


def ping(where: Server, **headers: str) -> httpx.Response:
    message = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    return httpx.post(where.url, json=message, headers=where.headers | headers)


def cancelled_call(where: Server, session: str) -> str:
    """Cancel a long call after its first report; what its stream still brought."""
    params = {
        "name": "estimate_hand",
        "arguments": {"held": [], "draw": 8, "samples": 100_000},
        "_meta": {"progressToken": 1},
    }
    asked = {"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": params}
    told = {"jsonrpc": "2.0", "method": "notifications/cancelled"}
    headers = where.headers | {"Mcp-Session-Id": session}
    with (
        httpx.Client(headers=headers, timeout=SECONDS) as client,
        client.stream("POST", where.url, json=asked) as answer,
    ):
        lines = answer.iter_lines()
        first = next(line for line in lines if line.startswith("data: "))
        assert "notifications/progress" in first
        client.post(where.url, json=told | {"params": {"requestId": 5}})
        return "".join(lines)
