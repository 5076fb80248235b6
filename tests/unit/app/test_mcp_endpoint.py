"""The Model Context Protocol, message by message."""

import asyncio
import json
from typing import Any

import pytest
from mcp_app import NEWEST, OLDER, World, call, client, events, post, request


def error(answer: Any) -> tuple[int, str]:
    return answer.json()["error"]["code"], answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("wanted", "got"), [(NEWEST, NEWEST), (OLDER, OLDER), ("2099-01-01", NEWEST)]
)
def test_versions_are_negotiated(wanted: str, got: str) -> None:
    answer = post(World(), request("initialize", protocolVersion=wanted))

    assert answer.json()["result"]["protocolVersion"] == got
    assert answer.json()["result"]["capabilities"] == {"tools": {}}
    assert answer.headers["mcp-session-id"]


def test_two_clients_get_two_sessions() -> None:
    ask = request("initialize", protocolVersion=NEWEST)
    answers = [post(World(), ask) for _ in range(2)]

    assert len({answer.headers["mcp-session-id"] for answer in answers}) == 2


def test_an_unknown_version_in_the_header_is_refused() -> None:
    answer = post(World(), request("ping"), mcp_protocol_version="2099-01-01")

    assert answer.status_code == 400
    assert NEWEST in error(answer)[1]


def test_ping_and_notifications() -> None:
    told = {"jsonrpc": "2.0", "method": "notifications/initialized"}

    assert post(World(), request("ping", "a")).json() == {
        "jsonrpc": "2.0",
        "id": "a",
        "result": {},
    }
    assert post(World(), told).status_code == 202
    assert post(World(), {"jsonrpc": "2.0", "id": 1, "result": {}}).status_code == 202


def test_a_call_answers_twice_as_text_and_as_an_object() -> None:
    result = post(World(), call("add", numbers=[1, 2])).json()["result"]

    assert result["structuredContent"] == {"sum": 3}
    assert json.loads(result["content"][0]["text"]) == {"sum": 3}
    assert result["isError"] is False


@pytest.mark.parametrize(
    ("message", "code", "said"),
    [
        (request("tools/unknown"), -32601, "tools/unknown"),
        (request("tools/list", cursor="2"), -32602, "page"),
        (request("initialize"), -32602, "protocolVersion"),
        (call("nothing"), -32602, "nothing"),
        (call("add"), -32602, "'numbers' is a required property"),
        (call("add", numbers=["x"]), -32602, "['numbers'][0]"),
        (call("add", numbers=[], more=1), -32602, "more"),
        (request("tools/call", name="add", arguments=[1]), -32602, "object"),
        ({**request("ping"), "params": [1]}, -32602, "params"),
    ],
)
def test_wrong_requests_are_answered_with_what_is_wrong(
    message: Any, code: int, said: str
) -> None:
    answer = post(World(), message)

    assert answer.status_code == 200
    assert error(answer)[0] == code
    assert said in error(answer)[1]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"a": NaN}}',
        b'{"jsonrpc": "2.0", "id": 1, "method": "\\ud800"}',
        b"[" * 100_000,
        b"1",
        b"[]",
        b'{"id": 1, "method": "ping"}',
        b'{"jsonrpc": "2.0", "id": null, "method": "ping"}',
        b'{"jsonrpc": "2.0", "id": true, "method": "ping"}',
        b'{"jsonrpc": "2.0", "id": 1, "method": 2}',
    ],
)
def test_what_is_no_message_is_refused(body: bytes) -> None:
    answer = post(World(), body)

    assert answer.status_code == 400
    assert error(answer)[0] in {-32700, -32600}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content_type": "text/plain"}, 415),
        ({"accept": "text/html"}, 406),
        ({"accept": None}, 200),
        ({"authorization": None}, 401),
        ({"authorization": "Bearer wrong"}, 401),
        ({"authorization": "Basic YTpi"}, 401),
        ({"authorization": "Bearer \xe9\xff"}, 401),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://[bad"}, 403),
        ({"origin": "http://localhost:5173"}, 200),
        ({"origin": "https://ours.example"}, 200),
    ],
)
def test_http_says_what_it_does_not_take(
    headers: dict[str, str | None], status: int
) -> None:
    answer = post(World(), request("ping"), **headers)

    assert answer.status_code == status
    assert ("www-authenticate" in answer.headers) == (status == 401)


