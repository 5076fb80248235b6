"""
EventStoreDB's options: `EVENTSTORE_*` variables, `--name`, and the YAML file.

As in EventStoreDB an option that does not exist is fatal unless
AllowUnknownOptions is set.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from eventstore_standin.option_names import OPTION_NAMES

_PREFIX = "EVENTSTORE_"
_PACKAGED_FILE = "/etc/eventstore/eventstore.conf"
_NAMES = {name.lower(): name for name in OPTION_NAMES}
_TRUE = {"true": True, "1": True, "false": False, "0": False}


class OptionError(Exception):
    """An option that EventStoreDB would refuse; the text is for the user."""


@dataclass(frozen=True, slots=True)
class Options:
    """The given options by their name, `HttpPort` for EVENTSTORE_HTTP_PORT."""

    given: Mapping[str, str]

    def flag(self, name: str) -> bool:
        """Return a yes-or-no option, false unless given. Raises OptionError."""
        text = self.given.get(name, "false")
        if text.lower() not in _TRUE:
            raise OptionError(
                f"Failed to convert configuration value '{text}' of {name} to Boolean."
            )
        return _TRUE[text.lower()]

    def number(self, *names: str, default: int) -> int:
        """Return the first of *names* that is given. Raises OptionError."""
        for name in names:
            if (text := self.given.get(name)) is not None:
                if not text.isdecimal():
                    raise OptionError(f"{name} must be a number, not '{text}'.")
                return int(text)
        return default

    def path(self, name: str, default: str) -> Path:
        """Return an option that names a file or folder."""
        return Path(self.given.get(name) or default)


def read_options(arguments: list[str], environment: Mapping[str, str]) -> Options:
    """
    Collect the options: the file, then variables, then the command line.

    Raises OptionError.
    """
    outer = dict(_of_environment(environment))
    outer |= dict(_of_arguments(iter(arguments)))
    named = {_known(name): value for name, value in outer.items()}
    path = Path(named.get("Config", _PACKAGED_FILE))
    given = {_known(name): value for name, value in _of_file(path)} | named
    _refuse_unknown(Options(given))
    return Options(given)


def _of_environment(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in environment.items():
        if name.startswith(_PREFIX):
            words = name.removeprefix(_PREFIX).split("_")
            yield "".join(word.capitalize() for word in words), value


def _of_arguments(arguments: Iterator[str]) -> Iterator[tuple[str, str]]:
    waiting = None
    for argument in arguments:
        if argument.startswith("-"):
            if waiting:
                yield waiting, "true"
            name, sign, value = argument.lstrip("-").partition("=")
            name = "".join(word.capitalize() for word in re.split("[-_]", name))
            waiting = None if sign else name
            if sign:
                yield name, value
        elif waiting:
            yield waiting, argument
            waiting = None
    if waiting:
        yield waiting, "true"


def _of_file(path: Path) -> Iterator[tuple[str, str]]:
    """Return the lines `Name: value` of the YAML file; all that this file needs."""
    for line in path.read_text().splitlines() if path.is_file() else []:
        name, sign, value = line.partition("#")[0].partition(":")
        if sign and value.strip():
            yield name.strip(), value.strip().strip("\"'")


def _known(name: str) -> str:
    return _NAMES.get(name.lower(), name)


def _refuse_unknown(options: Options) -> None:
    unknown = [name for name in options.given if name.lower() not in _NAMES]
    if unknown and not options.flag("AllowUnknownOptions"):
        lines = [f"The option {name} is not a known option." for name in unknown]
        lines.append(
            "Found unknown options. To continue anyway, set AllowUnknownOptions"
            " to true."
        )
        raise OptionError(" ".join(lines))
