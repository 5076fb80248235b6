"""`compose-ops.toml`: what a project states about itself, checked and typed."""

from compose_ops.config.reader import load, mode_names
from compose_ops.config.schema import Config

__all__ = ["Config", "load", "mode_names"]
