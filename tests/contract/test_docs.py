"""What the documents say of ports, networks and files is so."""

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from compose_models import rendered
from invoke.parser import Parser
from repository import ROOT, STAGES, own_files

from compose_ops.tasks import collection

# rules.md is made from the rules; its examples speak of files of other projects.
DOCUMENTS = [
    path
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    if path.name != "rules.md"
]
LINK = re.compile(r"\[[^\]]*\]\(([^)#]+)\)")
CODE = re.compile(r"`([\w./-]+/[\w./-]*|[\w-]+\.(?:py|yml|sh|md|toml))`")


def model(stage: str) -> dict[str, Any]:
    """Return the model of one stage, with its GPU."""
    return rendered(own_files(stage), root=ROOT)


def table(document: str, heading: str) -> dict[str, list[set[str]]]:
    """Return a table's rows below *heading*: first cell, and words of the others."""
    text = (ROOT / "docs" / document).read_text().partition(f"## {heading}\n")[2]
    rows = [
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in text.partition("\n## ")[0].splitlines()
        if line.startswith("|")
    ]
    return {
        first: [set(filter(None, cell.split(", "))) for cell in cells]
        for first, *cells in rows[2:]
    }


def reachable(service: dict[str, Any], networks: dict[str, Any]) -> set[str]:
    """Return the ports that are really published: not on internal networks alone."""
    if all(networks[name].get("internal") for name in service["networks"]):
        return set()
    return {str(port["target"]) for port in service.get("ports", ())}


@pytest.mark.compose
def test_the_table_of_ports_is_the_models() -> None:
    """Each service's published ports stand in its row, in base, dev and prod."""
    said = table("security.md", "Published ports")
    models = [model(stage) for stage in STAGES]

    services = {name for one in models for name in one["services"]}
    assert said.keys() == services
    for name in services:
        there = [
            reachable(one["services"].get(name, {"networks": {}}), one["networks"])
            for one in models
        ]
        assert said[name] == there, name


@pytest.mark.compose
def test_the_table_of_networks_is_the_models() -> None:
    """Each service's networks stand in its row: always, added by dev, by prod."""
    said = table("architecture.md", "Services and networks")
    base, dev, prod = (model(stage)["services"] for stage in STAGES)

    assert said.keys() == {*base, *dev, *prod}
    for name, row in said.items():
        always, in_dev, in_prod = (
            set(one.get(name, {"networks": {}})["networks"])
            for one in (base, dev, prod)
        )
        assert row == [always, in_dev - always, in_prod - always], name


@pytest.mark.compose
def test_every_service_has_a_row_about_its_login() -> None:
    """No service of any stage is left out of the table of logins."""
    said = {first.split()[0] for first in table("security.md", "Who asks for a login")}

    assert said >= {name for stage in STAGES for name in model(stage)["services"]} - {
        "gateway"
    }


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_can_be_typed(document: Path) -> None:
    """Each command of a block is a task with flags that it has."""
    ns = collection()  # of its own: invoke takes the help texts of what is parsed
    for line in typed(document.read_text()):
        words = shlex.split(line, comments=True)
        parser = Parser(contexts=ns.to_contexts(), ignore_unknown=False)
        asked = [word for word in words[1:] if word not in {"--dry", "--echo"}]
        if not asked or asked[0].startswith("-"):
            continue  # a flag of the program itself
        assert parser.parse_argv(asked), line


def typed(text: str) -> list[str]:
    """Return the commands of the shell's blocks that call a task."""
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = (line for block in blocks for line in block.splitlines())
    return [line for line in lines if line.startswith(("invoke ", "compose-ops "))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_and_paths_lead_somewhere(document: Path) -> None:
    """Each relative link, and each path in backticks, is in the project."""
    text = document.read_text()
    files = set(listed())
    folders = {str(parent) for file in files for parent in Path(file).parents}

    for target in LINK.findall(text):
        if "://" not in target:
            assert (document.parent / target).exists(), target
    for found in CODE.findall(text):
        path = found.removeprefix("./")
        first = path.split("/")[0]
        if "/" in path and first in folders | {"docs"} and "*" not in path:
            known = path.rstrip("/") in folders | files or ignored(path)
            assert known, path


def listed() -> list[str]:
    """Return the files of the project, those not committed yet included."""
    words = ("ls-files", "--cached", "--others", "--exclude-standard")
    done = subprocess.run(
        ["git", *words], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def ignored(path: str) -> bool:
    """Tell whether git ignores *path*: made by a task, not part of the project."""
    done = subprocess.run(["git", "check-ignore", "-q", path], cwd=ROOT, check=False)
    return done.returncode == 0


@pytest.mark.compose
@pytest.mark.parametrize("stage", STAGES)
def test_only_questdb_gets_capabilities_back(stage: str) -> None:
    """Every service drops all and may gain no privileges; one adds four."""
    services = model(stage)["services"]

    assert {name for name, one in services.items() if one.get("cap_add")} == {"questdb"}
    assert len(services["questdb"]["cap_add"]) == 4
    for service in services.values():
        assert service["cap_drop"] == ["ALL"]
        assert "no-new-privileges:true" in service["security_opt"]
