"""
Record this machine's GPU facts as a fixture of the checks.

    python tests/unit/gpu/record.py NAME "WHAT MACHINE IT IS"

Looks and starts nothing: what needs a container is left out. `expect` holds what the
checks say of it now; read it before you keep it.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from compose_ops.gpu.collect import Collector
from compose_ops.gpu.facts import StatedFacts
from compose_ops.gpu.sequence import run
from compose_ops.library.opening import open_stack

SERVICE = "ray-head"


def recorded(machine: str) -> dict[str, Any]:
    """Return a fixture of the machine that this runs on."""
    collector = Collector(open_stack(read_only=True), SERVICE)
    facts = StatedFacts(
        service=SERVICE,
        host=collector.host,
        toolkit=collector.toolkit,
        requests=collector.requests,
    )
    bad = [row for row in run(facts) if row.outcome in {"fail", "crashed"}]
    worst = bad[0] if bad else run(facts)[0]
    return {
        "made": "recorded",
        "source": [machine],
        "expect": {
            "stops_at": bad[0].id if bad else "",
            "says": worst.detail,
            "repair": worst.repair,
        },
        "facts": asdict(facts),
    }


def main() -> None:
    name, machine = sys.argv[1:]
    file = Path(__file__).parent / "machines" / f"{name}.json"
    file.write_text(json.dumps(recorded(machine), indent=2) + "\n")


if __name__ == "__main__":
    main()
