"""Memgraph's command-line flags: which exist, their types, and where they come from.

Sources of a value, later ones win: the binary's default, /etc/memgraph/memgraph.conf,
~/.memgraph/config, the file of MEMGRAPH_CONFIG, the command line. As in Memgraph an
unknown flag, a value of the wrong type and a positional argument are fatal.
"""

import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

PACKAGED_FILE = Path("/etc/memgraph/memgraph.conf")

_STRINGS = {
    "auth_module_executable": "",
    "auth_module_mappings": "",
    "auth_password_strength_regex": ".+",
    "auth_user_or_role_name_regex": r"[a-zA-Z0-9_.+-@]+",
    "bolt_address": "0.0.0.0",  # noqa: S104
    "bolt_cert_file": "",
    "bolt_key_file": "",
    "bolt_server_name_for_init": (
        "Neo4j/v5.11.0 compatible graph database server - Memgraph"
    ),
    "coordinator_hostname": "",
    "data_directory": "mg_data",
    "experimental_config": "",
    "experimental_enabled": "",
    "flag_file": "",
    "init_data_file": "",
    "init_file": "",
    "isolation_level": "SNAPSHOT_ISOLATION",
    "kafka_bootstrap_servers": "",
    "license_key": "",
    "log_file": "",
    "log_level": "WARNING",
    "metrics_address": "0.0.0.0",  # noqa: S104
    "metrics_format": "JSON",
    "monitoring_address": "0.0.0.0",  # noqa: S104
    "nuraft_log_file": "",
    "organization_name": "",
    "password_encryption_algorithm": "bcrypt",
    "pulsar_service_url": "",
    "query_callable_mappings_path": "",
    "query_log_directory": "",
    "query_modules_directory": "",
    "storage_mode": "IN_MEMORY_TRANSACTIONAL",
    "storage_property_store_compression_level": "mid",
    "storage_snapshot_interval": "",
    "timezone": "UTC",
}
_INTEGERS = {
    "audit_buffer_flush_interval_ms": 200,
    "audit_buffer_size": 100000,
    "auth_module_timeout_ms": 10000,
    "bolt_num_workers": 2,
    "bolt_port": 7687,
    "bolt_session_inactivity_timeout": 1800,
    "coordinator_id": 0,
    "coordinator_port": 0,
    "data_dir_lock_acquisition_timeout_sec": 30,
    "delta_chain_cache_threshold": 128,
    "instance_down_timeout_sec": 5,
    "instance_get_uuid_frequency_sec": 10,
    "instance_health_check_frequency_sec": 1,
    "log_retention_days": 35,
    "management_port": 0,
    "memory_limit": 0,
    "memory_warning_threshold": 1024,
    "metrics_port": 9091,
    "monitoring_port": 7444,
    "query_execution_timeout_sec": 600,
    "query_max_plans": 1000,
    "query_plan_cache_max_size": 1000,
    "query_vertex_count_to_expand_existing": 10,
    "replication_replica_check_frequency_sec": 1,
    "storage_gc_cycle_sec": 30,
    "storage_items_per_batch": 1000000,
    "storage_python_gc_cycle_sec": 180,
    "storage_recovery_thread_count": 2,
    "storage_snapshot_interval_sec": 0,
    "storage_snapshot_retention_count": 3,
    "storage_snapshot_thread_count": 2,
    "storage_wal_file_flush_every_n_tx": 100000,
    "storage_wal_file_size_kib": 20480,
    "stream_transaction_conflict_retries": 30,
    "stream_transaction_retry_interval": 500,
}
_BOOLEANS = {
    "allow_load_csv": True,
    "also_log_to_stderr": False,
    "audit_enabled": False,
    "auth_password_permit_null": True,
    "cartesian_product_enabled": True,
    "data_recovery_on_startup": True,
    "ha_durability": True,
    "help": False,
    "hops_limit_partial_results": True,
    "query_cost_planner": True,
    "replication_restore_state_on_startup": True,
    "schema_info_enabled": False,
    "storage_automatic_edge_type_index_creation_enabled": False,
    "storage_automatic_label_index_creation_enabled": False,
    "storage_backup_dir_enabled": True,
    "storage_delta_on_identical_property_update": True,
    "storage_enable_edges_metadata": False,
    "storage_enable_schema_metadata": False,
    "storage_parallel_schema_recovery": False,
    "storage_parallel_snapshot_creation": False,
    "storage_properties_on_edges": False,
    "storage_property_store_compression_enabled": False,
    "storage_snapshot_on_exit": False,
    "storage_wal_enabled": False,
    "strict_flag_check": True,
    "telemetry_enabled": False,
    "version": False,
}
_TYPES = {"1": True, "true": True, "t": True, "y": True, "yes": True}
_TYPES |= dict.fromkeys(("0", "false", "f", "n", "no"), False)
_LOG_LEVELS = ("TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class FlagError(Exception):
    """A command line or file that Memgraph would refuse; the text is for the user."""


@dataclass(frozen=True, slots=True)
class Flags:
    """The values in force, by name with underscores."""

    strings: dict[str, str] = field(default_factory=lambda: dict(_STRINGS))
    integers: dict[str, int] = field(default_factory=lambda: dict(_INTEGERS))
    booleans: dict[str, bool] = field(default_factory=lambda: dict(_BOOLEANS))

    def shown(self) -> dict[str, tuple[str, str]]:
        """Each flag's default and current value as `SHOW CONFIG` prints them."""
        before, now = _texts(Flags()), _texts(self)
        return {name: (before[name], now[name]) for name in now}

    @property
    def snapshot_interval(self) -> int:
        """Seconds between periodic snapshots, 0 for none."""
        text = self.strings["storage_snapshot_interval"]
        if text and not text.isdecimal():
            message = "a cron expression in --storage-snapshot-interval needs Enterprise"
            raise FlagError(message)
        return int(text or self.integers["storage_snapshot_interval_sec"])


def read_flags(arguments: list[str], environment: Mapping[str, str]) -> Flags:
    """The flags of the configuration files and the command line.

    Raises FlagError, with Memgraph's own wording where it is known.
    """
    flags = Flags()
    for path in _files(environment):
        _read_file(flags, path)
    _read_arguments(flags, iter(arguments))
    _check(flags)
    return flags


def _files(environment: Mapping[str, str]) -> Iterator[Path]:
    home = Path(environment.get("HOME", "/")) / ".memgraph" / "config"
    yield from (path for path in (PACKAGED_FILE, home) if path.is_file())
    if extra := environment.get("MEMGRAPH_CONFIG"):
        if not Path(extra).is_file():
            message = f"MEMGRAPH_CONFIG environment variable set to nonexisting path: {extra}"
            raise FlagError(message)
        yield Path(extra)


def _read_file(flags: Flags, path: Path) -> None:
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        message = f"cannot read flags from {path}: {error.strerror}"
        raise FlagError(message) from error
    wanted = (line.strip() for line in lines)
    for line in (line for line in wanted if line and not line.startswith("#")):
        if not line.startswith("-"):
            message = f"{path}: not a flag: {line}"
            raise FlagError(message)
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
        if not sign and name in (*_STRINGS, *_INTEGERS):
            value = next(arguments, "")
        _assign(flags, name, value, given=bool(sign))
        if name == "flag_file" and value:
            _read_file(flags, Path(value))
    if positional and flags.booleans["strict_flag_check"]:
        listed = ", ".join(f"'{text}'" for text in positional)
        message = f"Unexpected positional argument(s): {listed}"
        raise FlagError(message)


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
        message = f"unknown command line flag '{name}'"
        raise FlagError(message)


def _integer(name: str, value: str) -> int:
    try:
        return int(value)
    except ValueError as error:
        message = f"illegal value '{value}' specified for uint64 flag '{name}'"
        raise FlagError(message) from error


def _boolean(name: str, value: str) -> bool:
    if value.lower() not in _TYPES:
        message = f"illegal value '{value}' specified for bool flag '{name}'"
        raise FlagError(message)
    return _TYPES[value.lower()]


def _check(flags: Flags) -> None:
    if flags.strings["log_level"] not in _LOG_LEVELS:
        message = f"Expected --log-level to be one of {', '.join(_LOG_LEVELS)}"
        raise FlagError(message)
    for folder in filter(None, flags.strings["query_modules_directory"].split(",")):
        if not Path(folder).is_dir():
            message = (
                "Expected --query_modules_directory to point to directories."
                f" {folder} is not a directory."
            )
            raise FlagError(message)
    if flags.booleans["storage_wal_enabled"] and not flags.snapshot_interval:
        message = (
            "In order to use write-ahead-logging you must enable periodic snapshots"
            " by setting the snapshot interval to a value larger than 0!"
        )
        raise FlagError(message)


def _texts(flags: Flags) -> dict[str, str]:
    pairs: Iterable[tuple[str, object]] = [
        *flags.strings.items(),
        *flags.integers.items(),
        *((name, str(value).lower()) for name, value in flags.booleans.items()),
    ]
    return {name: str(value) for name, value in pairs}
