"""A set's manifest: what was kept, from what, how, and how to prove it."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from compose_ops.backup import untrusted
from compose_ops.errors import DataError
from compose_ops.state import decode

SCHEMA = 2
READABLE = (1, 2)
MAX_BYTES = 4 << 20
MAX_SECONDS = 1e9
LONGEST = 300  # characters that are kept of a text
SET_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9]{4,9}")
LAST_NUMBER = 999_999_999
"""The highest number that a set's id can end in."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_FOLDER = re.compile(r"/[^\0]{0,4095}", re.DOTALL)
_HASH = re.compile(r"[0-9a-f]{64}")
_VERSION = re.compile(r"(?:[0-9]{1,9}(?:\.[0-9]{1,9}){0,9})?")
# What a file that is no manifest may raise on its way to become one.
UNTRUE = (
    *(ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError),
)
COMPRESSIONS = {"zstd": "tar.zst", "gzip": "tar.gz"}
RESTIC = "restic"
"""The compression of a set in a repository, whose archives are snapshots."""


@dataclass(frozen=True, slots=True)
class Archive:
    """
    One folder of a set. Sizes are bytes.

    `volume` is the volume's name, or the host's folder where `kind` is bind.
    `sha256` and `size` are of the file as it lies in the set, `plain_sha256` of the
    archive before it was encrypted (the same when it was not); `bytes` and `files` are
    of what it holds; `listing_sha256` is of the list of files, unpacked. In a
    repository the hashes are that of the snapshot's tree, and `size` is what the set
    added.
    """

    key: str
    volume: str
    driver: str
    options: Mapping[str, str]
    labels: Mapping[str, str]
    sha256: str
    size: int
    plain_sha256: str
    files: int
    bytes: int
    listing_sha256: str
    kind: str = "volume"


@dataclass(frozen=True, slots=True)
class Store:
    """
    One service of a set.

    `count` is what the store said of itself: before the copy, once it was prepared for
    a native one, and after the copy ([] when it cannot say). It may have grown and
    shrunk between. With `grows` a restored store may have more. `product` and `recipe`
    say how a known product was copied. `downtime` is the seconds from its stop until it
    was healthy again, 0 for one that was not stopped.
    """

    service: str
    consistency: str
    image: str
    image_id: str
    version: str
    exit_code: int | None
    count: tuple[int, ...]
    grows: bool
    archives: tuple[Archive, ...]
    product: str = ""
    recipe: str = ""
    downtime: float = 0.0

    def holds(self, count: int | None) -> bool:
        """Say whether a store that counts *count* can be this one, restored."""
        if not self.count:
            return True
        if count is None or count < min(self.count):
            return False
        return self.grows or count <= max(self.count)


@dataclass(frozen=True, slots=True)
class Manifest:
    """
    A whole set. `coherent`: what depends on its stores rested during the copy.

    `undeclared` names the writable mounts that are in no store, and were left out.
    `downtime` is how many seconds the last of what was stopped or paused for it took to
    be healthy again, None where that was not recorded.
    """

    id: str
    project: str
    created: str
    coherent: bool
    compression: str
    encrypted: bool
    engine: str
    tool: str
    stores: tuple[Store, ...]
    undeclared: tuple[str, ...] = ()
    downtime: float | None = None
    schema: int = SCHEMA
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def created_at(self) -> datetime:
        return datetime.fromisoformat(self.created)

    @property
    def in_repository(self) -> bool:
        return self.compression == RESTIC

    @property
    def size(self) -> int:
        return sum(a.size for store in self.stores for a in store.archives)

    def store(self, service: str) -> Store | None:
        return next((s for s in self.stores if s.service == service), None)

    def archive_name(self, key: str) -> str:
        """Return the file of a volume's archive; *key* is one of the model."""
        return f"{key}.{COMPRESSIONS[self.compression]}" + self._seal

    def listing_name(self, key: str) -> str:
        return f"{key}.files.zst" + self._seal

    @property
    def _seal(self) -> str:
        return ".age" if self.encrypted else ""


def written(manifest: Manifest) -> str:
    """Return the manifest as its file holds it, with a hash of itself."""
    data = asdict(manifest)
    del data["raw"]
    return json.dumps(data | {"digest": _digest(data)}, indent=1) + "\n"


def readable(manifest: Manifest) -> str:
    """Return what `written` does; DataError where no reader would take it as it is."""
    text = written(manifest)
    try:
        comes_back = parsed(manifest.id, text) == manifest
    except DataError as refused:
        raise _unwritable(manifest, refused.message) from refused
    if not comes_back or len(text) > MAX_BYTES:
        raise _unwritable(manifest, "its manifest would not be read as it was written")
    return text


def _unwritable(manifest: Manifest, why: str) -> DataError:
    return DataError(
        f"the set {manifest.id} cannot be kept: {why}",
        hint="the sets of before are as they were: invoke backups lists them",
    )


