"""
What `compose-ops.toml` may hold: each key with its type, its default and a text.

`python -m compose_ops.config.reference` makes docs/configuration.md of it.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Any

from compose_ops.project.labels import PREFIX
from compose_ops.project.modes import FACTS, Modes, ModeSettings, OverlaySettings
from compose_ops.project.paths import BACKUPS, ENV_EXAMPLE

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
        *("drain-timeout", "drain"),
    )
}
"""The keys of `[rollout.SERVICE]`, and the label that each stands for."""


def key(
    text: str,
    default: Any = MISSING,
    *,
    choices: tuple[str, ...] = (),
    labels: Mapping[str, str] | None = None,
) -> Any:
    """
    Return a field of the schema: *text* is its line in the reference page.

    *labels* are the keys of each of its tables, with the label that each stands for.
    """
    metadata = {"text": text, "choices": choices, "labels": labels}
    if isinstance(default, dict):
        return field(default_factory=dict, metadata=metadata)
    if isinstance(default, type):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class ModeTable:
    """A way to run the project, chosen by `--mode NAME` or `--NAME`."""

    description: str = key("What `--help` says of the mode.", "")
    files: tuple[str, ...] = key("Compose files after the project's own.", ())
    environment: Mapping[str, str] = key("Variables over those of `.env`.", {})
    combines: bool = key("May be given together with another mode.", default=False)
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
    init: InitTable = key("What `init` makes.", InitTable)
    hints: HintsTable = key("What messages tell.", HintsTable)
    gpu: GpuTable = key("GPU checks.", GpuTable)
    lint: LintTable = key("The linter.", LintTable)
    folder: Path = Path()

    def path(self, name: str) -> Path:
        """Return a path of the file as an absolute one."""
        return (self.folder / Path(name).expanduser()).resolve()

    @property
    def destination(self) -> Path:
        """The folder of the sets, absolute."""
        return self.path(self.backup.destination)

    @property
    def example(self) -> Path:
        """The example of `.env`, absolute; it may not exist."""
        return self.path(self.env_example)

    def modes_of(self, base: tuple[Path, ...]) -> Modes:
        """Return every mode of a project whose files for all modes are *base*."""
        modes = {
            name: ModeSettings(
                name=name,
                files=tuple(map(self.path, table.files)),
                environment=table.environment,
                combines=table.combines,
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
