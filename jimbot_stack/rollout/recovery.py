"""Clean up after an update that was killed: forward where it was proven, else back."""

from jimbot_stack.engine import Engine, EventStream

from . import replicas
from .journal import Journal
from .site import Site
from .undo import finish_proven, put_back


def recover(site: Site, journal: Journal, events: EventStream) -> None:
    """
    Leave as many containers as there were, each of them serving.

    A place whose new container was proven and is still there keeps it; every other one
    goes back to its old container. What the killed run created without having noted it
    is removed; where none of what it knew is left, others were at work since.
    """
    known = {*journal.before, *(p.new for p in journal.places if p.new)}
    there = {c.id for c in site.containers()}
    if known & there:
        replicas.evict(site, sorted(there - known))
    forward = [p for p in journal.places if p.proven and p.new in there]
    back = [p for p in journal.places if p not in forward and p.old in there]
    for place in forward:
        replicas.admit(site, [place.new])
        finish_proven(site, place)
    put_back(site, journal, back, events)
    if journal.reference and not forward:
        site.engine.tag(journal.image_id, journal.reference)
    journal.close()


def abandon(engine: Engine, journal: Journal) -> None:
    """Forget an update whose containers are going; a tag that it moved goes back."""
    if journal.reference:
        engine.tag(journal.image_id, journal.reference)
    journal.close()