def is_name(text: str) -> bool:
    """Say whether a manifest can hold a service, a volume or a key of that name."""
    return _NAME.fullmatch(text) is not None


def is_version(text: str) -> bool:
    """Say whether a manifest can hold it as a version; "" is an unknown one."""
    return _VERSION.fullmatch(text) is not None


def read(path: Path) -> Manifest:
    """Read a manifest that nobody vouches for; DataError when it cannot be true."""
    name = path.parent.name
    try:
        return _parsed(_undamaged(untrusted.read_json(path, most=MAX_BYTES)))
    except FileNotFoundError:
        raise DataError(
            f"{name} has no manifest", hint="invoke backups lists the sets"
        ) from None
    except (OSError, *UNTRUE) as wrong:
        raise _invalid(name, wrong) from None


def parsed(name: str, text: str) -> Manifest:
    """Read the manifest of the set *name* in a repository, as `read` does."""
    try:
        return _parsed(_undamaged(json.loads(text)))
    except UNTRUE as wrong:
        raise _invalid(name, wrong) from None


def _invalid(name: str, wrong: Exception) -> DataError:
    return DataError(
        f"the manifest of {name} is invalid: {wrong}",
        hint="take another set: invoke backups lists them",
    )


def _undamaged(data: dict[str, Any]) -> dict[str, Any]:
    if data.pop("digest") != _digest(data):
        raise ValueError("its digest does not match its content")
    return data


def _digest(data: Mapping[str, Any]) -> str:
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()


def _parsed(data: Mapping[str, Any]) -> Manifest:
    if data["schema"] not in READABLE:
        raise ValueError(
            f"its schema is {data['schema']!r:.20}, this version reads up to {SCHEMA}"
        )
    stores = tuple(_store(entry) for entry in data["stores"])
    _require_single([store.service for store in stores])
    _require_single([a.key for store in stores for a in store.archives])
    return Manifest(
        id=_matching(SET_ID, data["id"]),
        project=_matching(_NAME, data["project"]),
        created=decode.timestamp(data["created"]).isoformat(),
        coherent=bool(data["coherent"]),
        compression=_one_of((*COMPRESSIONS, RESTIC), data["compression"]),
        encrypted=bool(data["encrypted"]),
        engine=str(data["engine"]),
        tool=str(data["tool"]),
        stores=stores,
        undeclared=tuple(str(text)[:LONGEST] for text in data.get("undeclared", ())),
        downtime=_seconds(data.get("downtime")),
        schema=data["schema"],
        raw=data,
    )


def _require_single(names: Sequence[str]) -> None:
    if len(set(names)) < len(names):
        raise ValueError("it has duplicate entries")


def _store(data: Mapping[str, Any]) -> Store:
    exit_code = data["exit_code"]
    return Store(
        service=_matching(_NAME, data["service"]),
        consistency=_one_of(("native", "stop", "crash"), data["consistency"]),
        image=str(data["image"]),
        image_id=str(data["image_id"]),
        version=_matching(_VERSION, data["version"]),
        exit_code=None if exit_code is None else int(exit_code),
        count=tuple(_amount(n) for n in data["count"]),
        grows=bool(data["grows"]),
        archives=tuple(_archive(entry) for entry in data["archives"]),
        product=str(data.get("product", ""))[:LONGEST],
        recipe=str(data.get("recipe", ""))[:LONGEST],
        downtime=_seconds(data.get("downtime")) or 0.0,
    )


def _archive(data: Mapping[str, Any]) -> Archive:
    kind = _one_of(("volume", "bind"), data.get("kind", "volume"))
    return Archive(
        key=_matching(_NAME, data["key"]),
        volume=_matching(_NAME if kind == "volume" else _FOLDER, data["volume"]),
        kind=kind,
        driver=str(data["driver"]),
        options={str(k): str(v) for k, v in data["options"].items()},
        labels={str(k): str(v) for k, v in data["labels"].items()},
        sha256=_matching(_HASH, data["sha256"]),
        size=_amount(data["size"]),
        plain_sha256=_matching(_HASH, data["plain_sha256"]),
        files=_amount(data["files"]),
        bytes=_amount(data["bytes"]),
        listing_sha256=_matching(_HASH, data["listing_sha256"]),
    )


def _matching(pattern: re.Pattern[str], value: Any) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(f"{value!r:.60} is not a valid name")
    return value


def _one_of(values: Any, value: Any) -> str:
    if value not in tuple(values):
        raise ValueError(f"{value!r:.60} is unknown")
    return str(value)


def _seconds(value: Any) -> float | None:
    """Read a time that sets of the version before do not have."""
    if value is None:
        return None
    if type(value) not in {int, float} or not 0 <= value < MAX_SECONDS:
        raise ValueError(f"{value!r:.60} is not a time")
    return float(value)


def _amount(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{value!r:.60} is not a valid number")
    return value
