"""A translation at work: what it was given, what it makes, what it finds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from compose_ops.project.model import Model
from compose_ops.swarm.elements import DROPPED, REFUSED
from compose_ops.swarm.stackfile import Loss, Source


@dataclass
class Work:
    """
    What the translations of single elements share.

    `out` is the service or the object at work, `service` and `name` say which;
    `made` are the secrets and configs that files of this machine become.
    """

    model: Model
    sources: Mapping[str, Source]
    images: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    losses: list[Loss] = field(default_factory=list)
    refusals: list[Loss] = field(default_factory=list)
    made: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {"secrets": {}, "configs": {}}
    )
    service: str = ""
    name: str = ""
    out: dict[str, Any] = field(default_factory=dict)

    def note(self, outcome: str, key: str, reason: str) -> None:
        """Note a loss or a refusal, once."""
        there = self.refusals if outcome == REFUSED else self.losses
        found = Loss(self.service, key, reason)
        if found not in there:
            there.append(found)

    def refuse(self, key: str, reason: str) -> None:
        self.note(REFUSED, key, reason)

    def lose(self, key: str, reason: str) -> None:
        self.note(DROPPED, key, reason)

    def resources(self, kind: str) -> dict[str, Any]:
        """Return the mapping of `limits` or `reservations` of the service at work."""
        deploy: dict[str, Any] = self.out.setdefault("deploy", {})
        found: dict[str, Any] = deploy.setdefault("resources", {}).setdefault(kind, {})
        return found

    def add(self, key: str, *values: Mapping[str, Any]) -> None:
        """Append to a list of the service at work."""
        self.out.setdefault(key, []).extend(values)
