"""`compose-ops.toml`: what a project states about itself, checked and typed."""

from compose_ops.config.reader import load
from compose_ops.config.schema import (
    CertificatesTable,
    Config,
    ModeTable,
    SecretTable,
    ServerTable,
)

__all__ = [
    "CertificatesTable",
    "Config",
    "ModeTable",
    "SecretTable",
    "ServerTable",
    "load",
]
