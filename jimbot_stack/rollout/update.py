"""The rolling update of one service, from the plan to the proof."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from jimbot_stack import checks
from jimbot_stack.change import changing
from jimbot_stack.console import say
from jimbot_stack.engine import Engine, EventStream
from jimbot_stack.errors import (
    ConfigurationError,
    RolledBack,
    StackError,
    UnhealthyError,
    UsageError,
)
from jimbot_stack.health import Clock
from jimbot_stack.model import Model
from jimbot_stack.stack import Stack

from . import deployed, gate, images, journal, recovery, site
from .display import shown
from .failure import undone
from .figures import Proof
from .images import Choice
from .plan import Plan, Wanted, plan
from .policy import policy
from .probe import TrafficProbe
from .readiness import Shortage, check, measured, probe_of, require_possible
from .roll import Roll
from .settle import settle
from .site import Site

CLOCK = Clock(now=time.monotonic, sleep=time.sleep)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an update ended; `result` is updated, nothing-to-do or planned."""

    service: str
    result: str
    plan: Plan
    proof: Proof | None
    healthy_after: tuple[float, ...]
    seconds: float

    def as_json(self) -> dict[str, object]:
        """Return the documented form of `invoke rolling-update --json`."""
        return {
            "service": self.service,
            "result": self.result,
            "order": self.plan.policy.order,
            "plan": [
                {"slot": slot.name, "causes": list(slot.causes)}
                for slot in self.plan.changing
            ],
            "proof": self.proof.as_json() if self.proof else None,
            "healthy_after": list(self.healthy_after),
            "seconds": round(self.seconds, 2),
        }


@dataclass(frozen=True, slots=True)
class Wish:
    """
    What the caller wants: an image, a build, or every replica replaced and why.

    `build` returns to what the files say; `make` makes the image of what is deployed.
    """

    image: str = ""
    build: bool = False
    make: Callable[[], None] | None = None
    choice: Choice | None = None
    forced: str = ""
    is_rollback: bool = False


def update(
    stack: Stack, service: str, wish: Wish, *, timeout: int | None = None
) -> Outcome:
    """
    Replace the containers of *service* as its `update_config` says.

    Raises UsageError, ConfigurationError or UnhealthyError before anything changed;
    RolledBack, with the new container's evidence, when the old version serves again.
    """
    if wish.image and wish.build:
        raise UsageError(
            "--image and --build exclude each other", hint="give one of them"
        )
    shortage = _shortage(stack, service)
    checks.require(stack, checks.ROLLOUT, services=(service,))
    if not (wish.image or wish.build or wish.choice):
        for line in deployed.read(stack.state).notes(service):
            say(line)
    if stack.dry:
        return _prepared(stack, service, wish, timeout, shortage)
    with changing(stack, "invoke rolling-update"):
        return _prepared(stack, service, wish, timeout, shortage)


def perform(
    stack: Stack, service: str, wish: Wish, *, timeout: int | None = None
) -> Outcome:
    """Do what `update` does, for a caller that has checked and is `changing`."""
    return _prepared(stack, service, wish, timeout, _shortage(stack, service))


def clean_up(stack: Stack) -> None:
    """
    Put right what a killed update left; does nothing where none did.

    Where the gateway does not run nobody is served, and nothing is waited for there.
    """
    left = journal.read(stack.state)
    if left is None:
        return
    say(f"an update of {left.service} was killed at: {left.step}; cleaning up")
    engine = images.candidate(stack, left.service, None)
    model = Model(engine.model())
    if left.service not in model.services:
        recovery.abandon(engine, left)
        return
    place = site.site(
        stack, model, engine, left.service, limit=None, clock=CLOCK, served=False
    )
    with _events(place) as events:
        recovery.recover(place, left, events)


def _shortage(stack: Stack, service: str) -> Shortage:
    described = stack.model.service(service)
    surge = policy(described, stack.model.replicas(service)).parallelism
    total = stack.info.memory
    return measured(
        stack.engine, stack.model, total=total, service=service, surge=surge
    )


def _prepared(
    stack: Stack, service: str, wish: Wish, timeout: int | None, shortage: Shortage
) -> Outcome:
    begin = CLOCK.now()
    book = journal.Journal(stack.state / journal.FILE, service, before=[])
    with _tag_returns(stack.engine, book):
        choice = _choice(stack, service, wish, book)
        engine = images.candidate(stack, service, choice)
        # What is deployed stays: that is the model that is known already.
        model = stack.model if choice is None else Model(engine.model())
        place = site.site(stack, model, engine, service, limit=timeout, clock=CLOCK)
        planned = _plan(place, engine, model, service, wish, dry=stack.dry)
        if stack.dry and not planned.is_empty:
            require_possible(model, planned, shortage)
        if stack.dry or planned.is_empty:
            return _unchanged(stack, planned, choice, book, wish)
        probe = probe_of(place)
        try:
            check(place, model, planned, probe, shortage)
        except BaseException:
            if probe:
                probe.stop()
            raise
    name = _name(stack, model, planned)
    if name:
        engine = images.candidate(stack, service, choice, nameless=True)
        place = replace(place, engine=engine)
    roll, proof = _carry_out(place, planned, book, probe, name)
    settle(
        stack,
        service,
        choice,
        planned,
        is_rollback=wish.is_rollback,
        nameless=bool(name),
    )
    book.close()
    _require_success(roll, proof)
    healthy = tuple(round(s, 2) for s in roll.healthy_after.values())
    spent = CLOCK.now() - begin
    return Outcome(service, "updated", planned, proof, healthy, spent)


