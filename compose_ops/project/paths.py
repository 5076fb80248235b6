"""Where things lie in a checkout; every path is absolute."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

BASE_FILE = "docker-compose.yml"
STAGE_FILES = {"dev": "docker-compose.dev.yml", "prod": "docker-compose.prod.yml"}
OVERLAYS = "docker/overlays"
ENV_FILE = ".env"
ENV_EXAMPLE = ".env.example"
SECRETS = "secrets"
CERTIFICATES = "certs"
STATE = ".compose-ops"
OWN_STATE = f'sudo chown -R "$(id -u)" {STATE}'
"""What a user types after a task of root's made the state."""

DEPLOYED_FILE = "deployed.yml"
PREVIOUS_FILE = "previous.json"
BACKUPS = "backups"
