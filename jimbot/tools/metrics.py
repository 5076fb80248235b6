"""`metrics_query`: one SELECT on QuestDB."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from jimbot.dependencies import questdb_connection
from jimbot.mcp.calls import Progress, Tool, ToolError
from jimbot.settings import Server
from jimbot.tools.rows import DEFAULT_LIMIT, LIMIT, OUTPUT, QUERY, SQL, Rows, words


def metrics_query(server: Server, seconds: float) -> Tool:
    """Return the tool that asks *server*, for at most *seconds*."""

    async def run(arguments: Mapping[str, Any], report: Progress) -> Mapping[str, Any]:
        del report
        query = one_select(arguments["query"])
        return await read(server, query, arguments.get("limit", DEFAULT_LIMIT))

    return Tool(
        name="metrics_query",
        title="Query the time series",
        description="Run one SELECT on QuestDB. Times are in UTC.",
        service="questdb",
        input={
            "type": "object",
            "properties": {"query": QUERY, "limit": LIMIT},
            "required": ["query"],
            "additionalProperties": False,
        },
        output=OUTPUT,
        seconds=seconds,
        run=run,
    )


def one_select(query: str) -> str:
    """Return *query* without what ends it. Raises ToolError if it is not one SELECT."""
    found = words(query, SQL)
    while found and found[-1] == ";":
        found.pop()
    depth = 0
    for word in found:
        depth += {"(": 1, ")": -1}.get(word, 0)
        if word == ";" or depth < 0:
            raise ToolError("metrics_query takes one SELECT and nothing after it")
    if not found or found[0] != "SELECT":
        raise ToolError("metrics_query takes one SELECT")
    return query.rstrip("; \t\r\n")


async def read(server: Server, query: str, limit: int) -> Mapping[str, Any]:
    """Run *query* as part of one that QuestDB itself limits, and that can only read."""
    rows = Rows(limit)
    limited = f"SELECT * FROM (\n{query}\n) LIMIT {limit + 1}"  # noqa: S608
    connection = await questdb_connection(server)
    async with connection:
        cursor = connection.cursor()
        try:
            # With a name it is prepared, and that takes no second statement.
            await cursor.execute(limited.encode(), prepare=True)
            columns = [column.name for column in cursor.description or ()]
            async for row in cursor:
                if not rows.take(row):
                    break
        except psycopg.OperationalError:
            raise
        except psycopg.Error as error:
            raise ToolError(f"questdb refused the query: {error}") from error
    return rows.result(columns)
