"""Back to the old containers, after a failure or a run that was killed."""

from collections.abc import Sequence

from jimbot_stack.engine import EventStream

from . import gate, gateway, replicas
from .journal import Journal, Place
from .site import Site


def put_back(
    site: Site, journal: Journal, places: Sequence[Place], events: EventStream
) -> None:
    """
    Make the old containers of *places* serve again, and remove the new ones.

    An old one that still serves is left alone. One that was stopped is started apart
    from the gateway and admitted when it is healthy; only then does its successor go,
    unless both may not run at once.
    """
    for place in reversed(places):
        place.proven = False
    journal.note("put back")
    for place in reversed(places):
        alone = bool(place.old) and not _side_by_side(site)
        if place.new and (alone or not place.touched):
            replicas.evict(site, [place.new])
        if place.old and place.touched:
            _serve_again(site, place, events)
            place.touched = False
            journal.note("an old one serves again")
        if place.new:
            replicas.evict(site, [place.new])
        place.new = ""
        journal.note("a new one is gone")


def finish_proven(site: Site, place: Place) -> None:
    """Retire and remove the old container of a place whose new one was proven."""
    old = site.engine.container(place.old) if place.old else None
    if old is None:
        return
    if old.is_running:
        replicas.retire(site, [old.id])
    site.engine.remove(old.id, force=True)


def _serve_again(site: Site, place: Place, events: EventStream) -> None:
    old = site.container(place.old)
    addresses = site.addresses([old.id]) if old.is_running else []
    if addresses:
        gateway.wait_released(
            site.engine, site.gateway, addresses, site.clock, site.grace
        )
    replicas.unpark(site, place)
    gate.wait_healthy(site, [place.old], events)
    replicas.admit(site, [place.old])


def _side_by_side(site: Site) -> bool:
    """Say whether old and new may run at once: what a gateway serves may."""
    return site.traffic is not None
