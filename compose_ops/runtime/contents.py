"""
Whether containers run on the present contents of secrets, configs and mounted files.

Compose's hash holds the names of these files alone. What a container was started with
is remembered as an HMAC of each content, whose key lies in the state as well: from a
plain hash a weak password could be guessed. A container that another tool started has
no record: its contents are unknown, which is said once and is no reason to recreate.
"""

import hmac
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

from compose_ops.console import say
from compose_ops.docker.api import Container
from compose_ops.errors import ComposeOpsError
from compose_ops.project import contents
from compose_ops.project.contents import Content
from compose_ops.runtime.context import StackContext
from compose_ops.state import fingerprint
from compose_ops.state.store import StateFile

FILE = "contents.json"

Prints = Mapping[str, str]
"""The fingerprint of each content by its title, "" for one that cannot be read."""


@dataclass(frozen=True, slots=True)
class StartedWith:
    """
    What a container had at the start that `started` names (RFC 3339).

    Without `is_known` the prints were taken later: what is compared are changes since.
    """

    service: str
    started: str
    prints: Mapping[str, str]
    is_known: bool = True


@dataclass(frozen=True, slots=True)
class Records:
    """The key of the fingerprints, in hex, and the containers by id."""

    key: str
    containers: Mapping[str, StartedWith] = field(default_factory=dict)

    def __post_init__(self) -> None:
        fingerprint.key_in(self.key)


STATE_FILE = StateFile(
    FILE,
    Records,
    without="it is unknown which contents of secrets and configs containers have",
    is_cache=True,
)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What of a container's contents was `replaced`, and whether some are unknown."""

    replaced: tuple[str, ...] = ()
    is_unknown: bool = False

    @property
    def causes(self) -> tuple[str, ...]:
        """Why the container is not current, in words."""
        return tuple(f"{title} was replaced" for title in self.replaced)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The contents at one moment, what containers ran then, and their records."""

    records: Records
    contents: Mapping[str, Mapping[str, Content]]
    prints: Mapping[str, Prints]
    starts: Mapping[str, str]


def look(stack: StackContext) -> Snapshot:
    """Return the contents as they are now."""
    records = STATE_FILE.load(stack.state) or Records(fingerprint.new_key())
    found = _contents(stack)
    key = fingerprint.key_in(records.key)
    return Snapshot(
        records,
        found,
        {
            service: {title: _print(key, one) for title, one in of.items()}
            for service, of in found.items()
        },
        {c.id: _start(c) for c in stack.containers},
    )


@contextmanager
def remembered(stack: StackContext) -> Iterator[Snapshot]:
    """
    Yield the contents before a change, and note afterwards what containers run on.

    However the change ends: what it has started by then has these contents.
    """
    seen = look(stack)
    if seen.contents and STATE_FILE.load(stack.state) is None:
        STATE_FILE.save(stack.state, seen.records)
    try:
        yield seen
    except BaseException:
        if seen.contents:
            with suppress(ComposeOpsError, OSError):
                remember(stack, seen, stack.refresh())
        raise
    if seen.contents:
        remember(stack, seen, stack.refresh())


def judge(seen: Snapshot, containers: Iterable[Container]) -> dict[str, Judgement]:
    """Return what is to be said of the contents of each container, by its id."""
    return {c.id: _judged(seen, c) for c in containers if seen.contents.get(c.service)}


def outdated(seen: Snapshot, containers: Iterable[Container]) -> dict[str, str]:
    """
    Return the services with a replaced content, and what that is.

    A stopped container reads its files at its start; what it was created with counts.
    """
    judged = judge(seen, there := list(containers))
    found: dict[str, str] = {}
    for container in there:
        known = seen.contents.get(container.service, {})
        replaced = tuple(
            title
            for title in judged.get(container.id, Judgement()).replaced
            if container.is_running or known[title].file is None
        )
        if replaced:
            causes = Judgement(replaced).causes
            found.setdefault(container.service, ", ".join(causes))
    return found


def remember(
    stack: StackContext, seen: Snapshot, containers: Iterable[Container]
) -> None:
    """
    Note what *containers* run on, of all services that they are of.

    *seen* was looked at before the task changed anything: what was started since has
    those contents. What ran before without a record is said to be unknown, once.
    """
    there = [c for c in containers if c.started and seen.contents.get(c.service)]
    services = {c.service for c in there}
    # Updates that the task delegated have noted theirs meanwhile.
    records = STATE_FILE.load(stack.state) or seen.records
    if records.key != seen.records.key:
        return
    kept = {i: r for i, r in records.containers.items() if r.service not in services}
    unknown = dict[str, None]()
    for container in there:
        found = _record(seen, records, container)
        kept[container.id] = found
        is_whole = found.is_known and "" not in found.prints.values()
        if not is_whole and container.id not in records.containers:
            unknown[container.service] = None
    if unknown:
        say(
            f"{', '.join(unknown)}: it is unknown which contents of secrets, configs "
            "and mounted files these were started with; changes from now on are seen"
        )
    if kept != records.containers:
        STATE_FILE.save(stack.state, replace(records, containers=kept))


def _contents(stack: StackContext) -> dict[str, dict[str, Content]]:
    """Return the contents of each service that has any, as the engine sees them."""
    values = stack.values(contents.variables(stack.model))
    found = {
        name: {c.title: c for c in contents.of_service(stack.model, name, values)}
        for name in stack.model.services
    }
    has_files = any(c.file for of in found.values() for c in of.values())
    if has_files and not stack.engine.endpoint().is_local:
        # The files that are mounted are those of the engine's host.
        found = {
            name: {title: c for title, c in of.items() if c.file is None}
            for name, of in found.items()
        }
    return {name: of for name, of in found.items() if of}


def _print(key: bytes, content: Content) -> str:
    read = content.read()
    return "" if read is None else hmac.digest(key, read, "sha256").hex()


def _start(container: Container) -> str:
    return container.started.isoformat() if container.started else ""


def _judged(seen: Snapshot, container: Container) -> Judgement:
    record = seen.records.containers.get(container.id)
    if record is None:
        return Judgement(is_unknown=True)
    now = seen.prints[container.service]
    same_start = record.started == _start(container)
    replaced = tuple(
        title
        for title, content in seen.contents[container.service].items()
        if (then := record.prints.get(title))
        and now[title]
        and then != now[title]
        # What was started since reads its files anew.
        and (same_start or content.file is None or _is_newer(content, container))
    )
    blind = any(not record.prints.get(title) or not now[title] for title in now)
    return Judgement(
        replaced, is_unknown=not replaced and (blind or not record.is_known)
    )


def _is_newer(content: Content, container: Container) -> bool:
    started = container.started
    return started is not None and content.changed_at() > started.timestamp()


def _record(seen: Snapshot, records: Records, container: Container) -> StartedWith:
    before = records.containers.get(container.id)
    started, now = _start(container), seen.prints[container.service]
    is_same = before is not None and before.started == started
    if before is not None and (is_same or _judged(seen, container).replaced):
        return before
    is_new = container.id not in seen.starts
    is_restarted = seen.starts.get(container.id) != started
    texts = any(c.file is None for c in seen.contents[container.service].values())
    return StartedWith(
        container.service,
        started,
        now,
        is_known=is_new
        or (is_restarted and not texts)
        or (before is not None and before.is_known),
    )
