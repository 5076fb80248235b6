"""
The page on all rules, made from the rules themselves: `docs/rules.md`.

`python -m compose_ops.lint.reference` writes it; a test keeps it current.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path

from compose_ops.lint.check import TOPICS, all_rules
from compose_ops.lint.registry import Rule

EXAMPLES = Path(__file__).parent / "examples"
PAGE = "docs/rules.md"

HEAD = """\
# Rules for compose files and Dockerfiles

Made from `compose_ops/lint/` by `python -m compose_ops.lint.reference`.

[lint.md](lint.md) says how to run the linter, and its formats and settings. An *error*
is proven from the files, a *warning* is likely or a matter of care, a *note* is worth
knowing; by default errors alone end with exit code 11.

**Model.** Rules see what `docker compose config` merges, so an override counts as it
works, and the line at which a setting is written.

**Machine.** `x-machine: {memory: 32G, reserved: 6G, cpus: 8}` at the top of a compose
file states the machine that it is for; an override for another machine states its own.

**Accepting a finding.** In a compose file, beside the thing, with a reason:

```yaml
services:
  app:
    x-lint-accept:
      secret-in-environment: the client library reads nothing else
```

It covers what stands at or below that mapping, also in a service that extends this one;
`environment-ignored LOG_LEVEL: …` only what is about that name.
In a Dockerfile or `.env.example`, on the line above:
`# lint-accept image-unpinned: the base is built every night`. What is accepted and no
longer found is a finding (`accepted-nothing`).
"""


def parts(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield (fails or passes, file name, text) of an example's parts."""
    pieces = re.split(r"^=== (fails|passes): (.+)\n", text, flags=re.MULTILINE)
    for index in range(1, len(pieces), 3):
        yield pieces[index], pieces[index + 1].strip(), pieces[index + 2]


def page(known: Mapping[str, Rule] | None = None) -> str:
    """Return the whole page in Markdown."""
    listed = sorted(
        (known or all_rules()).values(), key=lambda r: TOPICS.index(r.topic)
    )
    lines = [HEAD, f"{len(listed)} rules:", "", "| rule | severity | finds |"]
    lines.append("|---|---|---|")
    lines += [f"| [{r.id}](#{r.id}) | {r.severity} | {r.summary} |" for r in listed]
    for topic, members in groupby(listed, key=lambda r: r.topic):
        lines += ["", f"## {topic.capitalize()}"]
        for rule in members:
            lines += ["", *section(rule)]
    return "\n".join(lines) + "\n"


def section(rule: Rule) -> Iterator[str]:
    """Yield the lines on one rule."""
    yield f"### {rule.id}"
    yield ""
    final = "" if rule.acceptable else ", cannot be accepted"
    yield f"*{rule.severity}{final}.* {rule.summary} {rule.why}"
    yield ""
    yield f"Repair: {rule.repair} Source: {rule.source}."
    text = (EXAMPLES / f"{rule.id}.txt").read_text(encoding="utf-8")
    for half, name, body in parts(text):
        yield ""
        yield f"{half.capitalize()}, `{name}`:"
        yield ""
        yield f"```{language(name)}"
        yield body.replace("# here", "# <- here").rstrip("\n")
        yield "```"


def language(name: str) -> str:
    return {"yml": "yaml", "Dockerfile": "dockerfile"}.get(
        name.rpartition(".")[2], "text"
    )


def main(root: Path = Path(__file__).parents[2]) -> None:
    """Write the page."""
    (root / PAGE).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
