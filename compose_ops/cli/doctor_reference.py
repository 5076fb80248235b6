"""
The page on doctor, made from the checks themselves: `docs/doctor.md`.

`python -m compose_ops.cli.doctor_reference` writes it; a test keeps it current.
"""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from compose_ops.doctor import requirements
from compose_ops.doctor.registry import Check, limit
from compose_ops.gpu.sequence import CHECKS

PAGE = "docs/doctor.md"

HEAD = """\
# What doctor and gpu-check check

Made by `python -m compose_ops.cli.doctor_reference`.

`invoke doctor` changes nothing. It collects each fact once, in parallel and within its
limit; checks judge the facts. What needs an engine is skipped when none answers.
A task that requires a check waits six times as long before it refuses.
Outcomes: ok, warn, fail, skipped, crashed (the check itself failed). A fact that takes
too long is a warning; a task that requires it refuses.

- `--json` prints `{"project", "mode", "counts", "checks": [{"id", "topic", "outcome",
  "detail", "repair", "accepted", "seconds", "findings"}]}`; `findings` has every
  verdict that needs a repair, `detail` and `repair` are those of the worst one.
- `--only ID`, `--skip ID`, and `--accept 'ID=reason'`: the reason is stored for
  what that check finds now; another finding of the same check is reported again.
- `--fix` runs the repairs that lose and stop nothing, as they are printed.
- `--bundle FILE` writes what explains a failure to a new tar.gz (mode 0600): versions,
  these rows, the merged model, inspected containers and their last log lines, the
  journals' kind, step and age, disks, the engine. Secrets are redacted; the contents
  are listed first, and what could not be collected is named in `missing.json`.
- `--dev`, `--prod`, `--offline`, `--overlay` judge another mode than the running one.
- Compose's and Buildx's versions are asked once: `invoke up` remembers them for these
  very files.
- Exit codes: 0; 10 with `--strict` when a check warns; 11 when one fails or crashes.

`invoke up`, `invoke rolling-update` and `invoke restore` require the marked checks
before they change anything, and report all failures together. What was accepted with
a reason stops no task, unless no task can run without it.

On an engine of another machine, or in a virtual machine, what cannot be measured
through it is skipped, with the reason, and counted; a desktop's virtual machine sees
the checkout's files, so these are judged. What follows from the compose files alone is
a rule of `invoke lint`; the check `model-rules` runs those rules for the mode.
"""

GPU = """\
## gpu-check

`invoke gpu-check` runs these checks in order, stops at the first that fails, and names
one repair. No GPU is a normal result (exit 0); `--require` makes it a failure. Of an
engine elsewhere (a virtual machine, another host) only what it offers is judged. The
first three checks need no engine. A GPU that reported an error and answers again is a
warning, as its record stays in the kernel's log after a reset; what only a reboot ends
is a failure. Exit codes: 0; 11 for a check that fails.

`--service` names the service whose image and container are examined, `--json` prints
`{"service", "checks": [...]}`.
"""


def page() -> str:
    """Return the whole page in Markdown."""
    listed = requirements.registered().values()
    lines = [HEAD, f"{len(listed)} checks:"]
    for topic, members in groupby(listed, key=lambda check: check.topic):
        lines += ["", f"## {topic.replace('_', ' ').capitalize()}", ""]
        lines += ["| check | requirement | reason | required by | limit |"]
        lines += ["|---|---|---|---|---|", *map(row, members)]
    lines += ["", GPU, "| check | question |", "|---|---|"]
    lines += [f"| `{check.id}` | {check.question} |" for check in CHECKS]
    return "\n".join(lines) + "\n"


def row(check: Check) -> str:
    """Return the table's line on one check."""
    users = ", ".join(_users(check.id))
    start = f"| `{check.id}` | {check.summary} | {check.why} | {users} |"
    return f"{start} {limit(check):g} s |"


def _users(name: str) -> Iterator[str]:
    gates = {
        "up": requirements.UP,
        "rolling-update": requirements.ROLLOUT,
        "restore": requirements.RESTORE,
    }
    yield from (task for task, ids in gates.items() if name in ids)


def main(root: Path = Path(__file__).parents[2]) -> None:
    """Write the page."""
    (root / PAGE).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
