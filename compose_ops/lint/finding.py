"""What a rule finds, and where."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from compose_ops.lint.yaml_nodes import Step

SEVERITIES = ("error", "warning", "note")


@dataclass(frozen=True, slots=True)
class RawFinding:
    """
    What a rule function yields: the setting's path in the model, and the fault.

    `line` with `file` says where it stands when it is in no compose file, as in a
    Dockerfile. `severity` replaces the rule's own.
    """

    path: Sequence[Step]
    message: str
    severity: str = ""
    file: Path | None = None
    line: int = 0
    column: int = 1


@dataclass(frozen=True, slots=True)
class Finding:
    """
    One fault at one place; `accepted` is the reason why it was accepted.

    `combinations` are the names of the file sets that show it; `file` is relative to
    the project's folder where it lies below it; lines and columns count from 1.
    """

    rule: str
    severity: str
    file: str
    line: int
    message: str
    repair: str
    path: str
    combinations: tuple[str, ...] = ()
    accepted: str = ""
    column: int = 1

    def as_json(self) -> dict[str, object]:
        """Return the finding as one JSON object."""
        return {
            "rule": self.rule,
            "severity": self.severity,
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "message": self.message,
            "repair": self.repair,
            "path": self.path,
            "combinations": list(self.combinations),
            "accepted": self.accepted,
            "help": help_link(self.rule),
        }


def help_link(rule: str) -> str:
    """Return where a rule is explained, relative to this package's repository."""
    return f"docs/rules.md#{rule}"
