"""Back to the old containers, after a failure or a run that was killed."""

from collections.abc import Sequence
from contextlib import suppress

from compose_ops.docker.api import Container, EventStream
from compose_ops.errors import ComposeOpsError, EngineUnavailable, UnhealthyError
from compose_ops.rollout import health_gate, steps
from compose_ops.rollout.context import UpdateContext
from compose_ops.rollout.journal import Journal, SlotState
from compose_ops.rollout.proxy import haproxy


def put_back(
    site: UpdateContext,
    journal: Journal,
    places: Sequence[SlotState],
    events: EventStream,
) -> list[str]:
    """
    Make the old containers of *places* serve again, and remove the new ones.

    An old one that still serves is left alone. One that was stopped is started apart
    from the gateway and admitted when it is healthy; only then does its successor go,
    unless both may not run at once. Returns what could not be put back, in words; only
    an engine that does not answer raises.
    """
    proven = [place for place in places if place.proven]
    for place in places:
        place.proven = False
    journal.note("put back")
    wrong = []
    for place in reversed(places):
        was_proven = any(place is one for one in proven)
        try:
            _put_back(site, journal, place, events, was_proven=was_proven)
        except EngineUnavailable:
            raise
        except ComposeOpsError as error:
            wrong.append(error.message)
    return wrong


def remove_strays(site: UpdateContext, journal: Journal) -> None:
    """Remove what a step that did not end created, and so did not note."""
    there = {c.id for c in site.containers()}
    # Where none of what it knew is left, others were at work since.
    if journal.known & there:
        steps.evict(site, sorted(there - journal.known))


def finish_proven(site: UpdateContext, place: SlotState) -> None:
    """Retire and remove the old container of a place whose new one was proven."""
    old = site.engine.container(place.old) if place.old else None
    if old is None:
        return
    if old.is_running:
        # What still holds it had longer than stop_grace_period.
        with suppress(UnhealthyError):
            steps.retire(site, [old.id])
        site.engine.stop(old.id)
    site.engine.remove(old.id, force=True)


def _put_back(
    site: UpdateContext,
    journal: Journal,
    place: SlotState,
    events: EventStream,
    *,
    was_proven: bool,
) -> None:
    old = site.engine.container(place.old) if place.old else None
    if place.old and old is None:
        raise UnhealthyError(f"{place.name} is gone: its successor stays")
    alone = old is not None and not _side_by_side(site)
    if place.new and (alone or not place.touched):
        _evict(site, place)
    if old and place.touched:
        try:
            _serve_again(site, place, old, events)
        except EngineUnavailable:
            raise
        except ComposeOpsError:
            # Rather a proven one of the new version than a replica less.
            if was_proven and place.new:
                steps.evict(site, [old.id])
            else:
                _evict(site, place)
            journal.note("an old one does not serve again")
            raise
        place.touched = False
        journal.note("an old one serves again")
    _evict(site, place)
    journal.note("a new one is gone")


def _evict(site: UpdateContext, place: SlotState) -> None:
    if place.new:
        steps.evict(site, [place.new], trusted=not place.failed)
    place.new = ""


def _serve_again(
    site: UpdateContext, place: SlotState, old: Container, events: EventStream
) -> None:
    addresses = site.addresses([old.id]) if old.is_running else []
    if addresses:
        haproxy.wait_released(
            site.engine, site.gateway, addresses, site.clock, site.grace
        )
    steps.unpark(site, place)
    if place.served:
        health_gate.wait_healthy(site, [place.old], events, who="old")
        steps.admit(site, [place.old])
    elif place.attached:
        steps.attach(site, [place.old])


def _side_by_side(site: UpdateContext) -> bool:
    """Say whether old and new may run at once: what a gateway serves may."""
    return site.traffic is not None
