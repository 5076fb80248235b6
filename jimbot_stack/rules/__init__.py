"""
Rules that find what breaks stacks, on the model that Compose merges.

`check` judges one combination of files, `check_all` all that a project has; both are
pure. `rules()` are the rules by id. Operations build the subjects: see
`jimbot_stack.subjects`.
"""

from .check import check, check_all, rules, unaccepted
from .finding import Finding, Hit
from .registry import Rule
from .subject import Build, EnvFile, EnvLine, Machine, Service, Subject

__all__ = [
    "Build",
    "EnvFile",
    "EnvLine",
    "Finding",
    "Hit",
    "Machine",
    "Rule",
    "Service",
    "Subject",
    "check",
    "check_all",
    "rules",
    "unaccepted",
]
