"""Reading HAProxy's statistics, and what a good answer is."""

from jimbot_stack.rollout.direct import judge
from jimbot_stack.rollout.gateway import Server, parse

STATISTICS = """\
# pxname,svname,scur,status,check_status,addr,cookie,
public,FRONTEND,3,OPEN,,,,
app,app1,2,UP,L7OK,10.0.0.2:8000,,
app,app2,0,DOWN,L7STS,10.0.0.3:8000,,
app,app3,0,UP,INI,10.0.0.4:8000,,
app,app4,0,MAINT (resolution),,,,
app,BACKEND,2,UP,,,,
"""


def test_only_checked_servers_are_up() -> None:
    """One that has just been resolved counts when its check has passed."""
    assert parse(STATISTICS) == {
        "10.0.0.2:8000": Server(is_up=True, sessions=2),
        "10.0.0.3:8000": Server(is_up=False, sessions=0),
        "10.0.0.4:8000": Server(is_up=False, sessions=0),
    }


def test_an_answer_is_judged_by_status_and_body() -> None:
    """A POST must come back with what was sent, a GET with something."""
    assert judge("GET", "/", b"", 200, b"page") == ""
    assert judge("POST", "/echo", b"sent", 200, b"sent") == ""
    assert judge("GET", "/", b"", 503, b"page")
    assert judge("GET", "/", b"", 200, b"")
    assert judge("POST", "/echo", b"sent", 200, b"other")
