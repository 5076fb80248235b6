"""A baseline: findings that were there before, so that only new ones fail."""

import json
from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from compose_ops.errors import ConfigurationError
from compose_ops.lint.finding import Finding

SCHEMA = 1


def fingerprint(finding: Finding) -> str:
    """Return what stays the same of a finding when lines above it move."""
    parts = (finding.rule, finding.file, finding.path, finding.message)
    return sha256("\0".join(parts).encode()).hexdigest()[:24]


def written(findings: Sequence[Finding]) -> str:
    """Return the text of a baseline that holds these findings."""
    counts = Counter(fingerprint(one) for one in findings)
    known = {fingerprint(one): one for one in findings}
    entries = [
        {
            "rule": one.rule,
            "file": one.file,
            "message": one.message,
            "fingerprint": key,
            "count": counts[key],
        }
        for key, one in sorted(
            known.items(), key=lambda i: (i[1].file, i[1].rule, i[0])
        )
    ]
    return json.dumps({"schema": SCHEMA, "findings": entries}, indent=2) + "\n"


def read(path: Path) -> Counter[str]:
    """
    Return how often a baseline holds each fingerprint.

    Raises ConfigurationError for a file that is no baseline of this version.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["schema"] == SCHEMA:
            listed = data["findings"]
            return Counter({one["fingerprint"]: int(one["count"]) for one in listed})
        problem = f"its schema is {data['schema']}"
    except (OSError, ValueError, KeyError, TypeError) as error:
        problem = str(error)
    raise ConfigurationError(
        f"{path} is no baseline that can be read: {problem}",
        hint="write it anew with --update-baseline",
    )


def split(
    findings: Sequence[Finding], known: Counter[str]
) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    """Return the new findings and those that the baseline holds."""
    left = known.copy()
    new: list[Finding] = []
    old: list[Finding] = []
    for one in findings:
        key = fingerprint(one)
        if left[key] > 0:
            left[key] -= 1
            old.append(one)
        else:
            new.append(one)
    return tuple(new), tuple(old)
