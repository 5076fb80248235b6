"""
What the programs of this field do with their settings, beyond what an image states.

Sources, by file: Memgraph v3.12.0 `src/flags/*.cpp`, `src/memgraph.cpp`; QuestDB docs
at 7ae3821 `configuration.md`; EventStore oss-v23.10.0 `Program.cs`,
`ClusterVNodeOptionsExtensions.cs`, `ClusterVNode.cs`; Ray 2.9.0 `services.py`,
`resource_spec.py`, `scripts.py`, and runs of Ray 2.9.0 on Python 3.9 and 3.10.
"""

import re

from compose_ops.lint.quantity import size
from compose_ops.lint.rules.databases import DATABASE_IMAGES, DATABASES
from compose_ops.lint.rules.product import Fault, Product, flag_of, is_true
from compose_ops.lint.target import Service


def memgraph_tls(service: Service) -> bool:
    return bool(
        flag_of(service, "--bolt-cert-file") and flag_of(service, "--bolt-key-file")
    )


def memgraph_config_flag(service: Service) -> str:
    if flag_of(service, "--config") is None:
        return ""
    return "Memgraph knows no flag --config (it is --flag-file) and exits"


def memgraph_memory_unit(service: Service) -> str:
    value = flag_of(service, "--memory-limit")
    if value is None or value.isdigit():
        return ""
    return f"Memgraph takes --memory-limit in MiB as a number, not {value}, and exits"


def eventstore_tls(service: Service) -> bool:
    return not is_true(service.environment.get("EVENTSTORE_INSECURE"))


def eventstore_certificate(service: Service) -> str:
    given = [
        key for key in service.environment if key.startswith("EVENTSTORE_CERTIFICATE")
    ]
    if not eventstore_tls(service) or given or "EVENTSTORE_DEV" in service.environment:
        return ""
    return (
        "EventStore exits: a certificate is required unless EVENTSTORE_INSECURE is true"
    )


def eventstore_unknown(variable: str) -> Fault:
    def look(service: Service) -> str:
        known = is_true(service.environment.get("EVENTSTORE_ALLOW_UNKNOWN_OPTIONS"))
        if known or variable not in service.environment:
            return ""
        return f"EventStore exits: {variable} is not a known option"

    return look


def eventstore_tcp(service: Service) -> str:
    if is_true(service.environment.get("EVENTSTORE_ENABLE_EXTERNAL_TCP")):
        return ""
    return "EventStore listens there only with EVENTSTORE_ENABLE_EXTERNAL_TCP true"


def memgraph_lab(_service: Service) -> str:
    return "Memgraph Lab is not in this image, it is one of its own"


def ray_address(service: Service) -> str:
    address = service.environment.get("RAY_ADDRESS", "")
    if not re.fullmatch(r"[\w.-]+:\d+", address):
        return ""
    return (
        f"RAY_ADDRESS {address} makes this a driver that needs a raylet of its own and "
        "gives up after 60 s; a client says ray://HOST:10001"
    )


MISTAKEN = ("HOST", "PORT", "URL", "URI", "USER", "USERNAME", "PASSWORD", "CA_FILE")

PRODUCTS = {
    "memgraph": Product(
        "Memgraph",
        ignored={
            "MEMGRAPH_LOG_LEVEL": "--log-level",
            "MEMGRAPH_MEMORY_LIMIT": "--memory-limit",
            "MEMGRAPH_SSL_CERT": "--bolt-cert-file",
            "MEMGRAPH_SSL_KEY": "--bolt-key-file",
            "LOG_LEVEL": "--log-level",
            "ENVIRONMENT": "",
        },
        fatal={"command": memgraph_config_flag, "command ": memgraph_memory_unit},
        silent={3000: memgraph_lab},
        speaks_tls=memgraph_tls,
        probes_tls=lambda text: "mgconsole" not in text or "--use-ssl" in text,
    ),
    "questdb": Product(
        "QuestDB",
        ignored={
            "QDB_LOG_LEVEL": "QDB_LOG_W_STDOUT_LEVEL",
            "LOG_LEVEL": "QDB_LOG_W_STDOUT_LEVEL",
            "ENVIRONMENT": "",
        },
    ),
    "eventstore": Product(
        "EventStore",
        ignored={"LOG_LEVEL": "EVENTSTORE_LOG_LEVEL", "ENVIRONMENT": ""},
        fatal={
            "EVENTSTORE_INSECURE": eventstore_certificate,
            **{
                f"EVENTSTORE_{word}": eventstore_unknown(f"EVENTSTORE_{word}")
                for word in MISTAKEN
            },
        },
        silent={1113: eventstore_tcp},
        speaks_tls=eventstore_tls,
        probes_tls=lambda text: "https://" in text or "http://" not in text,
    ),
    "ray": Product(
        "Ray",
        ignored={
            "RAY_OBJECT_STORE_MEMORY": "--object-store-memory",
            "RAY_HEAD_SERVICE_HOST": "",
            "RAY_HEAD_SERVICE_PORT": "",
            "LOG_LEVEL": "",
            "ENVIRONMENT": "",
        },
    ),
    "ray client": Product("Ray's client", fatal={"RAY_ADDRESS": ray_address}),
    **DATABASES,
}

IMAGES = {
    "memgraph": re.compile(r"(^|/)memgraph(-mage|-platform)?([:@]|$)|standin-memgraph"),
    "questdb": re.compile(r"(^|/|-)questdb([:@]|$)"),
    "eventstore": re.compile(r"(^|/|-)eventstore([:@]|$)"),
    **DATABASE_IMAGES,
}


def product_of(service: Service) -> Product | None:
    """Return the product that a service runs, None when it is not in the table."""
    for name, pattern in IMAGES.items():
        if pattern.search(service.image):
            return PRODUCTS[name]
    if re.search(r"\bray[\"', ]+start\b", " ".join(service.argv)):
        return PRODUCTS["ray"]
    return PRODUCTS["ray client"] if "RAY_ADDRESS" in service.environment else None


def translated(service: Service, variable: str, to: str) -> bool:
    """Say whether a setting that works carries the same value as an ignored one."""
    value = service.environment[variable]
    other = flag_of(service, to) if to.startswith("--") else service.environment.get(to)
    if not to or other is None:
        return False
    same = other.lower() == value.lower() or other in {
        f"${variable}",
        f"${{{variable}}}",
    }
    return same or 0 < size(other) * MEBIBYTE <= size(value)


MEBIBYTE = 1024**2
