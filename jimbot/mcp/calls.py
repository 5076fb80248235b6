"""Tools, and one call of a tool: checked, within a time limit, never a stack trace."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Callable

from jsonschema import Draft202012Validator

from jimbot.mcp.jsonrpc import INVALID_PARAMS, Object, RpcError, encode
from jimbot.readiness import reason

logger = logging.getLogger(__name__)

RESULT_BYTES = 512 * 1024
Progress = Callable[[float, float], None]


class ToolError(Exception):
    """A call that failed; the text is for the client and names the service."""


@dataclass(frozen=True)
class Tool:
    """
    What a client can call.

    *run* gets the checked arguments and what it may report progress to (done, total),
    and returns what *output* describes; it raises ToolError for what the client can
    put right. Anything else that it raises means that *service* is down, and so does
    taking longer than *seconds*.
    """

    name: str
    title: str
    description: str
    service: str
    input: Object
    output: Object
    seconds: float
    run: Callable[[Object, Progress], Awaitable[Object]]
    reports_progress: bool = False
    is_read_only: bool = True
    check: Draft202012Validator = field(init=False)

    def __post_init__(self) -> None:
        """Prepare the check of the arguments."""
        object.__setattr__(self, "check", Draft202012Validator(self.input))

    def described(self) -> Object:
        """Return the tool as `tools/list` shows it."""
        return {
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "inputSchema": self.input,
            "outputSchema": self.output,
            "annotations": {
                "title": self.title,
                "readOnlyHint": self.is_read_only,
                "destructiveHint": False,
                "openWorldHint": False,
            },
        }


class Tools:
    """The tools by name."""

    def __init__(self, tools: Iterable[Tool]) -> None:
        """Offer *tools*, in that order."""
        self._tools = {tool.name: tool for tool in tools}

    def described(self) -> Sequence[Object]:
        """Return every tool as `tools/list` shows it."""
        return [tool.described() for tool in self._tools.values()]

    def find(self, params: Object) -> tuple[Tool, Object]:
        """
        Return the tool that *params* name, and its arguments.

        Raises RpcError for a tool that is not there and for wrong arguments.
        """
        name, arguments = params.get("name"), params.get("arguments", {})
        tool = self._tools.get(name) if isinstance(name, str) else None
        if tool is None:
            raise RpcError(INVALID_PARAMS, f"there is no tool {str(name)[:100]!r}")
        wrong = next(iter(tool.check.iter_errors(arguments)), None)
        if wrong is not None:
            where = "".join(f"[{part!r}]" for part in wrong.absolute_path)
            text = f"wrong arguments of {tool.name}: {where} {wrong.message}"
            raise RpcError(INVALID_PARAMS, text[:500])
        return tool, arguments


async def call(tool: Tool, arguments: Object, report: Progress, client: str) -> Object:
    """Return the result of a call; a failure is a result too, marked as one."""
    start = time.perf_counter()
    try:
        result = await _within_its_time(tool, tool.run(arguments, report))
        answer = _result(_text(result), structured=result)
    except ToolError as error:
        answer = _result(str(error), failed=True)
    except Exception:
        logger.exception("%s", tool.name)
        answer = _result(f"{tool.name} failed; the log says why", failed=True)
    # Neither arguments nor what a store says of them: nobody knows what is in there.
    outcome = "failed" if answer["isError"] else "answered"
    took = (time.perf_counter() - start) * 1000
    logger.info("%s called %s: %s in %.0f ms", client, tool.name, outcome, took)
    return answer


async def _within_its_time(tool: Tool, work: Awaitable[Object]) -> Object:
    task = asyncio.ensure_future(work)
    try:
        # Not wait_for: a frozen server can hold up the cancelled task for ever.
        await asyncio.wait({task}, timeout=tool.seconds)
    finally:
        if not task.done():
            task.add_done_callback(_forget)
            task.cancel()
    if not task.done():
        raise _down(tool, f"no answer within {tool.seconds:g} s")
    error = asyncio.CancelledError() if task.cancelled() else task.exception()
    if error is None:
        return task.result()
    raise error if isinstance(error, ToolError) else _down(tool, reason(error))


def _down(tool: Tool, why: str) -> ToolError:
    logger.warning("%s: %s does not answer", tool.name, tool.service)
    return ToolError(f"{tool.service} does not answer: {why[:500]}")


def _text(result: Object) -> str:
    text = encode(result).decode()
    if len(text) > RESULT_BYTES:
        raise ToolError(f"the result is larger than {RESULT_BYTES} bytes: ask for less")
    return text


def _forget(task: asyncio.Future[Any]) -> None:
    if not task.cancelled():
        task.exception()


def _result(
    text: str, *, structured: Object | None = None, failed: bool = False
) -> Mapping[str, Any]:
    content = {"content": [{"type": "text", "text": text}], "isError": failed}
    return (
        content if structured is None else {**content, "structuredContent": structured}
    )
