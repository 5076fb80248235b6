"""The tasks of this project: `invoke --list`."""

from compose_ops import tasks

ns = tasks.collection()
