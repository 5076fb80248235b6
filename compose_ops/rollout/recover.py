"""Recover from an update that was killed: forward where it was proven, else back."""

from compose_ops.docker.api import Container, Engine, EventStream
from compose_ops.errors import ComposeOpsError, EngineUnavailable
from compose_ops.rollout import steps
from compose_ops.rollout.context import UpdateContext
from compose_ops.rollout.journal import Journal, SlotState
from compose_ops.rollout.undo import finish_proven, put_back, remove_strays


def recover(
    context: UpdateContext, journal: Journal, events: EventStream
) -> tuple[list[SlotState], list[str]]:
    """
    Leave as many containers as there were, each of them serving.

    A slot whose new container was proven and serves keeps it; every other one goes
    back to its old container. What the killed run created without having noted it is
    removed. Returns the slots that went forward, and what could not be repaired, in
    words: that is left to the next plan. Only an engine that does not answer raises.
    """
    remove_strays(context, journal)
    there = {c.id: c for c in context.containers()}
    forward = [p for p in journal.places if _goes_forward(p, there)]
    back = [p for p in journal.places if p not in forward and p.old in there]
    wrong = []
    for slot in forward:
        try:
            _forward(context, slot, there[slot.new])
        except EngineUnavailable:
            raise
        except ComposeOpsError as error:
            wrong.append(error.message)
    wrong += put_back(context, journal, back, events)
    if journal.reference and not forward:
        context.engine.tag(journal.image_id, journal.reference)
    try:
        steps.end_drain(context)
    except EngineUnavailable:
        raise
    except ComposeOpsError as error:
        wrong.append(error.message)
    return forward, wrong


def abandon(engine: Engine, journal: Journal) -> None:
    """Forget an update whose containers are going; a tag that it moved goes back."""
    if journal.reference:
        engine.tag(journal.image_id, journal.reference)
    journal.close()


def _goes_forward(slot: SlotState, there: dict[str, Container]) -> bool:
    new = there.get(slot.new)
    return slot.proven and new is not None and (_serves(new) or slot.old not in there)


def _forward(context: UpdateContext, slot: SlotState, new: Container) -> None:
    if _serves(new):
        steps.admit(context, [new.id])
    finish_proven(context, slot)


def _serves(container: Container) -> bool:
    return container.is_running and container.health != "unhealthy"
