"""The order in which a batch of replicas is replaced: start-first or stop-first."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from compose_ops.rollout.batch import Batch
from compose_ops.rollout.policy import START_FIRST


@dataclass(frozen=True, slots=True)
class Step:
    """
    One step of a batch.

    The journal has `name`, and `mark` as true of each slot of the batch, before `do`
    begins; a step without a name changes nothing that the journal must know.
    """

    name: str
    do: Callable[[], None]
    mark: str = ""


class Strategy(Protocol):
    def steps(self, batch: Batch) -> Iterator[Step]:
        """Yield what replaces a batch, in order; each step ends before the next."""


class StartFirst:
    """The new replicas are proven beside the old ones, which serve until then."""

    def steps(self, batch: Batch) -> Iterator[Step]:
        yield from _creation(batch)
        yield from _proof(batch)
        yield Step("", batch.wait_drained)
        yield Step("retire", batch.begin_drain, mark="touched")
        if not batch.update.overlaps:
            yield Step("", batch.wait_drained)


class StopFirst:
    """The old replicas are stopped and kept; the new ones take their place."""

    def steps(self, batch: Batch) -> Iterator[Step]:
        yield Step("delay", batch.wait_until_due)
        yield Step("retire", batch.begin_drain, mark="touched")
        yield Step("", batch.wait_drained)
        if batch.update.point:
            yield Step("restore point", batch.make_point)
        yield from _creation(batch)
        yield from _proof(batch)


def strategy(order: str) -> Strategy:
    """Return the strategy for the `order` of an update_config."""
    return StartFirst() if order == START_FIRST else StopFirst()


def _creation(batch: Batch) -> Iterator[Step]:
    yield Step("create", batch.create)
    yield Step("detach", batch.detach)
    if batch.update.name:
        yield Step("name", batch.rename)


def _proof(batch: Batch) -> Iterator[Step]:
    yield Step("start", batch.start, mark="started")
    yield Step("watch before admission", batch.watch_apart)
    yield Step("delay", batch.wait_until_due)
    yield Step("admit", batch.admit)
    yield Step("watch after admission", batch.watch_in_service)
    yield Step("the batch is proven", batch.conclude, mark="proven")