def _unchanged(
    stack: Stack,
    planned: Plan,
    choice: Choice | None,
    book: journal.Journal,
    wish: Wish,
) -> Outcome:
    """Record what was asked for where nothing has to move for it."""
    service = planned.service
    if stack.dry:
        result = "nothing-to-do" if planned.is_empty else "planned"
        return Outcome(service, result, planned, None, (), 0.0)
    settle(stack, service, choice, planned, is_rollback=wish.is_rollback)
    if book.step:
        book.close()
    return Outcome(service, "nothing-to-do", planned, None, (), 0.0)


def _choice(
    stack: Stack, service: str, wish: Wish, book: journal.Journal
) -> Choice | None:
    if wish.build:
        files = replace(stack, engine=images.candidate(stack, service, Choice()))
        _make(files, service, book, partial(images.made, files, service))
        return Choice()
    if wish.make:
        _make(stack, service, book, wish.make)
    if not wish.image:
        return wish.choice
    if stack.dry:
        return images.planned(stack, service, wish.image)
    return images.given(stack, service, wish.image)


def _name(stack: Stack, model: Model, planned: Plan) -> str:
    """Return the container name that the compose files fix, "" for none."""
    fixed = model.service(planned.service).get("container_name")
    if fixed or not deployed.read(stack.state).of(planned.service).nameless:
        return str(fixed or "")
    return next((slot.old.name for slot in planned.changing if slot.old), "")


@contextmanager
def _tag_returns(engine: Engine, book: journal.Journal) -> Iterator[None]:
    """Give the tag that a build moved back to its image when the update is refused."""
    try:
        yield
    except (StackError, KeyboardInterrupt):
        if book.step:
            engine.tag(book.image_id, book.reference)
            book.close()
        raise


def _plan(
    place: Site, engine: Engine, model: Model, service: str, wish: Wish, *, dry: bool
) -> Plan:
    reference = wish.image or images.reference_of(model, service)
    found = engine.image(reference)
    forced = wish.forced
    if found is None and dry and wish.image:
        images.require_pullable(engine, reference)
        forced = f"image {reference}, which would be pulled first"
    elif found is None:
        raise ConfigurationError(
            f"{service} has no image: {reference} is not here",
            hint=f"invoke rolling-update --service {service} --build makes it",
        )
    replicas = model.replicas(service)
    wanted = Wanted(
        replicas,
        reference,
        image_id=found.id if found else "",
        config_hash=engine.config_hashes()[service] if found else "",
    )
    return plan(
        service,
        wanted,
        policy(model.service(service), replicas),
        place.containers(),
        admitted_by=place.network,
        forced=forced,
    )


def _make(
    stack: Stack, service: str, book: journal.Journal, make: Callable[[], None]
) -> None:
    reference = images.reference_of(stack.model, service)
    before = stack.engine.image(reference)
    if stack.dry:
        if stack.model.service(service).get("build"):
            say(f"would build {service} first; the plan is without its result")
        return
    if before:
        book.reference, book.image_id = reference, before.id
        book.note("build")
    make()


def _carry_out(
    place: Site,
    planned: Plan,
    book: journal.Journal,
    probe: TrafficProbe | None,
    name: str,
) -> tuple[Roll, Proof | None]:
    book.before = planned.found
    judged = probe if probe and not probe.failure() else None
    with _events(place) as events, shown(planned.service, probe) as note:
        roll = Roll(place, planned, book, events, judged, note, name)
        if probe:
            probe.mark_change()
        try:
            roll.run()
            roll.finish()
        except (StackError, KeyboardInterrupt) as error:
            raise undone(roll, probe, error) from error
    return roll, probe.stop() if probe else None


def _require_success(roll: Roll, proof: Proof | None) -> None:
    service = roll.plan.service
    wrong: StackError | None = None
    if roll.failure:
        wrong = RolledBack(
            f"{roll.failed} of {len(roll.plan.changing)} replicas of {service} kept "
            f"the old version: {roll.failure.message}",
            hint=roll.failure.hint,
            detail=roll.failure.detail,
        )
    elif proof and roll.probe and proof.failed:
        wrong = UnhealthyError(
            f"{service} was updated, but not without loss: {proof.line()}",
            hint=f"invoke rollback --service {service} goes back",
            detail="\n".join(proof.failures),
        )
    if wrong:
        wrong.proof = proof
        raise wrong


@contextmanager
def _events(place: Site) -> Iterator[EventStream]:
    labels = (
        f"label=com.docker.compose.project={place.project}",
        f"label=com.docker.compose.service={place.service}",
    )
    with place.engine.events("type=container", *labels, *gate.EVENTS) as stream:
        yield stream
