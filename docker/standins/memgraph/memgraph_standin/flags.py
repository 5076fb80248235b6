"""
Memgraph's command-line flags: which exist, their types, and where they come from.

Sources of a value, later ones win: the binary's default, /etc/memgraph/memgraph.conf,
~/.memgraph/config, the file of MEMGRAPH_CONFIG, the command line. As in Memgraph an
unknown flag, a value of the wrong type and a positional argument are fatal.
"""

import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from memgraph_standin.flag_table import BOOLEANS, INTEGERS, STRINGS

PACKAGED_FILE = Path("/etc/memgraph/memgraph.conf")

_TRUTHS = {"1": True, "true": True, "t": True, "y": True, "yes": True}
_TRUTHS |= dict.fromkeys(("0", "false", "f", "n", "no"), False)
_LOG_LEVELS = ("TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class FlagError(Exception):
    """A command line or file that Memgraph would refuse; the text is for the user."""


@dataclass(frozen=True, slots=True)
class Flags:
    """The values in force, by name with underscores."""

    strings: dict[str, str] = field(default_factory=lambda: dict(STRINGS))
    integers: dict[str, int] = field(default_factory=lambda: dict(INTEGERS))
    booleans: dict[str, bool] = field(default_factory=lambda: dict(BOOLEANS))

    def shown(self) -> dict[str, tuple[str, str]]:
        """Each flag's default and current value as `SHOW CONFIG` prints them."""
        before, now = _texts(Flags()), _texts(self)
        return {name: (before[name], now[name]) for name in now}

    @property
    def snapshot_interval(self) -> int:
        """Seconds between periodic snapshots, 0 for none."""
        text = self.strings["storage_snapshot_interval"]
        if text and not text.isdecimal():
            raise FlagError(
                "a cron expression in --storage-snapshot-interval needs Enterprise"
            )
        return int(text or self.integers["storage_snapshot_interval_sec"])


def read_flags(arguments: list[str], environment: Mapping[str, str]) -> Flags:
    """
    Return the flags of the configuration files and the command line.

    Raises FlagError, with Memgraph's own wording where it is known.
    """
    flags = Flags()
    for path in _files(environment):
        _read_file(flags, path)
    _read_arguments(flags, iter(arguments))
    if not (flags.booleans["help"] or flags.booleans["version"]):
        _check(flags)
    return flags


def _files(environment: Mapping[str, str]) -> Iterator[Path]:
    home = Path(environment.get("HOME", "/")) / ".memgraph" / "config"
    yield from (path for path in (PACKAGED_FILE, home) if path.is_file())
    if extra := environment.get("MEMGRAPH_CONFIG"):
        if not Path(extra).is_file():
            raise FlagError(
                f"MEMGRAPH_CONFIG environment variable set to nonexisting path: {extra}"
            )
        yield Path(extra)


def _read_file(flags: Flags, path: Path) -> None:
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise FlagError(f"cannot read flags from {path}: {error.strerror}") from error
    wanted = (line.strip() for line in lines)
    for line in (line for line in wanted if line and not line.startswith("#")):
        if not line.startswith("-"):
            raise FlagError(f"{path}: not a flag: {line}")
        _read_arguments(flags, iter([_unquoted(line)]))


def _unquoted(line: str) -> str:
    name, sign, value = line.partition("=")
    if value[:1] in "\"'" and value[:1]:
        value = "".join(shlex.split(value))
    return name + sign + value


def _read_arguments(flags: Flags, arguments: Iterator[str]) -> None:
    positional = []
    for argument in arguments:
        if not argument.startswith("-"):
            positional.append(argument)
            continue
        name, sign, value = argument.lstrip("-").partition("=")
        name = name.replace("-", "_")
        if not sign and name in (*STRINGS, *INTEGERS):
            value = next(arguments, "")
        _assign(flags, name, value, given=bool(sign))
        if name == "flag_file" and value:
            _read_file(flags, Path(value))
    if positional and flags.booleans["strict_flag_check"]:
        listed = ", ".join(f"'{text}'" for text in positional)
        raise FlagError(f"Unexpected positional argument(s): {listed}")


def _assign(flags: Flags, name: str, value: str, *, given: bool) -> None:
    if name in flags.strings:
        flags.strings[name] = value
    elif name in flags.integers:
        flags.integers[name] = _integer(name, value)
    elif name in flags.booleans:
        flags.booleans[name] = _boolean(name, value) if given else True
    elif name.startswith("no") and name[2:] in flags.booleans and not given:
        flags.booleans[name[2:]] = False
    else:
        raise FlagError(f"unknown command line flag '{name}'")


def _integer(name: str, value: str) -> int:
    try:
        return int(value)
    except ValueError as error:
        raise FlagError(
            f"illegal value '{value}' specified for uint64 flag '{name}'"
        ) from error


def _boolean(name: str, value: str) -> bool:
    if value.lower() not in _TRUTHS:
        raise FlagError(f"illegal value '{value}' specified for bool flag '{name}'")
    return _TRUTHS[value.lower()]


def _check(flags: Flags) -> None:
    if flags.strings["log_level"] not in _LOG_LEVELS:
        raise FlagError(f"Expected --log-level to be one of {', '.join(_LOG_LEVELS)}")
    for folder in filter(None, flags.strings["query_modules_directory"].split(",")):
        if not Path(folder).is_dir():
            raise FlagError(
                "Expected --query_modules_directory to point to directories."
                f" {folder} is not a directory."
            )
    if flags.booleans["storage_wal_enabled"] and not flags.snapshot_interval:
        raise FlagError(
            "In order to use write-ahead-logging you must enable periodic snapshots"
            " by setting the snapshot interval to a value larger than 0!"
        )


def _texts(flags: Flags) -> dict[str, str]:
    pairs: Iterable[tuple[str, object]] = [
        *flags.strings.items(),
        *flags.integers.items(),
        *((name, str(value).lower()) for name, value in flags.booleans.items()),
    ]
    return {name: str(value) for name, value in pairs}
