"""
What `compose-ops.toml` may hold: each key with its type, its default and a text.

`python -m compose_ops.config.reference` makes docs/configuration.md of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from compose_ops.config.keys import key
from compose_ops.config.unattended import (
    HooksTable,
    MetricsTable,
    NotifyTable,
    ScheduleTable,
)
from compose_ops.project.labels import PREFIX
from compose_ops.project.modes import FACTS, Modes, ModeSettings, OverlaySettings
from compose_ops.project.paths import BACKUPS, ENV_EXAMPLE, absolute, sets_folder

VERSION = 1
"""The version of the format that this release reads."""

Labels = Mapping[str, str]

STORE_KEYS = {
    "product": "product",
    **{
        name: f"data.{name}"
        for name in ("volumes", "disposable", "paths", "variable", "ask", "links")
    },
    **{
        name: f"backup.{name}"
        for name in ("consistency", "clean-exits", "shell", "user", "preamble")
    },
    **{
        f"native.{name}": f"backup.native.{name}"
        for name in (
            *("probe", "prepare", "release", "session", "after"),
            *("order", "exclude"),
        )
    },
    **{name: f"backup.{name}" for name in ("count", "count-rule", "version")},
    "mend": "restore.mend",
    "check": "drill.check",
}
"""The keys of `[stores.SERVICE]`, and the label that each stands for."""

ROLLOUT_KEYS = {
    name: f"rollout.{name}"
    for name in (
        *("gateway", "network", "port", "gateway-port", "runtime-port"),
        *("get", "method", "body", "status", "host", "scheme", "post", "health"),
        *("drain-timeout", "drain", "before"),
    )
}
"""The keys of `[rollout.SERVICE]`, and the label that each stands for."""


ARGUMENTS = frozenset({"before"})
"""Keys whose list is a command: its words stay apart in the label."""


@dataclass(frozen=True, slots=True)
class ModeTable:
    """A way to run the project, chosen by `--mode NAME` or `--NAME`."""

    description: str = key("What `--help` says of the mode.", "")
    files: tuple[str, ...] = key("Compose files after the project's own.", ())
    environment: Mapping[str, str] = key("Variables over those of `.env`.", {})
    combines: bool = key("May be given together with another mode.", default=False)
    only_with: tuple[str, ...] = key(
        "Only together with one of these modes; for one that combines.", ()
    )
    swarm: bool = key("Runs on the machines of a Swarm: docs/swarm.md.", default=False)
    gpu: bool = key("May use a GPU; overlays for `gpu` need that.", default=True)
    production: bool = key("Placeholders for secrets are failures.", default=False)
    substitutes: bool = key(
        "Runs stand-ins, which need neither secrets nor the products' resources.",
        default=False,
    )
    prepare: tuple[str, ...] = key(
        "Commands that make `images`, run in the project's folder before a build.", ()
    )
    images: tuple[str, ...] = key(
        "Images that `prepare` makes; it runs when one of them is missing.", ()
    )


@dataclass(frozen=True, slots=True)
class OverlayTable:
    """Compose files that are added where the engine offers, or lacks, something."""

    when: str = key("The fact that switches the files on.", "", choices=(*FACTS,))
    files: tuple[str, ...] = key("The compose files.", ())


@dataclass(frozen=True, slots=True)
class BackupTable:
    """Backups: where sets lie, and what the helper image stands on."""

    destination: str = key("The folder of the sets.", BACKUPS)
    coherent: bool = key(
        "`backup --all` is of one moment: what depends on the stores rests for it.",
        default=True,
    )
    helper_base: tuple[str, ...] = key(
        "Base images for the helper; the first that is there is taken, the last one "
        "is pulled.",
        ("debian:bookworm-slim",),
    )
    restore_point_age: str = key(
        "How old a proven set may be that `rolling-update --restore-point` takes.",
        "24h",
    )


@dataclass(frozen=True, slots=True)
class GatewayTable:
    """The gateway that stands in front of each service with a port for rollouts."""

    image: str = key("Its image: HAProxy 2.6 or later.", "haproxy:3.0")
    moved_labels: tuple[str, ...] = key(
        "Labels that go from the service to its gateway, for an edge proxy that reads "
        "labels; `*` stands for any text.",
        ("traefik.*", "caddy*"),
    )


@dataclass(frozen=True, slots=True)
class DestinationTable:
    """Where sets are written to: a folder, or a restic repository."""

    folder: str = key("The folder of the sets.", "")
    repository: str = key(
        "A restic repository instead: a folder, or what restic calls it: "
        "`rest:https://HOST/`, `s3:https://HOST/BUCKET`, `sftp:USER@HOST:/FOLDER`.",
        "",
    )
    password_file: str = key(
        "The file with the repository's password. Default: `secrets/NAME.restic`.",
        "",
    )
    credentials_file: str = key(
        "A file of lines NAME=value that restic gets as its environment, such as "
        "`AWS_ACCESS_KEY_ID=…`.",
        "",
    )
    key_file: str = key("The private ssh key for `sftp:`, without a passphrase.", "")
    known_hosts_file: str = key(
        "The host keys that were confirmed. Default: `secrets/known_hosts`.", ""
    )
    limit_upload: int = key("KiB a second that restic sends at most; 0: no limit.", 0)
    limit_download: int = key(
        "KiB a second that restic receives at most; 0: no limit.", 0
    )

    def password_of(self, name: str) -> str:
        """Return the file with the password of this repository, called *name*."""
        return self.password_file or f"secrets/{name}.restic"


@dataclass(frozen=True, slots=True)
class SecretTable:
    """A file with a secret, made when it is missing."""

    random_bytes: int = key("Write so many random bytes, as text.", 0)
    text: str = key("Write this text instead.", "")


@dataclass(frozen=True, slots=True)
class ServerTable:
    """A service that speaks TLS; its certificate and key belong to its user."""

    uid: int = key("The user of its image.", 0)
    gid: int = key("The group of its image.", 0)
    common_name: str = key("The name in its certificate. Default: the service's.", "")
    authority: str = key("Where in its folder it reads the authority's file.", "")


@dataclass(frozen=True, slots=True)
class CertificatesTable:
    """Certificates of a trial authority; needs the extra `certificates`."""

    folder: str = key("Where they are written.", "certs")
    organization: str = key("The organization that they name.", "compose-ops trial")
    client: str = key("Where in the folder clients read the authority's file.", "")
    servers: Mapping[str, ServerTable] = key("The servers, by service.", {})


@dataclass(frozen=True, slots=True)
class InitTable:
    """What `init` makes; a value that is there is never touched."""

    at_most_cpus: tuple[str, ...] = key(
        "Variables of a new `.env` that are lowered to the engine's CPUs.", ()
    )
    registry_variable: str = key(
        "The variable with an image to ask a registry for; see `registry_mode`.", ""
    )
    registry_mode: str = key(
        "The mode whose variables a new `.env` gets where no registry answers.", ""
    )
    secrets: Mapping[str, SecretTable] = key("Files with secrets, by path.", {})
    readable: tuple[str, ...] = key(
        "Folders that containers mount: opened to the containers' users.", ()
    )
    production_mode: str = key(
        "The mode that asks for certificates and data folders: `init --mode NAME`.", ""
    )
    tokens: Mapping[str, str] = key(
        "JSON files that get a random token then, by path: the token's key, dots "
        "between the keys of nested objects.",
        {},
    )
    data_folders: tuple[str, ...] = key(
        "Folders to make then; `$NAME` is a variable of `.env`.", ()
    )
    certificates: CertificatesTable = key(
        "Certificates to make then.", CertificatesTable
    )

    @property
    def production(self) -> str:
        """The command that makes certificates and data folders."""
        mode = self.production_mode
        return f"invoke init --{mode}" if mode else "invoke init"


@dataclass(frozen=True, slots=True)
class HintsTable:
    """What messages tell people of this project."""

    install_engine: str = key("The command that installs or starts an engine.", "")


@dataclass(frozen=True, slots=True)
class GpuTable:
    """`gpu-check`."""

    service: str = key("The service to check when none is named.", "")


@dataclass(frozen=True, slots=True)
class SwarmTable:
    """Modes with `swarm = true`: the project on several machines."""

    registry: str = key(
        "Where images are pushed, such as `registry.lan:5000/shop`; `$NAME` is a "
        "variable of `.env`.",
        "",
    )


@dataclass(frozen=True, slots=True)
class AcceptTable:
    """A rule whose findings are accepted."""

    reason: str = key("Why; it must be there.", "")
    path: str = key("Only at or below this, such as `services.app`.", "")
    file: str = key("Only in files of this pattern.", "")


@dataclass(frozen=True, slots=True)
class LintTable:
    """`lint`: what fails, and what is known."""

    fail_on: str = key(
        "The mildest severity that fails.",
        "error",
        choices=("error", "warning", "note", "never"),
    )
    start_timeout: int = key("Seconds that a start waits for health; 0: none waits.", 0)
    memory: str = key("What the machine has for containers, such as `26G`.", "")
    exclude: tuple[str, ...] = key("Patterns of files that are left out.", ())
    baseline: str = key("The file of findings that were there before.", "")
    rules: Mapping[str, str] = key("`off` or another severity, by rule.", {})
    accept: Mapping[str, AcceptTable] = key("Accepted findings, by rule.", {})


@dataclass(frozen=True, slots=True)
class Config:
    """
    A project's configuration; paths are relative to `folder`, that of the file.

    >>> Config().backup.destination
    'backups'
    """

    version: int = key("The version of this file's format.", VERSION)
    files: tuple[str, ...] = key(
        "The compose files of every mode. Default: what Compose finds itself.", ()
    )
    project_directory: str = key(
        "Compose's project directory. Default: the folder of the first file.", ""
    )
    env_example: str = key("The example of `.env`.", ENV_EXAMPLE)
    overlay_folder: str = key("The folder of `--overlay NAME`.", "")
    modes: Mapping[str, ModeTable] = key("Modes, by name.", {})
    overlays: Mapping[str, OverlayTable] = key("Overlays, by name.", {})
    backup: BackupTable = key("Backups.", BackupTable)
    destinations: Mapping[str, DestinationTable] = key(
        "Destinations of backups, by name; without `--dest` a backup is written to "
        "all of them, and what reads takes the first.",
        {},
    )
    products: tuple[str, ...] = key(
        "Files that describe products of the project's own, as those of the package.",
        (),
    )
    stores: Mapping[str, Labels] = key(
        "Data of services, by service: what may stand as labels on it, too.",
        {},
        labels=STORE_KEYS,
    )
    rollout: Mapping[str, Labels] = key(
        "Rolling updates, by service: what may stand as labels on it, too.",
        {},
        labels=ROLLOUT_KEYS,
    )
    gateway: GatewayTable = key("The gateway of rolling updates.", GatewayTable)
    init: InitTable = key("What `init` makes.", InitTable)
    hints: HintsTable = key("What messages tell.", HintsTable)
    gpu: GpuTable = key("GPU checks.", GpuTable)
    swarm: SwarmTable = key("Several machines.", SwarmTable)
    lint: LintTable = key("The linter.", LintTable)
    schedule: ScheduleTable = key("What runs by itself.", ScheduleTable)
    notify: NotifyTable = key("Who is told.", NotifyTable)
    hooks: HooksTable = key("Commands around tasks.", HooksTable)
    metrics: MetricsTable = key("Metrics.", MetricsTable)
    folder: Path = Path()

    def path(self, name: str) -> Path:
        """
        Return a path of the file as an absolute one.

        Raises ConfigurationError for what can be no path.
        """
        return absolute(self.folder, name)

    def secret_files(self, root: Path) -> tuple[Path, ...]:
        """Return the files with secrets of repositories; *root* is the project's."""
        base = self.folder if self.folder.is_absolute() else root
        return tuple(
            base / named
            for name, table in self.destinations.items()
            if table.repository
            for named in (
                table.password_of(name),
                table.credentials_file,
                table.key_file,
            )
            if named
        )

    @property
    def destination(self) -> Path:
        """The folder of the sets, absolute; ConfigurationError for what is none."""
        return sets_folder(self.folder, self.backup.destination)

    @property
    def example(self) -> Path:
        """The example of `.env`, absolute; it may not exist."""
        return self.path(self.env_example)

    @property
    def fronted(self) -> tuple[str, ...]:
        """The services that state a port for rollouts, and no gateway of their own."""
        tables = self.rollout.items()
        return tuple(n for n, t in tables if "port" in t and not t.get("gateway"))

    def modes_of(self, base: tuple[Path, ...]) -> Modes:
        """Return every mode of a project whose files for all modes are *base*."""
        modes = {
            name: ModeSettings(
                name=name,
                files=tuple(map(self.path, table.files)),
                environment=table.environment,
                combines=table.combines,
                only_with=table.only_with,
                swarm=table.swarm,
                gpu=table.gpu,
                production=table.production,
                substitutes=table.substitutes,
            )
            for name, table in self.modes.items()
        }
        switched = tuple(
            OverlaySettings(name, table.when, tuple(map(self.path, table.files)))
            for name, table in self.overlays.items()
        )
        folder = self.path(self.overlay_folder) if self.overlay_folder else None
        return Modes(base, modes, switched, folder)

    @property
    def service_settings(self) -> dict[str, dict[str, str]]:
        """`[stores]` and `[rollout]` as labels, by service."""
        found: dict[str, dict[str, str]] = {}
        for tables, known in (
            (self.stores, STORE_KEYS),
            (self.rollout, ROLLOUT_KEYS),
        ):
            for service, table in tables.items():
                labels = {PREFIX + known[name]: text for name, text in table.items()}
                found.setdefault(service, {}).update(labels)
        return found
