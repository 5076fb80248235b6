"""Other services that reach a service past its gateway, by its name."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from compose_ops.errors import ConfigurationError
from compose_ops.project.model import Model
from compose_ops.rollout.policy import ProbeSettings


def require_none(model: Model, service: str, traffic: ProbeSettings) -> None:
    """
    Raise ConfigurationError where another service has the address of *service*.

    On a network past the gateway that leads to replicas which nobody has proven yet.
    With an alias for the gateway the name is the gateway's: then there is no such way.
    """
    if traffic.alias:
        return
    past = set(_networks(model, service)) - {traffic.network}
    address = _address(service, traffic)
    for other in model.services:
        shared = past & set(_networks(model, other))
        if other in {service, traffic.gateway} or not shared:
            continue
        for where, text in _texts(model.service(other)):
            if address.search(text):
                raise ConfigurationError(
                    f"{other} reaches {service} on {min(shared)} past the gateway: "
                    f"its {where} has the address of {service}, so that replicas would "
                    "get requests before they are proven",
                    hint=f"let {other} use {traffic.gateway}, on a network that both "
                    f"share; or a gateway of ours: [rollout.{service}] with port alone",
                )


def _networks(model: Model, service: str) -> Mapping[str, Any]:
    return model.service(service).get("networks") or {}


def _address(service: str, traffic: ProbeSettings) -> re.Pattern[str]:
    """Return what finds `//SERVICE` of a URL, and `SERVICE:PORT`."""
    name = re.escape(service)
    ports = "|".join(map(str, traffic.ports))
    return re.compile(
        rf"//(?:[^/@\s]*@)?{name}(?:[:/?#]|$)|(?:^|[^\w.-]){name}:(?:{ports})(?!\d)"
    )


def _texts(described: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    environment = described.get("environment") or {}
    for name, value in environment.items():
        yield f"variable {name}", str(value or "")
    for key in ("command", "entrypoint"):
        words = described.get(key) or ()
        for word in [words] if isinstance(words, str) else words:
            yield key, str(word)
