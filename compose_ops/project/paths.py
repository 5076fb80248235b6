"""Names that many share: files and folders of a project, and flags of tasks."""

from pathlib import Path

from compose_ops.errors import ConfigurationError

CONFIG_FILE = "compose-ops.toml"
ENV_FILE = ".env"
ENV_EXAMPLE = ".env.example"
STATE = ".compose-ops"
OWN_STATE = f'sudo chown -R "$(id -u)" {STATE}'
"""What a user types after a task of root's made the state."""

DEPLOYED_FILE = "deployed.yml"
GATEWAY_FILE = "gateway.yml"
WRITTEN_GATEWAY_FILE = "compose.gateway.yaml"
PREVIOUS_FILE = "previous.json"
BACKUPS = "backups"

TAKEN = frozenset(
    {
        *("accept", "all", "at", "build", "bundle", "dest", "discard", "fix"),
        *("from-project", "gpu", "help", "identity", "json", "mode", "only", "overlay"),
        *(
            "service",
            "set",
            "skip",
            "strict",
            "timeout",
            "undo",
            "verbose",
            "volumes",
            "yes",
        ),
    }
)
"""Flags of the tasks that take a mode: no mode of such a name is a flag itself."""


def remote_part(text: str | Path) -> str:
    r"""
    Return what names another machine or a protocol where a folder should stand, or "".

    >>> remote_part("root@nas:/srv"), remote_part("sftp://host"), remote_part("./a:b")
    ('root@nas:', 'sftp:', '')
    """
    head, colon, _ = str(text).partition("/")[0].rpartition(":")
    if colon and not head.startswith("~"):
        return head + colon
    return "\\\\" if str(text).startswith("\\\\") else ""


def sets_folder(folder: Path, name: str) -> Path:
    """Return a folder of sets that a file names; ConfigurationError for no folder."""
    if remote := remote_part(name):
        raise ConfigurationError(
            f"{name} is no folder of this machine: it begins with {remote}",
            hint="compose-ops.toml: mount it and name that folder, or a repository of "
            "[destinations]; a folder with such a name: ./NAME",
        )
    return absolute(folder, name)


def absolute(folder: Path, name: str | Path) -> Path:
    """
    Return a path that a person wrote as an absolute one, relative ones in *folder*.

    Raises ConfigurationError for what can be no path: the folder of a user who does not
    exist, links in a circle, a zero byte.
    """
    try:
        return (folder / Path(name).expanduser()).resolve()
    except (OSError, RuntimeError, ValueError) as wrong:
        raise ConfigurationError(
            f"the path {str(name)!r:.60} leads nowhere: {wrong}",
            hint="correct it where it is written",
        ) from wrong
