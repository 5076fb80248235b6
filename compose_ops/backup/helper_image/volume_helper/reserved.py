"""Names at the top of a volume that are never data of its store."""

import os

NAME = b".compose-ops-restore"

# What the version before called the same folder; the caller says so.
BEFORE = os.fsencode(os.environ.get("COMPOSE_OPS_RESERVED_BEFORE", ""))

NAMES = frozenset({NAME, BEFORE} - {b""})
LEFT_OUT = NAMES | {b"lost+found"}

HOLDER = os.fsdecode(NAME)
