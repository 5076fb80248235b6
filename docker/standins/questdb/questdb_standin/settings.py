"""QuestDB's properties: `conf/server.conf`, overridden by `QDB_*` variables."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_DEFAULTS = {
    "http.bind.to": "0.0.0.0:9000",
    "http.min.net.bind.to": "0.0.0.0:9003",
    "pg.net.bind.to": "0.0.0.0:8812",
    "line.tcp.net.bind.to": "0.0.0.0:9009",
    "http.enabled": "true",
    "http.min.enabled": "true",
    "pg.enabled": "true",
    "line.tcp.enabled": "true",
    "pg.user": "admin",
    "pg.password": "quest",
    "cairo.snapshot.instance.id": "",
    "cairo.snapshot.recovery.enabled": "true",
    "shared.worker.count": "2",
    "cairo.max.uncommitted.rows": "500000",
}
_NUMBERS = ("shared.worker.count", "cairo.max.uncommitted.rows")


class SettingError(Exception):
    """A value that QuestDB would refuse; the text is for the user."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Every known property by its name in server.conf."""

    values: Mapping[str, str]

    def address(self, name: str) -> tuple[str, int]:
        """Host and port of a `…bind.to` property. Raises SettingError."""
        host, _, port = self.values[name].rpartition(":")
        if not port.isdecimal():
            raise SettingError(
                f"configuration value for {name} is invalid: {self.values[name]}"
            )
        return host or "0.0.0.0", int(port)  # noqa: S104

    def enabled(self, name: str) -> bool:
        """Return a yes-or-no property."""
        return self.values[name].lower() == "true"


def read_settings(root: Path, environment: Mapping[str, str]) -> Settings:
    """
    Return the properties in force; unknown ones are ignored, as QuestDB does.

    Raises SettingError.
    """
    values = dict(_DEFAULTS)
    file = root / "conf" / "server.conf"
    lines = file.read_text().splitlines() if file.is_file() else []
    for line in lines:
        name, sign, value = line.partition("=")
        if sign and name.strip() in values:
            values[name.strip()] = value.strip()
    for name, value in values.items():
        variable = "QDB_" + name.upper().replace(".", "_")
        values[name] = environment.get(variable, value)
    for name in _NUMBERS:
        if not values[name].isdecimal():
            raise SettingError(f"invalid integer value for {name}: {values[name]}")
    return Settings(values)
