"""Two thousand bodies that no client should send, to the application as it is."""

import asyncio
import json
import random
from pathlib import Path
from typing import Any

from mcp_app import NEWEST, OLDER, TOKEN, call, client, request
from standin_servers import free_ports

from jimbot.draining import Draining
from jimbot.settings import read_settings
from jimbot.web import application

BODIES = 2000
SEED = 20250618
STRANGE: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        -1,
        1.5,
        10**30,
        1e308,
        "",
        "x" * 5000,
        "\x00",
        "é\ud83d\ude00",
    ),
    *(
        [],
        {},
        [[]],
        {"a": {}},
        [None] * 50,
        {"": ""},
        "$all",
        "../..",
        "'; DROP TABLE x--",
    ),
]
MESSAGES: list[Any] = [
    request("initialize", protocolVersion=NEWEST, capabilities={}, clientInfo={}),
    request("ping"),
    request("tools/list", cursor=None),
    {
        "jsonrpc": "2.0",
        "method": "notifications/cancelled",
        "params": {"requestId": 1},
    },
    call("services"),
    call("graph_query", query="MATCH (n) RETURN n", parameters={"a": 1}, limit=5),
    call("metrics_query", query="SELECT 1", limit=5),
    call("append_event", stream="s", type="t", data={}, expected_revision=3),
    call("read_events", stream="s", direction="backward", count=3),
    call("estimate_hand", token=1, held=["AS", "KD"], draw=3, samples=10, seed=1),
]


def mutated(dice: random.Random, value: Any) -> Any:
    """Return *value* with something in it replaced, removed, added or doubled."""
    if isinstance(value, dict) and value and dice.random() < 0.9:
        # Mostly what is deep inside: the rest is refused at the door.
        deep = [key for key in value if isinstance(value[key], dict)]
        key = dice.choice(deep if deep and dice.random() < 0.8 else list(value))
        changed = {**value, key: mutated(dice, value[key])}
        if dice.random() < 0.2:
            del changed[key]
        if dice.random() < 0.1:
            changed[dice.choice(["id", "params", "extra", ""])] = dice.choice(STRANGE)
        return changed
    if isinstance(value, list) and value and dice.random() < 0.5:
        return [*value, dice.choice([value[0], *STRANGE])]
    return dice.choice(STRANGE)


def body(dice: random.Random) -> bytes:
    message = dice.choice(MESSAGES)
    for _ in range(dice.randrange(4)):
        message = mutated(dice, message)
    if dice.random() < 0.1:
        message = [message, *dice.choices(MESSAGES, k=dice.randrange(4))]
    content = bytearray(json.dumps(message).encode())
    if dice.random() < 0.1:
        for _ in range(dice.randrange(1, 6)):
            place = dice.randrange(len(content) + 1)
            content[place : place + dice.randrange(4)] = dice.randbytes(
                dice.randrange(4)
            )
    return bytes(content)


def headers(dice: random.Random) -> dict[str, str | None]:
    odd: dict[str, list[str | None]] = {
        "accept": [None, "application/json", "text/html", ";;,"],
        "content_type": [None, "text/plain", "application/json; charset=x"],
        "mcp_protocol_version": [NEWEST, OLDER, "", "x", "2024-11-05"],
        "mcp_session_id": ["s", "", "x" * 2000],
        "origin": ["http://localhost", "null", "http://[", "http://evil.example"],
        "authorization": [None, "", "Bearer", "Bearer  x", "\xe9"],
    }
    return {n: dice.choice(v) for n, v in odd.items() if dice.random() < 0.04}


async def statuses(dice: random.Random, app: Any) -> list[int]:
    found = []
    for number in range(BODIES):
        content = body(dice)
        async with client(app, **headers(dice)) as sender:
            answer = await sender.post("/mcp", content=content)
        found.append(answer.status_code)
        assert answer.status_code < 500, (number, content, answer.text)
        assert "Traceback" not in answer.text, (number, content)
        assert TOKEN not in answer.text
    return found


def test_no_body_is_answered_with_a_500(tmp_path: Path) -> None:
    """Neither an exception nor a trace, whatever stands in it; nothing is listening."""
    keys = tmp_path / "api_keys.json"
    keys.write_text(json.dumps({"mcp": {"fuzz": TOKEN}}))
    names = ("MEMGRAPH", "QUESTDB", "EVENTSTORE", "RAY")
    ports = dict(zip(names, free_ports(4), strict=True))
    environ = {
        "ENVIRONMENT": "production",
        "API_KEYS_FILE": str(keys),
        "CLAUDE_RATE_LIMIT": str(BODIES * 30),
        "RAY_ADDRESS": f"ray://127.0.0.1:{ports.pop('RAY')}",
        **{f"{name}_PORT": str(port) for name, port in ports.items()},
        **{f"{name}_HOST": "127.0.0.1" for name in ports},
    }
    app = application(read_settings(environ, tmp_path), Draining())

    found = asyncio.run(statuses(random.Random(SEED), app))

    # It is no proof unless bodies of every kind got in, and far.
    assert len(found) == BODIES
    assert found.count(200) > BODIES / 3
    assert {202, 400, 401, 403, 406, 415} <= set(found)
