"""The rules are asked about the mode's own files, with what other stages open."""

from types import SimpleNamespace
from typing import Any

import pytest
from repository import ROOT, STAGES, own_mode, own_modes

from compose_ops.doctor.facts.findings import findings, subject, written
from compose_ops.project.model import Model

INTERNAL = {"data_network": {"internal": True}}


def rules_that_hit(stage: str) -> dict[str, str]:
    """Return rule and severity of what is found where Memgraph stands alone."""
    spec = {
        "image": "localhost/memgraph:1",
        "networks": {"data_network": None},
        "ports": [{"target": 7687, "published": "7687", "host_ip": "127.0.0.1"}],
    }
    mode, modes = own_mode(stage, offline=True), own_modes()
    stack: Any = SimpleNamespace(root=ROOT, mode=mode, modes=modes)
    raw = {"name": "t", "services": {"memgraph": spec}, "networks": INTERNAL}
    judged = subject(stack, Model(raw), written(stack))
    return {f.rule: f.severity for f in findings(judged)}


@pytest.mark.parametrize("stage", STAGES)
def test_rules_can_judge_every_stage(stage: str) -> None:
    """Whatever the other stages' files hold, no rule breaks on it."""
    assert "ports-on-internal" in rules_that_hit(stage)


def test_ports_that_another_stage_opens_are_no_fault() -> None:
    """The base publishes on internal networks alone; dev opens Memgraph."""
    assert rules_that_hit("base")["ports-on-internal"] == "note"
