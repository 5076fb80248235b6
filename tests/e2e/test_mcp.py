"""
The application as an MCP server in development, and on the real products.

In production it is tested with the rest of production.
"""

import pytest
from e2e_scenario import Scenario, docker, service_of
from mcp_checks import assert_every_tool_works, endpoint
from mcp_clients import by_python

pytestmark = pytest.mark.docker

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


def test_development_on_loopback_wants_no_token(dev_stack: Scenario) -> None:
    """Every tool, without a gateway."""
    assert_every_tool_works(by_python(endpoint(dev_stack, "app")))


@pytest.mark.real_images
def test_every_tool_works_on_the_real_products(scenario: Scenario) -> None:
    """Production with the published images; Memgraph keeps nothing of a write."""
    scenario.invoke("init", "--prod")
    scenario.invoke("up", "--prod", timeout=1800)
    where = endpoint(scenario, "gateway", "claude")

    assert_every_tool_works(by_python(where))
    app = next(c["Id"] for c in scenario.containers() if service_of(c) == "app")
    docker("exec", app, "python", "-c", WRITE)
    assert_every_tool_works(by_python(where))
