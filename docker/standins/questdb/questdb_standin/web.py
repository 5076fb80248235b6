"""REST on port 9000 (`/exec`) and the minimal health server on port 9003."""

import json
from http import HTTPStatus

from standin_wire.http import Request, Response

from questdb_standin.database import Database
from questdb_standin.sql import NOT_UNDERSTOOD, Answer, Work, run_sql
from questdb_standin.sql_rows import SqlError

_JSON = "application/json; charset=utf-8"


def answer_rest(database: Database, request: Request) -> Response:
    """Answer one request of port 9000."""
    if request.path in ("/", "/index.html"):
        return Response(HTTPStatus.OK, NOT_UNDERSTOOD.encode())
    if request.path != "/exec" or request.method != "GET":
        return Response(HTTPStatus.NOT_FOUND, NOT_UNDERSTOOD.encode())
    query = request.query.get("query", "")
    try:
        answer = run_sql(Work(database), query)
    except SqlError as error:
        failure = {"query": query, "error": str(error), "position": error.position}
        return _json(HTTPStatus.BAD_REQUEST, failure)
    return _json(HTTPStatus.OK, _body(query, answer))


def _body(query: str, answer: Answer) -> dict[str, object]:
    if not answer.columns:
        return {"ddl": "OK"}
    columns = [{"name": column.name, "type": column.kind} for column in answer.columns]
    return {
        "query": query,
        "columns": columns,
        "timestamp": -1,
        "dataset": answer.rows,
        "count": len(answer.rows),
    }


def _json(status: int, value: object) -> Response:
    return Response(status, json.dumps(value).encode(), _JSON)


def answer_health(_: Request) -> Response:
    """Answer one request of port 9003: it is up."""
    return Response(HTTPStatus.OK, b"Status: Healthy\n")
