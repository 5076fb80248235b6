"""
Values that stand in for variables nobody sets, where an empty text is refused.

What they stand for is judged by nobody: `LintTarget.placeholders` names them, and
findings that rest on one are dropped.
"""

import re
from collections.abc import Iterator, Sequence

from compose_ops.lint.composefile import Document, Step
from compose_ops.project.interpolation import variables

PATH = "./unset-variable"
IMAGE = "unset-variable:0"
BY_KEY = (
    (re.compile(r"^(cpus|cpu_count|cpu_percent)$"), "1"),
    (re.compile(r"^(replicas|scale|retries|parallelism|max_attempts)$"), "1"),
    (re.compile(r"^(pids_limit|pids|cpu_shares|count|mem_swappiness)$"), "1"),
    (re.compile(r"^(memory|mem_\w+|memswap_limit|shm_size|size)$"), "1g"),
    (re.compile(r"(interval|timeout|period|delay|monitor|window)$"), "61s"),
    (re.compile(r"^(ports|published|target|expose)$"), "64999"),
    (
        re.compile(r"^(privileged|read_only|init|tty|stdin_open|internal|external)$"),
        "false",
    ),
    (re.compile(r"^(subnet|ip_range)$"), "192.0.2.0/24"),
    (re.compile(r"(address|gateway|ip)$"), "192.0.2.2"),
    (re.compile(r"^(file|source|device|path|context|env_file)$"), PATH),
    (re.compile(r"^image$"), IMAGE),
)
_WHOLE = re.compile(r"\$\{?\w+(:?\?[^}]*)?\}?$")


def wanted(documents: Sequence[Document], names: frozenset[str]) -> dict[str, str]:
    """Return a value for each of these variables that stands where one is needed."""
    found: dict[str, str] = {}
    for name, path, text in written(documents):
        value = value_for(path, text, name) if name in names else ""
        if value:
            found.setdefault(name, value)
    return found


def written(
    documents: Sequence[Document],
) -> Iterator[tuple[str, tuple[Step, ...], str]]:
    """Yield each variable without a default, its path and the text it stands in."""
    for document in documents:
        for path, node in document.root.walk():
            if "$" in node.text():
                for name, optional in variables(node.text()):
                    if not optional:
                        yield name, path, node.text()


def value_for(path: tuple[Step, ...], text: str, name: str) -> str:
    """Return what stands in for a variable at a place, empty where it may be empty."""
    keys = [step for step in path if isinstance(step, str)]
    key = keys[-1] if keys else ""
    if "volumes" in keys[2:3] and key == "volumes":
        return PATH if re.match(rf"\$\{{?{name}\b", text) else "/unset-variable"
    if keys[:1] == ["services"] and "environment" in keys[2:4]:
        return ""
    if key == "image" and not _WHOLE.match(text):
        return ""
    return next((value for pattern, value in BY_KEY if pattern.search(key)), "")
