"""
Rules that find what breaks stacks, on the model that Compose merges.

`check` judges one combination of files, `check_all` all that a project has; both are
pure. `all_rules()` are the rules by id. Operations build the subjects: see
`compose_ops.lint.loader`.
"""

from compose_ops.lint.check import all_rules, check, check_all, unaccepted
from compose_ops.lint.finding import Finding, RawFinding
from compose_ops.lint.registry import Rule
from compose_ops.lint.report import LintReport, Skipped
from compose_ops.lint.settings import AcceptedRule, LintSettings
from compose_ops.lint.target import (
    Build,
    EnvFile,
    EnvLine,
    LintTarget,
    Machine,
    Service,
)

__all__ = [
    "AcceptedRule",
    "Build",
    "EnvFile",
    "EnvLine",
    "Finding",
    "LintReport",
    "LintSettings",
    "LintTarget",
    "Machine",
    "RawFinding",
    "Rule",
    "Service",
    "Skipped",
    "all_rules",
    "check",
    "check_all",
    "unaccepted",
]
