"""Who gets in without a token, and how the calls of a minute are counted."""

import pytest
from mcp_app import TOKEN, World, post, request
from starlette.requests import Request

from jimbot.mcp.access import Access, RefusedError


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def access(clock: Clock, *, limit: int = 3) -> Access:
    return Access({}, limit, is_open=False, published_on="", clock=clock)


def refused(access: Access, client: str = "a", calls: int = 1) -> int:
    """Return the seconds to wait; 0 where the calls were counted."""
    try:
        access.count(client, calls)
    except RefusedError as no:
        return int(no.headers["Retry-After"])
    return 0


def test_the_limit_is_of_a_minute_and_of_one_client(clock: Clock) -> None:
    limited = access(clock)
    waits = []
    for _ in range(4):
        waits.append(refused(limited))
        clock.now += 10

    assert waits == [0, 0, 0, 30]
    assert refused(limited, "b") == 0


def test_who_waits_as_long_as_told_gets_in(clock: Clock) -> None:
    limited = access(clock)
    for _ in range(3):
        refused(limited)
        clock.now += 0.7
    clock.now += refused(limited)

    assert refused(limited) == 0


def test_refused_calls_do_not_count(clock: Clock) -> None:
    limited = access(clock)
    refused(limited, calls=3)
    for _ in range(50):
        clock.now += 1
        assert refused(limited) == 60 - (clock.now - 100)


def test_no_call_at_all_may_be_allowed(clock: Clock) -> None:
    assert refused(access(clock, limit=0)) == 60


def arrived(peer: str, **headers: str) -> Request:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "headers": raw, "client": (peer, 4000)})


@pytest.mark.parametrize(
    ("is_open", "published_on", "peer", "in_"),
    [
        (True, "127.0.0.1", "172.20.0.1", True),
        (True, "::1", "172.20.0.1", True),
        (True, "0.0.0.0", "172.20.0.1", False),
        (True, "", "172.20.0.1", False),
        (True, "", "127.0.0.1", True),
        (False, "127.0.0.1", "127.0.0.1", False),
    ],
)
def test_only_development_on_loopback_needs_no_token(
    published_on: str, peer: str, *, is_open: bool, in_: bool
) -> None:
    guarded = Access({}, 1, is_open=is_open, published_on=published_on)
    if in_:
        assert guarded.client(arrived(peer)) == "anybody"
    else:
        with pytest.raises(RefusedError) as no:
            guarded.client(arrived(peer))
        assert no.value.status == 401


def test_a_token_names_its_client_and_a_wrong_one_is_never_ignored() -> None:
    guarded = Access({"one": TOKEN}, 1, is_open=True, published_on="127.0.0.1")

    assert guarded.client(arrived("::1", authorization=f"bearer {TOKEN}")) == "one"
    with pytest.raises(RefusedError):
        guarded.client(arrived("::1", authorization=f"Bearer {TOKEN}x"))


def test_each_token_has_a_limit_of_its_own() -> None:
    world = World(limit=0)

    assert post(world, request("ping")).status_code == 429
    assert post(world, request("ping"), authorization="Bearer x").status_code == 401