def test_a_huge_body_is_cut_off() -> None:
    assert post(World(), b'"' + b"x" * 300_000 + b'"').status_code == 413


def test_a_stream_cannot_be_opened_by_get() -> None:
    async def get() -> int:
        async with client(World().app()) as open_client:
            return (await open_client.get("/mcp")).status_code

    assert asyncio.run(get()) == 405


def test_progress_comes_before_the_result() -> None:
    answer = post(World(), call("count", 7, token="t"))
    *progress, last = events(answer.text)

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert [message["params"] for message in progress] == [
        {"progressToken": "t", "progress": number, "total": 3} for number in (1, 2, 3)
    ]
    assert (last["id"], last["result"]["structuredContent"]) == (7, {"counted": 3})


@pytest.mark.parametrize(
    ("accept", "token"), [("application/json", "t"), ("*/*", None)]
)
def test_without_a_stream_or_a_token_the_answer_is_json(
    accept: str, token: str | None
) -> None:
    answer = post(World(), call("count", token=token), accept=accept)

    assert answer.json()["result"]["structuredContent"] == {"counted": 3}


@pytest.mark.parametrize(
    ("tool", "said"),
    [
        (call("add", numbers=[-1]), "the store has no negative numbers"),
        (call("broken"), "the store does not answer: OSError: Traceback"),
        (call("short"), "the store does not answer: no answer within 0.05 s"),
        (call("large"), "larger than"),
        (call("odd"), "odd failed; the log says why"),
    ],
)
def test_a_failed_call_is_one_line_that_names_the_service(tool: Any, said: str) -> None:
    result = post(World(), tool).json()["result"]
    text = result["content"][0]["text"]

    assert result["isError"] is True
    assert said in text
    assert "\n" not in text


def cancelling(world: World, sessions: tuple[str, str], *, streams: bool) -> Any:
    """Cancel a call that waits, from *sessions*' second; return its answer."""
    accept = "application/json, text/event-stream" if streams else "application/json"

    async def run() -> Any:
        app = world.app()
        async with client(app, accept=accept) as one, client(app) as two:
            calling = asyncio.create_task(
                one.post(
                    "/mcp",
                    json=call("wait", 5, token="t"),
                    headers={"mcp-session-id": sessions[0]},
                )
            )
            await world.waiting.wait()
            told = {"requestId": 5, "reason": "enough"}
            await two.post(
                "/mcp",
                json={
                    "jsonrpc": "2.0",
                    "method": "notifications/cancelled",
                    "params": told,
                },
                headers={"mcp-session-id": sessions[1]},
            )
            try:
                return await asyncio.wait_for(calling, 0.5)
            except TimeoutError:
                return None

    return asyncio.run(run())


@pytest.mark.parametrize("streams", [True, False])
def test_a_cancelled_call_ends_without_an_answer(*, streams: bool) -> None:
    world = World()
    answer = cancelling(world, ("s1", "s1"), streams=streams)

    assert world.cancelled == 1
    assert answer.status_code == (200 if streams else 202)
    assert answer.text == ""


def test_nobody_cancels_the_call_of_another_session() -> None:
    assert cancelling(World(), ("s1", "s2"), streams=False) is None


def test_batches_belong_to_the_older_revision() -> None:
    told = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    batch = [request("ping", 1), told, call("add", 2, numbers=[1]), {"id": 3}]

    answers = post(World(), batch, mcp_protocol_version=OLDER).json()
    assert [answer["id"] for answer in answers] == [1, 2, 3]
    assert answers[2]["error"]["code"] == -32600
    assert post(World(), [told]).status_code == 202
    assert post(World(), batch, mcp_protocol_version=NEWEST).status_code == 400
    assert post(World(), [request("ping")] * 21).status_code == 400
    assert post(World(), [request("initialize")]).status_code == 400


def test_a_batch_counts_as_many_calls_as_it_holds() -> None:
    answer = post(World(limit=2), [request("ping")] * 3)

    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1


def test_the_log_tells_of_a_call_and_not_what_it_was_about(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG", logger="jimbot")
    post(World(), call("add", numbers=[7001]))
    post(World(), call("add", numbers=[-7001]))

    said = [record.getMessage() for record in caplog.records]
    assert [line.partition(" in ")[0] for line in said] == [
        "trial called add: answered",
        "trial called add: failed",
    ]
    assert "7001" not in caplog.text
