"""
One real question for each server that the application depends on.

Every question opens a connection of its own, so that the answer is about now, and
reads the certificate authority afresh, so that renewed certificates are seen.
"""

import ssl
from collections.abc import Mapping

import httpx
import psycopg
from neo4j import AsyncGraphDatabase

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


async def ask_memgraph(server: Server) -> None:
    """Run ``RETURN 1`` over Bolt."""
    driver = AsyncGraphDatabase.driver(
        f"bolt://{server.host}:{server.port}",
        auth=(server.user, server.password) if server.user else None,
        ssl_context=_trusting(server) if server.ca_file else None,
        telemetry_disabled=True,
    )
    async with driver, driver.session() as session:
        result = await session.run("RETURN 1")
        await result.consume()


async def ask_questdb(server: Server) -> None:
    """Run ``SELECT 1`` over the PostgreSQL wire protocol."""
    connection = await psycopg.AsyncConnection.connect(
        host=server.host,
        port=server.port,
        user=server.user,
        password=server.password,
        dbname="qdb",
        sslmode="disable",
        gssencmode="disable",
        autocommit=True,
    )
    async with connection:
        await connection.execute("SELECT 1")


async def ask_eventstore(server: Server) -> None:
    """Ask EventStore's own liveness page."""
    scheme = "https" if server.ca_file else "http"
    async with httpx.AsyncClient(verify=_trusting(server), trust_env=False) as client:
        url = f"{scheme}://{server.host}:{server.port}/health/live"
        (await client.get(url)).raise_for_status()


def _trusting(server: Server) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if server.ca_file:
        context.load_verify_locations(server.ca_file)
    return context
