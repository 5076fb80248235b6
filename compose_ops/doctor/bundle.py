"""
What a maintainer needs to judge a failure, in one archive without secrets.

`collect` reads and changes nothing; the archive is written when its contents have been
shown. Every text goes through the redaction, also what containers were created with.
"""

import gzip
import io
import json
import os
import platform
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import compose_ops
from compose_ops import redaction
from compose_ops.docker.api import Container
from compose_ops.doctor.collect import collect as collect_facts
from compose_ops.doctor.requirements import registered
from compose_ops.doctor.run import Report
from compose_ops.errors import ComposeOpsError, UsageError
from compose_ops.project import secrets
from compose_ops.runtime.context import StackContext
from compose_ops.state import recovery

LOG_LINES = 200
QUICK_SECONDS = 20.0
MODE = 0o600


@dataclass(frozen=True, slots=True)
class Bundle:
    """The files of an archive by name, redacted, and where it is to be written."""

    path: Path
    files: Mapping[str, bytes] = field(repr=False)

    @property
    def sizes(self) -> Mapping[str, int]:
        """The bytes of each file, by name."""
        return {name: len(content) for name, content in self.files.items()}

    def write(self) -> None:
        """
        Write the archive, for its owner alone; UsageError when that is refused.

        A file of that name, even one that was made meanwhile, is never replaced.
        """
        partial = self.path.with_name(f".{self.path.name}.partial")
        with suppress(FileNotFoundError):
            partial.unlink()
        try:
            handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
            with os.fdopen(handle, "wb") as file:
                file.write(_archive(self.path, self.files))
                file.flush()
                os.fsync(file.fileno())
            _name(partial, self.path)
        except OSError as refused:
            raise _refused(self.path, refused.strerror or str(refused)) from refused
        finally:
            with suppress(OSError):
                partial.unlink()


def _name(partial: Path, path: Path) -> None:
    """Give a whole file its name; FileExistsError where that is taken."""
    try:
        os.link(partial, path)
    except FileExistsError:
        raise
    except OSError:  # a filesystem without hard links
        if os.path.lexists(path):
            raise FileExistsError(None, "it exists") from None
        partial.rename(path)


def check_path(path: Path) -> Path:
    """Return where a bundle can be written, absolute; UsageError where it cannot."""
    place = path.expanduser().absolute()
    if os.path.lexists(place):
        raise _refused(place, "it exists")
    if not place.parent.is_dir():
        raise _refused(place, f"there is no folder {place.parent}")
    if not os.access(place.parent, os.W_OK | os.X_OK):
        raise _refused(place, f"this user may not write in {place.parent}")
    return place


def collect(stack: StackContext, report: Report, path: Path) -> Bundle:
    """
    Return what describes a project and its engine now, with *report*.

    What cannot be had is named in `missing.json`, with the reason. Raises UsageError
    for a *path* that exists or cannot be written.
    """
    place = check_path(path)
    containers = (*stack.containers, *stack.one_offs)
    missing: dict[str, str] = {}
    parts = dict(_parts(stack, report, containers))
    values = {name: _value(name, part, missing) for name, part in parts.items()}
    for container in containers:
        secrets.learn_container(container)
    files = {name: _text(value) for name, value in values.items() if value is not None}
    files["missing.json"] = _text(missing)
    return Bundle(place, dict(sorted(files.items())))


Part = Callable[[], Any]


def _parts(
    stack: StackContext, report: Report, containers: tuple[Container, ...]
) -> Iterator[tuple[str, Part]]:
    """Yield the name of each file and what returns its content."""
    engine = stack.engine
    yield "versions.json", lambda: _versions(stack)
    yield "doctor.json", report.as_json
    yield "model.json", lambda: stack.model.raw
    yield "journals.json", lambda: _journals(stack)
    yield "disks.json", lambda: _disks(stack)
    yield "engine.json", lambda: stack.info.raw
    own = stack.project
    yield "networks.json", lambda: [asdict(n) for n in engine.networks(project=own)]
    yield "volumes.json", lambda: [asdict(v) for v in engine.volumes(project=own)]
    for container in containers:
        logs = partial(engine.logs, container.id, tail=LOG_LINES)
        yield f"containers/{container.name}.json", partial(dict, container.raw)
        yield f"logs/{container.name}.txt", logs


def _versions(stack: StackContext) -> dict[str, Any]:
    """Return the versions; those of an engine that does not answer are empty."""
    engine, plugins = "", dict[str, str]()
    with suppress(ComposeOpsError):
        plugins = dict(stack.plugins)
    with suppress(ComposeOpsError):
        engine = stack.info.version
    return {
        "compose-ops": compose_ops.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "engine": engine,
        "plugins": plugins,
        "mode": str(stack.mode),
    }


def _journals(stack: StackContext) -> list[dict[str, Any]]:
    """Return kind, step and age of the tasks that did not end; not their facts."""
    return [
        {
            "kind": left.kind,
            "step": left.step,
            "age": left.age,
            "services": left.services,
            "problem": left.problem,
        }
        for left in recovery.pending(stack)
    ]


def _disks(stack: StackContext) -> dict[str, Any]:
    """Return the room on the disks as doctor sees it, and the engine's own figures."""
    registered()
    found = collect_facts(["disks"], {"stack": stack, "scope": ()})
    words = ("system", "df", "--format", "{{json .}}")
    output = stack.engine.docker(*words, timeout=QUICK_SECONDS)
    reason = found.missing.get("disks")
    return {
        "disks": [asdict(disk) for disk in found.values.get("disks", ())],
        "not measured": reason.reason if reason else "",
        "engine": [
            json.loads(line)
            for line in output.stdout.splitlines()
            if line.startswith("{")
        ],
    }


def _value(name: str, part: Part, missing: dict[str, str]) -> Any:
    try:
        return part()
    except ComposeOpsError as refused:
        missing[name] = refused.message
    except OSError as refused:
        missing[name] = str(refused)
    return None


def _text(value: Any) -> bytes:
    if isinstance(value, str):
        return redaction.clean(value).encode(errors="replace")
    return redaction.json_text(value, ensure_ascii=False).encode(errors="replace")


def _archive(path: Path, files: Mapping[str, bytes]) -> bytes:
    """Return a tar.gz of the files, below a folder of the archive's name."""
    folder = path.name.removesuffix(".tgz").removesuffix(".gz").removesuffix(".tar")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size, entry.mode = len(content), MODE
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(packed.getvalue())


def _refused(path: Path, reason: str) -> UsageError:
    return UsageError(
        f"the bundle {path} cannot be written: {reason}",
        hint="name a new file in a folder of yours: --bundle doctor.tar.gz",
    )
