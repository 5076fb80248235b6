"""The docker client of these tests is a script."""

from docker_script import client

__all__ = ["client"]
