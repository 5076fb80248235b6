"""`estimate_hand`: what a hand of cards scores on average, sampled on the cluster."""

from __future__ import annotations

import asyncio
import math
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from jimbot.mcp.calls import Progress, Tool, ToolError
from jimbot.ray_connection import RayConnection
from jimbot.tools import hands

SAMPLES_OF_A_TASK = 2_000
MOST_SAMPLES, DEFAULT_SAMPLES = 100_000, 10_000
MOST_CARDS = 8
CARDS = {
    "type": "array",
    "items": {"type": "string", "pattern": r"^[2-9TJQKA][CDHS]$(?!\n)"},
    "uniqueItems": True,
}


def estimate_hand(ray: RayConnection, seconds: float) -> Tool:
    """Return the tool that samples on the cluster of *ray*, within *seconds*."""

    async def run(arguments: Mapping[str, Any], report: Progress) -> Mapping[str, Any]:
        return await estimate(ray, arguments, report)

    return Tool(
        name="estimate_hand",
        title="Estimate a hand of cards",
        description=(
            "Expected score of the best poker hand among the cards held and those still"
            " to be drawn from the rest of the deck, by Monte Carlo on Ray. Cards are"
            " like TS (ten of spades); gone are cards that cannot be drawn any more. A"
            " seed makes it repeatable."
        ),
        service="ray",
        input={
            "type": "object",
            "properties": {
                "held": {**CARDS, "maxItems": MOST_CARDS},
                "draw": {"type": "integer", "minimum": 0, "maximum": MOST_CARDS},
                "gone": {**CARDS, "maxItems": len(hands.DECK), "default": []},
                "samples": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": MOST_SAMPLES,
                    "default": DEFAULT_SAMPLES,
                },
                "seed": {"type": "integer", "minimum": 0, "maximum": 2**53 - 1},
            },
            "required": ["held", "draw"],
            "additionalProperties": False,
        },
        output={
            "type": "object",
            "properties": {
                "expected_score": {"type": "number"},
                "standard_error": {"type": "number"},
                "samples": {"type": "integer"},
                "seed": {"type": "integer"},
                "hands": {
                    "type": "object",
                    "additionalProperties": {"type": "number"},
                    "description": "The share of samples in which each hand was best.",
                },
            },
            "required": [
                *("expected_score", "standard_error", "samples", "seed", "hands")
            ],
        },
        seconds=seconds,
        run=run,
        reports_progress=True,
    )


async def estimate(
    ray: RayConnection, arguments: Mapping[str, Any], report: Progress
) -> Mapping[str, Any]:
    """Sample in tasks of the cluster; *report* tells how many samples are done."""
    held, draw, rest = dealt(arguments)
    samples = arguments.get("samples", DEFAULT_SAMPLES) if draw else 1
    seed = arguments.get("seed", secrets.randbits(53))
    work = [
        (held, rest, draw, min(SAMPLES_OF_A_TASK, samples - first), f"{seed}:{first}")
        for first in range(0, samples, SAMPLES_OF_A_TASK)
    ]
    tallies = []
    done = 0
    async with ray.tasks(hands, hands.simulate, work) as running:
        for next_one in asyncio.as_completed(running):
            tally = await next_one
            tallies.append(tally)
            done += tally[0]
            report(done, samples)
    return {**summary(tallies), "seed": seed}


def dealt(arguments: Mapping[str, Any]) -> tuple[list[str], int, list[str]]:
    """Return the cards held, how many to draw, and from which. Raises ToolError."""
    held, draw, gone = arguments["held"], arguments["draw"], arguments.get("gone", [])
    if not 1 <= len(held) + draw <= MOST_CARDS:
        raise ToolError(f"held and drawn cards have to be 1 to {MOST_CARDS} together")
    if set(held) & set(gone):
        raise ToolError("a card cannot be both held and gone")
    rest = [card for card in hands.DECK if card not in held and card not in gone]
    if draw > len(rest):
        raise ToolError(f"only {len(rest)} cards are left to draw from")
    return held, draw, rest


def summary(tallies: Sequence[Any]) -> Mapping[str, Any]:
    """Return the mean, its standard error, and each hand's share."""
    samples, total, squares = (sum(tally[at] for tally in tallies) for at in range(3))
    counts: Counter[str] = Counter()
    for tally in tallies:
        counts.update(tally[3])
    mean = total / samples
    variance = max(squares / samples - mean * mean, 0.0)
    return {
        "expected_score": mean,
        "standard_error": math.sqrt(variance / samples),
        "samples": samples,
        "hands": {name: counts[name] / samples for name in hands.HANDS if counts[name]},
    }
