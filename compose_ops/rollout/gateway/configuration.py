"""The configuration of the HAProxy that stands in front of a service."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from compose_ops.rollout.policy import ProbeSettings

HEAD = Path(__file__).with_name("haproxy.cfg")
SAFE_METHODS = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class GatewayConfiguration:
    """
    What HAProxy has to know of a service.

    `traffic` says where it listens and how it is asked; `checks_page` that its page was
    named, so that its statuses decide whether a replica is well. At most `slots`
    replicas get requests. `has_ipv6` is True where clients may come by IPv6.
    """

    service: str
    traffic: ProbeSettings
    slots: int
    checks_page: bool = False
    has_ipv6: bool = field(default=False, kw_only=True)

    def text(self) -> str:
        """Return the file."""
        sections = ("\n".join(self._section(port)) for port in self.traffic.ports)
        return "\n".join([HEAD.read_text(encoding="utf-8"), *sections, ""])

    def _section(self, port: int) -> Iterator[str]:
        is_http = port == self.traffic.port and self.traffic.scheme == "http"
        yield f"frontend port-{port}"
        yield f"    mode {'http' if is_http else 'tcp'}"
        yield f"    bind :{port}"
        if self.has_ipv6:
            yield f"    bind :::{port} v6only"
        yield f"    option {'httplog' if is_http else 'tcplog'}"
        if is_http:
            yield "    option forwardfor"
            # A request that reached a replica may have been executed.
            yield "    http-request disable-l7-retry unless { method GET HEAD OPTIONS }"
        yield f"    default_backend port-{port}"
        yield ""
        yield f"backend port-{port}"
        yield f"    mode {'http' if is_http else 'tcp'}"
        yield "    balance roundrobin"
        if is_http:
            # A replica may close a kept connection just as a POST is sent on it.
            yield "    option http-server-close"
            yield "    retry-on conn-failure empty-response"
        if port == self.traffic.port:
            yield from self._check()
        where = f"{self.traffic.alias}:{port}{self._tls(port)}"
        yield f"    server-template {self.service} 1-{self.slots} {where}"

    def _check(self) -> Iterator[str]:
        """
        Yield what asks a replica whether it is well.

        That is the health page, or the page that was named; of a service of which
        nothing is known, any answer but an error of its own.
        """
        traffic = self.traffic
        host = _quoted(traffic.host or self.service)
        if traffic.health_page:
            yield from _asked("GET", traffic.health, host, "status 200,204")
        elif self.checks_page and traffic.method in SAFE_METHODS:
            good = ",".join(map(str, sorted(traffic.statuses)))
            yield from _asked(traffic.method, traffic.get, host, f"status {good}")
        elif not self.checks_page:
            yield from _asked("GET", "/", host, "! rstatus ^5")

    def _tls(self, port: int) -> str:
        if port != self.traffic.port or self.traffic.scheme != "https":
            return ""
        name = f" check-sni {_quoted(self.traffic.host)}" if self.traffic.host else ""
        return f" check-ssl verify none{name}"


def _asked(method: str, page: str, host: str, good: str) -> Iterator[str]:
    yield "    option httpchk"
    yield (
        f"    http-check send meth {method} uri {_quoted(page)} ver HTTP/1.1 "
        f"hdr Host {host}"
    )
    yield f"    http-check expect {good}"


def _quoted(text: str) -> str:
    """
    Return *text* as one word of HAProxy's configuration.

    >>> _quoted("/shop?a=b")
    "'/shop?a=b'"
    """
    return "'" + text.replace("'", "'\\''") + "'"
