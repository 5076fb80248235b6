"""`graph_query`: read-only Cypher on Memgraph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neo4j import READ_ACCESS
from neo4j.exceptions import ClientError, Neo4jError
from neo4j.graph import Node, Path, Relationship

from jimbot.dependencies import memgraph_driver
from jimbot.mcp.calls import Progress, Tool, ToolError
from jimbot.settings import Server
from jimbot.tools.rows import CYPHER, DEFAULT_LIMIT, LIMIT, OUTPUT, QUERY, Rows, words

BEGINNINGS = {"MATCH", "OPTIONAL", "UNWIND", "WITH", "RETURN"}
# CALL reaches procedures, and some of those write files.
REFUSED = {
    *("CALL", "CREATE", "DELETE", "DETACH", "DROP", "FOREACH", "LOAD"),
    *("MERGE", "REMOVE", "SET"),
}
FETCHED_AT_ONCE = 100


def graph_query(server: Server, seconds: float) -> Tool:
    """Return the tool that asks *server*, for at most *seconds*."""

    async def run(arguments: Mapping[str, Any], report: Progress) -> Mapping[str, Any]:
        del report
        refuse_writing(arguments["query"])
        return await read(server, arguments, seconds)

    return Tool(
        name="graph_query",
        title="Query the knowledge graph",
        description=(
            "Run one read-only Cypher query on Memgraph. It begins with MATCH,"
            " OPTIONAL MATCH, UNWIND, WITH or RETURN; values go into parameters"
            " ($name)."
        ),
        service="memgraph",
        input={
            "type": "object",
            "properties": {
                "query": QUERY,
                "parameters": {"type": "object", "default": {}},
                "limit": LIMIT,
            },
            "required": ["query"],
            "additionalProperties": False,
        },
        output=OUTPUT,
        seconds=seconds,
        run=run,
    )


def refuse_writing(query: str) -> None:
    """Raise ToolError for a query that could change something."""
    found = words(query, CYPHER)
    wrong = next((word for word in found if word in REFUSED), None)
    if wrong is None and found and found[0] not in BEGINNINGS:
        wrong = found[0]
    if wrong is not None or not found:
        raise ToolError(
            f"graph_query only reads: {wrong or 'an empty query'} is refused"
            " (a name that reads like it goes into backticks)"
        )


async def read(
    server: Server, arguments: Mapping[str, Any], seconds: float
) -> Mapping[str, Any]:
    """
    Run a query in a transaction that is said to read, and is never committed.

    So Memgraph refuses what writes, and keeps nothing of what would get through.
    """
    rows = Rows(arguments.get("limit", DEFAULT_LIMIT))
    driver = memgraph_driver(server)
    async with (
        driver,
        driver.session(
            default_access_mode=READ_ACCESS, fetch_size=FETCHED_AT_ONCE
        ) as session,
    ):
        transaction = await session.begin_transaction(timeout=seconds)
        try:
            result = await transaction.run(
                arguments["query"], arguments.get("parameters", {})
            )
            columns = result.keys()
            async for record in result:
                if not rows.take([_shown(value) for value in record.values()]):
                    break
        except (OverflowError, TypeError, ValueError) as error:
            raise ToolError(f"memgraph: a parameter cannot be sent: {error}") from error
        except Neo4jError as error:
            if not isinstance(error, ClientError):
                raise
            raise ToolError(f"memgraph refused the query: {error.message}") from error
        finally:
            await transaction.close()
    return rows.result(columns)


def _shown(value: Any) -> Any:
    if isinstance(value, Node):
        return {
            "id": value.element_id,
            "labels": sorted(value.labels),
            "properties": dict(value),
        }
    if isinstance(value, Relationship):
        ends = [node.element_id if node else None for node in value.nodes]
        return {
            "id": value.element_id,
            "type": value.type,
            "start": ends[0],
            "end": ends[1],
            "properties": dict(value),
        }
    if isinstance(value, Path):
        return {
            "nodes": [_shown(node) for node in value.nodes],
            "relationships": [_shown(edge) for edge in value.relationships],
        }
    if isinstance(value, (list, tuple)):
        return [_shown(item) for item in value]
    if isinstance(value, dict):
        return {key: _shown(item) for key, item in value.items()}
    return value
