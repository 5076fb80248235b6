"""The compose file that puts a gateway of ours in front of services."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import yaml

from compose_ops.config import Config
from compose_ops.errors import ConfigurationError
from compose_ops.project.labels import GATEWAY_LABEL
from compose_ops.project.model import Model
from compose_ops.rollout.gateway.configuration import GatewayConfiguration
from compose_ops.rollout.policy import (
    LABEL,
    START_FIRST,
    ProbeSettings,
    keys_of,
    probe_settings,
)
from compose_ops.units import whole

CONFIGURATION = "/etc/compose-ops/haproxy.cfg"
MIN_SLOTS = 16
OF_A_GATEWAY = ("network", "gateway-port", "runtime-port", "alias", "ports")
PAGE = "docs/gateway.md has a table of what a gateway can do"
HEAD = """\
# Made by `compose-ops gateway`: an HAProxy in front of each service that
# [rollout.SERVICE] of compose-ops.toml gives a port and no gateway.
"""


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """
    What all gateways of a project share.

    Labels that match one of `moved_labels` go from a service to its gateway.
    """

    image: str
    moved_labels: tuple[str, ...] = ()


def of_configuration(model: Model, config: Config) -> str:
    """Return the compose file with the gateways that *config* asks for, "" for none."""
    services = served(model, config.fronted)
    table = config.gateway
    return overlay(model, services, GatewaySettings(table.image, table.moved_labels))


def served(model: Model, services: Iterable[str]) -> list[str]:
    """Return those of *services* that state a port for requests, and no gateway."""
    found = []
    for name in services:
        keys = keys_of(model.services[name]) if name in model.services else {}
        if "port" in keys and not keys.get("gateway"):
            found.append(name)
    return found


def overlay(model: Model, services: Iterable[str], settings: GatewaySettings) -> str:
    """
    Return the compose file to go behind those that *model* was merged from.

    It moves the ports of each of *services* to a gateway of its own, "" for none of
    them. Raises ConfigurationError for what no gateway can stand in front of.
    """
    added: dict[str, Any] = {"services": {}, "networks": {}, "configs": {}}
    for service in services:
        one = _Gateway(model, service, settings)
        one.check()
        for key, parts in one.parts().items():
            added[key] |= parts
    if not added["services"]:
        return ""
    return HEAD + yaml.dump(added, Dumper=_Dumper, sort_keys=False, width=1000)


@dataclass(frozen=True, slots=True)
class _Reset:
    """A value that takes away what the files before state."""

    value: Any


class _Dumper(yaml.SafeDumper):
    pass


def _reset(dumper: yaml.SafeDumper, found: _Reset) -> yaml.Node:
    node = dumper.represent_data(found.value)
    node.tag = "!reset"
    return node


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(_Reset, _reset)
_Dumper.add_representer(str, _text)


@dataclass(frozen=True, slots=True)
class _Gateway:
    """The gateway of one service of a merged model."""

    model: Model
    service: str
    settings: GatewaySettings

    @property
    def name(self) -> str:
        return f"{self.service}-gateway"

    @property
    def needs_edge(self) -> bool:
        """Say whether none of the networks that it shares lets it publish ports."""
        networks = (self.model.networks.get(name) or {} for name in self.shared)
        return bool(self.ports) and all(one.get("internal") for one in networks)

    @property
    def edge(self) -> str:
        """The network of the gateway alone, through which its ports are published."""
        return f"{self.service}-edge"

    @property
    def described(self) -> Mapping[str, Any]:
        return self.model.service(self.service)

    @property
    def ports(self) -> list[Mapping[str, Any]]:
        return list(self.described.get("ports") or ())

    @property
    def networks(self) -> dict[str, Mapping[str, Any]]:
        """The networks of the service, with their settings."""
        found = self.described.get("networks") or {}
        return {name: settings or {} for name, settings in found.items()}

    @property
    def shared(self) -> dict[str, list[str]]:
        """The networks where others may name the service, with its names there."""
        others = [
            other.get("networks") or {}
            for name, other in self.model.services.items()
            if name != self.service
        ]
        return {
            name: [self.service, *(settings.get("aliases") or ())]
            for name, settings in self.networks.items()
            if (self.model.networks.get(name) or {}).get("external")
            or any(name in networks for networks in others)
        }

    @property
    def traffic(self) -> ProbeSettings:
        stated = keys_of(self.described)
        listed = [int(port["target"]) for port in self.ports]
        exposed = [str(one) for one in self.described.get("expose") or ()]
        listed += [int(one) for one in exposed if one.isdecimal()]
        more = " ".join(map(str, sorted({*listed} - {int(stated["port"])})))
        names = {"gateway": self.name, "network": self.name}
        return probe_settings(
            {**stated, **names, "alias": f"{self.service}-replicas", "ports": more}
        )

    def check(self) -> None:
        """Raise ConfigurationError for what no gateway can stand in front of."""
        for wrong, hint in self._obstacles():
            raise ConfigurationError(
                f"no gateway can stand in front of {self.service}: {wrong}", hint=hint
            )

    def _obstacles(self) -> Iterator[tuple[str, str]]:
        stated = keys_of(self.described)
        for key in OF_A_GATEWAY:
            if key in stated:
                yield (
                    f"{key} is stated, which a gateway of your own has",
                    f"name that one: rollout.{self.service}.gateway; or drop {key}",
                )
        if whole(stated["port"]) is None:
            yield f"its port is {stated['port']!r:.60}", "a number, such as 8000"
        for key in ("host", "get", "health"):
            if not stated.get(key, "").isprintable():
                yield f"{key} holds characters that cannot be printed", "remove them"
        yield from self._obstacles_of_model()

    def _obstacles_of_model(self) -> Iterator[tuple[str, str]]:
        if mode := self.described.get("network_mode"):
            yield f"its network_mode is {mode}", "give it networks of its own"
        for port in self.ports:
            if port.get("protocol", "tcp") != "tcp":
                where = f"{port.get('published')}/{port['protocol']}"
                yield f"it publishes {where}, HAProxy forwards TCP alone", PAGE
        if self.name in self.model.services:
            yield f"there is a service {self.name}", "rename that service"
        for name in (self.name, self.edge):
            if name in self.model.networks:
                yield f"there is a network {name}", "rename that network"

    def parts(self) -> dict[str, dict[str, Any]]:
        """Return what the gateway adds to services, networks and configs."""
        networks: dict[str, Any] = {self.name: {"internal": True}}
        if self.needs_edge:
            networks[self.edge] = {}
        text = self._configuration()
        return {
            "services": {
                self.service: self._behind(),
                self.name: _escaped(self._in_front(text)),
            },
            "networks": networks,
            "configs": {self.name: {"content": _escaped(text)}},
        }

    def _behind(self) -> dict[str, Any]:
        """Return what changes of the service itself."""
        traffic = self.traffic
        labels: dict[str, Any] = {
            f"{LABEL}port": str(traffic.port),
            f"{LABEL}gateway": traffic.gateway,
            f"{LABEL}network": traffic.network,
            f"{LABEL}alias": traffic.alias,
        }
        if traffic.more_ports:
            labels[f"{LABEL}ports"] = " ".join(map(str, traffic.more_ports))
        labels |= dict.fromkeys(self._moved_labels(), _Reset(None))
        here: dict[str, Any] = {"labels": labels}
        if self.described.get("container_name"):
            here["container_name"] = _Reset(None)
        if self.ports:
            here["ports"] = _Reset([])
        update = (self.described.get("deploy") or {}).get("update_config") or {}
        if "order" not in update:
            here["deploy"] = {"update_config": {"order": START_FIRST}}
        here["networks"] = {name: {} for name in self.networks}
        here["networks"][self.name] = {"aliases": [traffic.alias]}
        return here

    def _in_front(self, configuration: str) -> dict[str, Any]:
        """Return the gateway's service."""
        edge: dict[str, Any] = {self.edge: {}} if self.needs_edge else {}
        shared = {name: {"aliases": names} for name, names in self.shared.items()}
        digest = sha256(configuration.encode()).hexdigest()[:12]
        found: dict[str, Any] = {
            "image": self.settings.image,
            "entrypoint": ["haproxy", "-W", "-db", "-f", CONFIGURATION],
            "configs": [{"source": self.name, "target": CONFIGURATION}],
            "depends_on": {self.service: {"condition": self._condition()}},
            "restart": self.described.get("restart") or "unless-stopped",
            "stop_signal": "SIGUSR1",
            "stop_grace_period": "10s",
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges:true"],
            # Compose does not look into what a configuration holds.
            "labels": {**self._moved_labels(), GATEWAY_LABEL: digest},
            "networks": {self.name: {}, **edge, **shared},
        }
        for key in ("ports", "logging", "profiles"):
            if stated := self.described.get(key):
                found[key] = stated
        return found

    def _condition(self) -> str:
        check = self.described.get("healthcheck") or {}
        is_checked = check and not check.get("disable")
        return "service_healthy" if is_checked else "service_started"

    def _moved_labels(self) -> dict[str, str]:
        patterns = [
            re.compile(re.escape(p).replace(r"\*", ".*"))
            for p in self.settings.moved_labels
        ]
        labels = self.described.get("labels") or {}
        return {
            key: str(value)
            for key, value in labels.items()
            if any(pattern.fullmatch(key) for pattern in patterns)
        }

    def _configuration(self) -> str:
        replicas = max(self.model.replicas(self.service), 1)
        slots = MIN_SLOTS
        while slots < 2 * replicas:
            slots *= 2
        stated = keys_of(self.described)
        networks = (self.model.networks.get(name) or {} for name in self.shared)
        configuration = GatewayConfiguration(
            self.service,
            self.traffic,
            slots,
            checks_page=bool(stated.keys() & {"get", "method", "status"}),
            has_ipv6=any(network.get("enable_ipv6") for network in networks),
        )
        return configuration.text()


def _escaped(value: Any) -> Any:
    """Return *value* as Compose must read it that nothing in it is a variable."""
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, Mapping):
        return {key: _escaped(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_escaped(inner) for inner in value]
    return value
