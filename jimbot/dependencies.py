"""
How each server that the application depends on is reached, and a real question for it.

Everybody opens a connection of their own, so that the answer is about now, and reads
the certificate authority afresh, so that renewed certificates are seen.
"""

import ssl
from collections.abc import Mapping
from typing import Any

import httpx
import psycopg
from neo4j import AsyncDriver, AsyncGraphDatabase

from jimbot.ray_connection import RayConnection
from jimbot.readiness import Question
from jimbot.settings import Server, Settings


def questions(settings: Settings, ray: RayConnection) -> Mapping[str, Question]:
    """Return the question for each dependency, by the dependency's name."""
    limits = settings.seconds
    return {
        "memgraph": Question(
            lambda: ask_memgraph(settings.memgraph), limits["memgraph"]
        ),
        "questdb": Question(lambda: ask_questdb(settings.questdb), limits["questdb"]),
        "eventstore": Question(
            lambda: ask_eventstore(settings.eventstore), limits["eventstore"]
        ),
        "ray": Question(ray.ask, limits["ray"]),
    }


def memgraph_driver(server: Server) -> AsyncDriver:
    """Return a driver that speaks Bolt; it connects when it is used."""
    return AsyncGraphDatabase.driver(
        f"bolt://{server.host}:{server.port}",
        auth=(server.user, server.password) if server.user else None,
        ssl_context=_trusting(server) if server.ca_file else None,
        telemetry_disabled=True,
    )


async def ask_memgraph(server: Server) -> None:
    """Run ``RETURN 1`` over Bolt."""
    driver = memgraph_driver(server)
    async with driver, driver.session() as session:
        result = await session.run("RETURN 1")
        await result.consume()


async def questdb_connection(server: Server) -> psycopg.AsyncConnection[Any]:
    """Connect by the PostgreSQL wire protocol."""
    return await psycopg.AsyncConnection.connect(
        host=server.host,
        port=server.port,
        user=server.user,
        password=server.password,
        dbname="qdb",
        sslmode="disable",
        gssencmode="disable",
        autocommit=True,
    )


async def ask_questdb(server: Server) -> None:
    """Run ``SELECT 1`` over the PostgreSQL wire protocol."""
    connection = await questdb_connection(server)
    async with connection:
        await connection.execute("SELECT 1")


def eventstore_client(server: Server) -> httpx.AsyncClient:
    """Return a client whose addresses are those of the server's HTTP interface."""
    scheme = "https" if server.ca_file else "http"
    return httpx.AsyncClient(
        base_url=f"{scheme}://{server.host}:{server.port}",
        auth=(server.user, server.password) if server.user else None,
        verify=_trusting(server),
        trust_env=False,
    )


async def ask_eventstore(server: Server) -> None:
    """Ask EventStore's own liveness page."""
    async with eventstore_client(server) as client:
        (await client.get("/health/live")).raise_for_status()


def _trusting(server: Server) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if server.ca_file:
        context.load_verify_locations(server.ca_file)
    return context
