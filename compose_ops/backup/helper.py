"""The helper image and its containers: each has one folder with data, one archive."""

import base64
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from compose_ops.backup import data_mounts, ssh_address
from compose_ops.backup.addresses import RepositoryAddress
from compose_ops.backup.helper_tag import CONTEXT, REPOSITORY_CONTEXT, repository_image
from compose_ops.backup.helper_tag import image as image  # noqa: PLC0414
from compose_ops.backup.streams import Streams
from compose_ops.console import say
from compose_ops.docker.api import Engine, InteractiveRun, RunSpec, mount
from compose_ops.errors import (
    ConfigurationError,
    DataError,
    EngineError,
    EngineUnavailable,
)
from compose_ops.project.compat import old_name
from compose_ops.project.labels import before
from compose_ops.runtime.context import StackContext
from compose_ops.runtime.setup_step import SetupStep

PROJECT_LABEL = "compose-ops.helper"
RUN_LABEL = "compose-ops.run"
HOST_LABEL = "compose-ops.repository-host"
READING = ("DAC_READ_SEARCH",)
HOLDING = ("CHOWN", "DAC_READ_SEARCH")
WRITING = ("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "SETFCAP")
# restic runs as the owner of a repository in a folder, who may read every volume.
BECOMING = ("SETGID", "SETUID")
MAX_PROCESSES = 64
MAX_PROCESSES_OF_RESTIC = 256
PASSWORD = "/password"  # noqa: S105 - where its file is mounted
OTHER_PASSWORD = "/other-password"  # noqa: S105 - where its file is mounted
SECONDS_TO_ANSWER = 5.0
HARMLESS = frozenset(
    {
        *("measure", "weigh", "copy", "reread", "check", "check list", "stage"),
        *("estimate", "open", "keep", "read", "list", "locks"),
    }
)
"""Requests, also to a repository, that fail without a change to anybody's data."""

Report = Callable[[int], None]
Stop = Callable[[], Mapping[str, bytes]]
"""Ends a store's session, and returns the files that belong to the copy."""


def build(engine: Engine, bases: Sequence[str]) -> None:
    """Build the image when it is not there, on the first of *bases* that is here."""
    if engine.image(image()) is not None:
        return
    here = (base for base in bases if engine.image(base) is not None)
    engine.build_image(CONTEXT, tag=image(), arguments={"BASE": next(here, bases[-1])})


def build_repository(engine: Engine, bases: Sequence[str]) -> None:
    """Build the image with restic, and the one that it stands on."""
    build(engine, bases)
    if engine.image(repository_image()) is None:
        arguments = {"BASE": image()}
        engine.build_image(
            REPOSITORY_CONTEXT, tag=repository_image(), arguments=arguments
        )


def missing(engine: Engine | None, bases: Sequence[str]) -> Iterator[SetupStep]:
    """Yield the building of the image, where it is missing and can be built."""
    if engine is None or engine.image(image()) is not None:
        return
    if any(engine.image(base) for base in bases) or engine.registry_answers(
        bases[-1], timeout=SECONDS_TO_ANSWER
    ):
        yield SetupStep(
            "build the helper image that reads and writes volumes",
            partial(build, engine, bases),
        )


def require(stack: StackContext) -> str:
    """
    Return the image's name; it is built again where it was pruned and a base is here.

    Raises ConfigurationError where it is not there and no base is.
    """
    name, bases = image(), stack.config.backup.helper_base
    if stack.engine.image(name) is not None:
        return name
    if not stack.dry and any(stack.engine.image(base) for base in bases):
        say(f"building {name}, which was removed")
        build(stack.engine, bases)
    else:
        raise ConfigurationError(
            f"the helper image {name} that reads and writes volumes is not built, and "
            f"none of its bases is here: {', '.join(bases)}",
            hint="invoke init builds it, on one of the images that "
            "backup.helper_base of compose-ops.toml names",
        )
    return name


def missing_repository(
    engine: Engine | None, bases: Sequence[str]
) -> Iterator[SetupStep]:
    """Yield the building of the image with restic, where it is missing."""
    if engine is not None and engine.image(repository_image()) is None:
        yield SetupStep(
            "build the helper image with restic",
            partial(build_repository, engine, bases),
        )


def require_repository(stack: StackContext) -> str:
    """
    Return the name of the image with restic; it is built again as `require` does.

    Raises ConfigurationError where that fails: its base's apt needs a network.
    """
    name = repository_image()
    if stack.engine.image(name) is not None:
        return name
    hint = "invoke init builds it, of what the base image's apt offers over a network"
    if stack.dry:
        raise ConfigurationError("the helper image with restic is not built", hint=hint)
    require(stack)
    say(f"building {name}, which is not here")
    try:
        build_repository(stack.engine, stack.config.backup.helper_base)
    except EngineUnavailable:
        raise
    except EngineError as failed:
        raise ConfigurationError(
            f"the helper image with restic is not here, and {failed.message}",
            hint=hint,
            detail=failed.detail,
        ) from failed
    return name


@dataclass(frozen=True, slots=True)
class HelperJob:
    """
    What a helper container gets: a folder with data, and files to read or write.

    `volume` is a volume's name, or the path of a folder of the host. With `held` it may
    give files that a store's session printed to the owner of the data. With a
    `repository` it is one of the image with restic; `source` is one to copy from,
    and `other_password` a file for a change of its passwords.
    """

    run: str
    label: str
    volume: str = ""
    archive: Path | None = None
    listing: Path | None = None
    fills: bool = False
    changes: bool = False
    held: bool = False
    repository: RepositoryAddress | None = None
    source: RepositoryAddress | None = None
    other_password: Path | None = None


class HelperRefusal(DataError):  # noqa: N818 - names an outcome
    """A request that the helper refused; `kind` is its word for the cause."""

    kind = ""


@dataclass(slots=True)
class Helper:
    """
    A helper container at work on one volume.

    `streams` carry its files where the engine is on another machine.
    """

    conversation: InteractiveRun
    subject: str
    streams: Streams | None = None
    repository: RepositoryAddress | None = None
    begun: str = ""

    def begin(self, do: str, **words: Any) -> None:
        """Let it start on a request; `finish` returns its result."""
        self.begun = str(words.get("act", do))
        if self.streams is None:
            self.conversation.send(json.dumps({"do": do, **words}))
            return
        streams = dict(self.streams.of(do))
        self.conversation.send(json.dumps({"do": do, "streams": streams, **words}))
        self.streams.begin(do)

    def begin_at_repository(self, act: str, **words: Any) -> None:
        """Let it start on a request about its repository."""
        kept = self.repository
        about = {"url": kept.url, "options": kept.options} if kept else {}
        self.begin("repository", act=act, repository=about, **{"with": words})

    def finish(
        self, report: Report = lambda _size: None, stop: Stop = dict
    ) -> dict[str, Any]:
        """
        Return the result of what was begun; DataError when it failed.

        *stop* is called when all but the end of a held store's data was read.
        """
        answer: dict[str, Any] = {}
        while not answer.keys() & {"failed", "done"}:
            answer = _answer(self.conversation.receive())
            if "progress" in answer:
                report(int(answer["progress"]))
            elif "waiting" in answer:
                given = {
                    path: base64.b64encode(data).decode()
                    for path, data in stop().items()
                }
                self.conversation.send(json.dumps({"files": given}))
        if self.streams:
            self.streams.end()
        if "failed" in answer:
            is_harmless = self.begun in HARMLESS
            refusal = HelperRefusal(
                f"{self.subject}: {answer['failed']}",
                hint="nothing of yours was changed by this" if is_harmless else "",
            )
            refusal.kind = str(answer.get("kind", ""))
            raise refusal
        return dict(answer["done"])

    def at_repository(
        self, act: str, report: Report = lambda _s: None, **words: Any
    ) -> Any:
        """Ask about its repository; HelperRefusal says what restic refuses."""
        self.begin_at_repository(act, **words)
        return self.finish(report)

    def ask(self, do: str, report: Report = lambda _s: None, **words: Any) -> Any:
        self.begin(do, **words)
        return self.finish(report)


@contextmanager
def helper(stack: StackContext, work: HelperJob) -> Iterator[Helper]:
    """
    Start a helper container for *work*; it is gone when the block ends.

    Raises DataError when its volume is not there, which docker would make.
    """
    if work.volume and not data_mounts.exists(stack, work.volume):
        what = "folder" if data_mounts.is_path(work.volume) else "volume"
        raise DataError(
            f"there is no {what} {work.volume}", hint="invoke up makes what is missing"
        )
    how = spec(stack, work)
    if stack.engine.endpoint().is_local:
        with stack.engine.run_interactive(how) as conversation:
            yield Helper(conversation, work.label, repository=work.repository)
        return
    files = {"archive": work.archive, "listing": work.listing}
    given = {name: file for name, file in files.items() if file}
    reader, writer = os.pipe()
    with (
        os.fdopen(reader, "rb") as output,
        os.fdopen(writer, "wb") as sink,
        stack.engine.run_interactive(how, output=sink) as conversation,
    ):
        sink.close()  # the docker client has it: its end is then the end
        yield Helper(conversation, work.label, Streams(conversation, output, given))


def _answer(line: str) -> dict[str, Any]:
    """Read an answer; {} for a line that a program in the helper wrote beside them."""
    try:
        return dict(json.loads(line))
    except (ValueError, TypeError):
        return {}


def spec(stack: StackContext, work: HelperJob) -> RunSpec:
    """Return how the container runs: no network, one volume, few capabilities."""
    # Tasks that only read take no lock: two of them may read the same archive.
    what = f"{work.volume} {work.archive} {work.listing} {os.getpid()}"
    short = sha256(what.encode()).hexdigest()[:8]
    mounts = [_data(work.volume, writable=work.changes)] if work.volume else []
    is_local = stack.engine.endpoint().is_local
    kept = work.repository
    if kept:
        mounts += _of_repository(kept)
    if work.source and work.source.folder:
        mounts.append(_file(work.source.folder, "/source", writable=True))
        mounts.append(_file(work.source.password, "/source-password", writable=False))
    if work.other_password:
        mounts.append(_file(work.other_password, OTHER_PASSWORD, writable=False))
    if work.archive and is_local:
        mounts.append(_file(work.archive, "/archive", writable=work.fills))
    if work.listing and is_local:
        mounts.append(_file(work.listing, "/listing", writable=work.fills))
    capabilities = WRITING if work.changes else HOLDING if work.held else READING
    # ssh runs for users that the image knows: root reads and locks the source then.
    as_root = work.changes or bool(kept and kept.ssh and work.source)
    if as_root and not work.changes:
        capabilities = (*capabilities, "DAC_OVERRIDE")
    host = host_name(stack, short) if kept else ""
    return RunSpec(
        image=repository_image() if kept else image(),
        command=(),
        name=f"{stack.project}-helper-{work.run}-{short}",
        network="bridge" if kept and not kept.folder else "none",
        mounts=mounts,
        tmpfs=[f"/tmp:size={'512m' if kept else '16m'}"],  # noqa: S108 - inside it
        environment={"COMPOSE_OPS_RESERVED_BEFORE": old_name("volume", "reserved")}
        | ({} if is_local else {"COMPOSE_OPS_STREAMED": "1"})
        | ({"COMPOSE_OPS_WRITES": "1"} if kept and as_root else {}),
        capabilities=(*capabilities, *(BECOMING if kept else ())),
        labels={PROJECT_LABEL: stack.project, RUN_LABEL: work.run}
        | ({HOST_LABEL: host} if kept else {}),
        extra=[
            *("--pids-limit", str(MAX_PROCESSES_OF_RESTIC if kept else MAX_PROCESSES)),
            *(("--hostname", host) if kept else ()),
        ],
    )


def host_name(stack: StackContext, short: str = "") -> str:
    """Return the name by which restic's locks name a helper of this engine."""
    engine = sha256(stack.info.id.encode()).hexdigest()[:12]
    return f"compose-ops-{engine}-{short}"


def _of_repository(kept: RepositoryAddress) -> list[str]:
    """Return the mounts of a repository: its folder, its password, credentials."""
    mounts = [_file(kept.password, PASSWORD, writable=False)]
    if kept.folder:
        mounts.append(_file(kept.folder, "/repository", writable=True))
    if kept.credentials:
        mounts.append(_file(kept.credentials, "/credentials", writable=False))
    if kept.ssh and kept.ssh.key:
        mounts.append(_file(kept.ssh.key, ssh_address.KEY, writable=False))
    if kept.ssh and kept.ssh.known_hosts.exists():
        hosts = kept.ssh.known_hosts
        mounts.append(_file(hosts, ssh_address.KNOWN_HOSTS, writable=False))
    return mounts


def remove_strays(stack: StackContext, run: str) -> None:
    """Remove the helper containers that a run left which died; no other task's."""
    labels = {PROJECT_LABEL: stack.project, RUN_LABEL: run}
    for written in (labels, before(labels)):
        left = stack.engine.containers(
            filters=[f"label={key}={value}" for key, value in written.items()]
        )
        if left:
            stack.engine.remove(*(c.id for c in left), force=True, volumes=True)


def _data(source: str, *, writable: bool) -> str:
    if data_mounts.is_path(source):
        return _file(Path(source), "/volume", writable=writable)
    fields = ["type=volume", f"src={source}", "dst=/volume", "volume-nocopy"]
    return mount(*fields, *([] if writable else ["readonly"]))


def _file(path: Path, target: str, *, writable: bool) -> str:
    fields = ["type=bind", f"src={path}", f"dst={target}"]
    return mount(*fields, *([] if writable else ["readonly"]))
