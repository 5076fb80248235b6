"""Services that reach another past its gateway, where unproven replicas are found."""

from typing import Any

import pytest

from compose_ops.errors import ConfigurationError
from compose_ops.project.model import Model
from compose_ops.rollout import callers
from compose_ops.rollout.policy import ProbeSettings

TRAFFIC = ProbeSettings(8000, "/", "", "", "", "front", "public")


def model(*networks: str, **worker: Any) -> Model:
    web = {"networks": {"default": None, "public": None}}
    other = {"networks": dict.fromkeys(networks), **worker}
    return Model({"name": "shop", "services": {"web": web, "worker": other}})


@pytest.mark.parametrize(
    ("key", "value", "where"),
    [
        ("environment", {"API": "http://web:8000/v1"}, "variable API"),
        ("environment", {"API": "https://user:word@web/v1"}, "variable API"),
        ("environment", {"HOSTS": "a:1,web:8000"}, "variable HOSTS"),
        ("command", ["fetch", "--from", "http://web"], "command"),
        ("entrypoint", ["wait", "web:8000"], "entrypoint"),
    ],
)
def test_an_address_past_the_gateway_is_refused(
    key: str, value: Any, where: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"its {where} has the address of web"):
        callers.require_none(model("default", **{key: value}), "web", TRAFFIC)


@pytest.mark.parametrize(
    "value", ["web", "http://web-admin:8000", "http://front:8000/web/", "my.web:8000"]
)
def test_other_words_are_no_address(value: str) -> None:
    described = model("default", environment={"ROLE": value})

    callers.require_none(described, "web", TRAFFIC)


def test_the_gateways_network_and_its_alias_lead_nobody_past_it() -> None:
    named = {"environment": {"API": "http://web:8000"}}
    fronted = ProbeSettings(8000, "/", "", "", "", "front", "public", alias="behind")

    callers.require_none(model("elsewhere", **named), "web", TRAFFIC)
    callers.require_none(model("default", **named), "web", fronted)
