"""Names of files and folders in a project; each is relative to the project's folder."""

CONFIG_FILE = "compose-ops.toml"
ENV_FILE = ".env"
ENV_EXAMPLE = ".env.example"
STATE = ".state"
OWN_STATE = f'sudo chown -R "$(id -u)" {STATE}'
"""What a user types after a task of root's made the state."""

PLUGINS_FILE = "plugins.json"
DEPLOYED_FILE = "deployed.yml"
PREVIOUS_FILE = "previous.json"
BACKUPS = "backups"
