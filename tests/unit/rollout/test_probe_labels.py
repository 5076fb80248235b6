"""The labels that say how a service is probed and drained."""

from typing import Any

import pytest

from compose_ops.errors import ConfigurationError
from compose_ops.rollout.policy import ProbeSettings, traffic

NEEDED = {"gateway": "front", "network": "public", "port": "8000"}


def read(**stated: str) -> ProbeSettings | None:
    labels = {
        f"compose-ops.rollout.{key.replace('_', '-')}": value
        for key, value in stated.items()
    }
    return traffic({"labels": labels})


def test_three_labels_are_enough() -> None:
    """A page is got, a status of 200 is good, and the grace period is for draining."""
    found = read(**NEEDED)

    assert found is not None
    assert (found.page.method, found.page.path) == ("GET", "/")
    assert found.page.statuses == {200}
    assert found.drain_timeout is None
    assert (found.echo, found.health_page, found.drain) == (None, None, "")
    assert found.host_header("10.0.0.2", 8000) == "10.0.0.2:8000"


def test_an_application_may_want_other_requests() -> None:
    found = read(
        **NEEDED,
        host="shop.example",
        scheme="https",
        method="post",
        body="ping",
        status="200, 302",
        drain_timeout="1m30s",
        gateway_port="80",
        runtime_port="9000",
    )

    assert found is not None
    assert (found.page.method, found.page.body) == ("POST", b"ping")
    assert found.page.statuses == {200, 302}
    assert found.host_header("10.0.0.2", 8000) == "shop.example"
    assert (found.scheme, found.drain_timeout) == ("https", 90.0)
    assert (found.gateway_port, found.runtime_port) == (80, 9000)


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ({"port": "http"}, "port is 'http', not a port"),
        ({"port": "9" * 5000}, "port is '999+, not a port"),
        ({"network": ""}, "label missing: compose-ops.rollout.network"),
        ({"status": "ok"}, "status is 'ok'"),
        ({"scheme": "ftp"}, "scheme is 'ftp'"),
        ({"drain_timeout": "soon"}, "drain-timeout is 'soon'"),
        ({"helth": "/"}, "unknown label compose-ops.rollout.helth"),
    ],
)
def test_a_wrong_label_is_named(stated: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as refused:
        read(**{**NEEDED, **stated})

    assert refused.value.hint


def test_a_misspelt_label_comes_with_the_right_one() -> None:
    with pytest.raises(ConfigurationError) as refused:
        read(**NEEDED, drain_timeot="5s")

    assert "compose-ops.rollout.drain-timeout" in refused.value.hint


def test_a_service_without_a_gateway_is_not_probed() -> None:
    assert read(port="8000") is None
