"""A repair is a command that a shell runs as it is printed."""

import re
import shlex
from types import SimpleNamespace
from typing import Any

from judging import STACK, judge

from compose_ops.docker.api import Volume
from compose_ops.lint import Finding
from compose_ops.project.model import Model
from compose_ops.project.modes import Mode
from compose_ops.runtime.reconcile import VOLUME_LABEL


def test_finding_of_a_rule_names_the_command_that_shows_it() -> None:
    """What to write stands beside the fault; prose is no repair."""
    finding = Finding(
        rule="memory-unstated",
        severity="warning",
        file="a.yml",
        line=3,
        message="app states no limit",
        repair="Add `deploy.resources.limits.memory`.",
        path="services.app",
    )
    row = judge("model-rules", findings=(finding,))

    assert row.repair == "invoke lint --rule memory-unstated"
    assert "Add `deploy.resources.limits.memory`." in row.detail


def test_moving_data_to_another_mode_is_one_line() -> None:
    mounts = [{"type": "volume", "source": "graph", "target": "/data"}]
    there = Volume("trial_graph", "local", {}, {VOLUME_LABEL: "graph"})
    model = Model(
        {
            "name": "trial",
            "services": {"memgraph": {"volumes": mounts}, "app": {}},
            "volumes": {"graph": {"driver_opts": {"device": "/data/graph"}}},
        }
    )
    stack: Any = SimpleNamespace(
        root=STACK.root,
        mode=Mode(("prod", "offline"), production=True, substitutes=True),
    )
    row = judge("volume-definitions", stack=stack, model=model, volumes=(there,))

    assert row.repair == (
        "invoke backup --service memgraph && invoke down && "
        "docker volume rm trial_graph && invoke up --prod --offline && "
        "invoke restore --service memgraph --yes"
    )
    assert row.problems[0].about == "trial_graph"
    assert not re.search(r"[`,]", row.repair)
    assert "&&" in shlex.split(row.repair)
