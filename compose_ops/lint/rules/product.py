"""A program of this field: what a rule must know of its settings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from compose_ops.lint.target import Service

Fault = Callable[[Service], str]
"""Returns what is wrong, empty when nothing is."""


@dataclass(frozen=True, slots=True)
class Product:
    """
    A program and what it does with its settings.

    `ignored` maps a pattern of variables that have no effect to the flag or variable
    that has, empty where there is none; `fatal` maps a variable or `command` to what
    makes the program exit; `silent` maps a port to the reason why nobody listens.
    """

    name: str
    ignored: Mapping[str, str] = field(default_factory=dict)
    fatal: Mapping[str, Fault] = field(default_factory=dict)
    silent: Mapping[int, Fault] = field(default_factory=dict)
    speaks_tls: Callable[[Service], bool] = lambda _service: False
    probes_tls: Callable[[str], bool] = lambda text: "https://" in text


def flag_of(service: Service, flag: str) -> str | None:
    """Return a flag's value from `--flag=value` or `--flag value`, None without it."""
    for index, word in enumerate(service.argv):
        if word == flag:
            return (*service.argv, "")[index + 1]
        if word.startswith(f"{flag}="):
            return word.partition("=")[2]
    return None


def is_true(value: str | None) -> bool:
    return str(value).lower() in {"true", "1", "yes"}
