"""Names that many share: files and folders of a project, and flags of tasks."""

CONFIG_FILE = "compose-ops.toml"
ENV_FILE = ".env"
ENV_EXAMPLE = ".env.example"
STATE = ".compose-ops"
OWN_STATE = f'sudo chown -R "$(id -u)" {STATE}'
"""What a user types after a task of root's made the state."""

DEPLOYED_FILE = "deployed.yml"
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
