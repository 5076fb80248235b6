"""JimBot in production on stand-ins, as tests ask it."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from e2e_scenario import Scenario, created
from mcp_checks import add_client


@contextmanager
def production_site(root: Path, *, monitor: str = "3s") -> Iterator[Scenario]:
    """Yield a checkout that runs in production; its updates watch for *monitor*."""
    scenario = created(root)
    scenario.set(EVENTSTORE_INSECURE="true", CLAUDE_RATE_LIMIT="1000000")
    file = scenario.root / "docker-compose.prod.yml"
    text = file.read_text()
    assert "monitor: 18s" in text
    assert "delay: 10s" in text
    quick = text.replace("monitor: 18s", f"monitor: {monitor}").replace(
        "delay: 10s", "delay: 1s"
    )
    file.write_text(quick)
    try:
        scenario.invoke("init", "--prod")
        add_client(scenario, "second")
        scenario.invoke("up", "--prod", "--offline", timeout=590)
        yield scenario
    except AssertionError:
        print(scenario.evidence())  # noqa: T201 - pytest shows it with the failure
        raise
    finally:
        scenario.remove()


def answer(scenario: Scenario, path: str) -> tuple[int, Any]:
    """Return status and JSON of a page, through the gateway's published port."""
    host, port = scenario.published("gateway", 8000)
    try:
        with urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=10) as page:
            return page.status, json.load(page)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


def replicas(scenario: Scenario) -> list[dict[str, Any]]:
    label = "com.docker.compose.service"
    return [c for c in scenario.containers() if c["Config"]["Labels"][label] == "app"]


def name(scenario: Scenario) -> str:
    """Return what the application calls itself."""
    return str(answer(scenario, "/")[1]["name"])


def edit(scenario: Scenario, text: str, instead: str) -> None:
    """Change a line of the application's pages in the checkout."""
    file = scenario.root / "jimbot/web.py"
    assert text in file.read_text()
    file.write_text(file.read_text().replace(text, instead))
