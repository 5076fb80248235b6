"""JSON-RPC 2.0 as the Model Context Protocol uses it: messages in, answers out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Union

PARSE_ERROR, INVALID_REQUEST = -32700, -32600
METHOD_NOT_FOUND, INVALID_PARAMS, INTERNAL_ERROR = -32601, -32602, -32603
RATE_LIMITED, UNAUTHORIZED, FORBIDDEN = -32029, -32001, -32003

Id = Union[str, int, None]
Object = Mapping[str, Any]


class RpcError(Exception):
    """What is wrong with a request; becomes its answer."""

    def __init__(self, code: int, text: str) -> None:
        """Keep JSON-RPC's *code*; *text* is for the client."""
        super().__init__(text)
        self.code = code


@dataclass(frozen=True)
class Request:
    """A call that waits for an answer; a notification has no *id*."""

    method: str
    params: Object
    id: Id = None

    @property
    def is_notification(self) -> bool:
        """Whether nobody waits for an answer."""
        return self.id is None


def decode(body: bytes) -> Any:
    """
    Return the JSON value of *body*, which can be written again as JSON in UTF-8.

    Raises RpcError.
    """
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_no_number)
        # Half of a surrogate pair, escaped, is a string that nobody can send on.
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise RpcError(PARSE_ERROR, "the body is not JSON in UTF-8") from error
    return value


def encode(value: object) -> bytes:
    """Return *value* as JSON on one line."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.encode("ascii")


def request(value: object) -> Request | None:
    """
    Return the request of one message; None for an answer, which nobody waits for.

    Raises RpcError for what is no message.
    """
    if not isinstance(value, dict) or value.get("jsonrpc") != "2.0":
        raise RpcError(INVALID_REQUEST, "not a message of JSON-RPC 2.0")
    if "method" not in value and ("result" in value or "error" in value):
        return None
    method, params, number = value.get("method"), value.get("params"), value.get("id")
    if not isinstance(method, str):
        raise RpcError(INVALID_REQUEST, "method is not a string")
    if "id" in value and (
        isinstance(number, bool) or not isinstance(number, (str, int))
    ):
        raise RpcError(INVALID_REQUEST, "id is neither a string nor a whole number")
    if "params" in value and not isinstance(params, dict):
        raise RpcError(INVALID_PARAMS, "params is not an object")
    return Request(method, params or {}, number)


def identity(value: object) -> Id:
    """Return the id of what may be no message, for the answer that says so."""
    number = value.get("id") if isinstance(value, dict) else None
    fits = isinstance(number, (str, int)) and not isinstance(number, bool)
    return number if fits else None


def success(number: Id, result: Object) -> Object:
    """Return the answer that holds *result*."""
    return {"jsonrpc": "2.0", "id": number, "result": result}


def failure(number: Id, code: int, text: str) -> Object:
    """Return the answer that holds an error."""
    return {"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": text}}


def notification(method: str, params: Object) -> Object:
    """Return a message that nobody answers."""
    return {"jsonrpc": "2.0", "method": method, "params": params}


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is not a number of JSON")
