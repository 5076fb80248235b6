"""
Every task, for a project's own `tasks.py`.

>>> from compose_ops import tasks
>>> ns = tasks.collection()
"""

from compose_ops.cli.collection import collection

__all__ = ["collection"]
