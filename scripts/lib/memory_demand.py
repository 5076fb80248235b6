# ruff: noqa: INP001 - a script, no package
"""
Print the bytes that a Compose model's memory limits add up to.

Reads the JSON of `docker compose config --format json` on standard input. A
service without a limit counts as nothing; replicas count each.
"""

import json
import sys


def main() -> None:
    """Add up the limits of every service."""
    total = 0
    for service in json.load(sys.stdin).get("services", {}).values():
        deploy = service.get("deploy") or {}
        limits = (deploy.get("resources") or {}).get("limits") or {}
        total += int(limits.get("memory", 0)) * int(deploy.get("replicas", 1))
    sys.stdout.write(f"{total}\n")


if __name__ == "__main__":
    main()
