"""`services`: what /ready knows."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any, Callable

from jimbot.mcp.calls import Progress, Tool


def services(look: Callable[[], Awaitable[Mapping[str, Any]]], seconds: float) -> Tool:
    """Return the tool that tells what *look* finds, within *seconds*."""

    async def run(arguments: Mapping[str, Any], report: Progress) -> Mapping[str, Any]:
        del arguments, report
        return await look()

    return Tool(
        name="services",
        title="State of the services",
        description="Ask Memgraph, QuestDB, EventStore and Ray whether they answer.",
        service="services",
        input={"type": "object", "properties": {}, "additionalProperties": False},
        output={
            "type": "object",
            "properties": {
                "ready": {"type": "boolean"},
                "draining": {"type": "boolean"},
                "dependencies": {
                    "type": "object",
                    "additionalProperties": {
                        "type": "object",
                        "properties": {
                            "up": {"type": "boolean"},
                            "latency_ms": {"type": "number"},
                            "reason": {"type": "string"},
                        },
                        "required": ["up", "latency_ms"],
                    },
                },
            },
            "required": ["ready", "draining", "dependencies"],
        },
        seconds=seconds,
        run=run,
    )
