"""What is done to the slots of one batch; `strategies` says in which order."""

from collections.abc import Sequence
from dataclasses import dataclass

from compose_ops.docker.api import Container
from compose_ops.rollout import health_gate, steps
from compose_ops.rollout.context import UpdateContext
from compose_ops.rollout.journal import SlotState
from compose_ops.rollout.running_update import RunningUpdate


@dataclass(slots=True)
class Batch:
    """
    The slots that change together.

    `due` is when it may change what serves, in seconds of the update's clock: `delay`
    after the verdict on the batch before.
    """

    update: RunningUpdate
    slots: Sequence[SlotState]
    due: float

    @property
    def new(self) -> list[str]:
        """The ids of the new containers that were created so far."""
        return [slot.new for slot in self.slots if slot.new]

    @property
    def names(self) -> list[str]:
        """The names of the new containers, none before they are there."""
        known = self.update.recorder.names
        for new in self.new:
            known[new] = known.get(new) or self.update.context.container(new).name
        return [known[new] for new in self.new]

    def make_point(self) -> None:
        """Copy the data of the store, which does not run now."""
        update = self.update
        data = update.context.data
        if data is None or update.journal.point_made:
            return
        begin = update.context.clock.now()
        update.report(f"{update.plan.service}: making a restore point of its data")
        data.make(update.point)
        update.journal.point_made = True
        passed = update.context.clock.now() - begin
        update.report(f"{update.plan.service}: restore point made in {passed:.1f} s")

    def create(self) -> None:
        made = steps.create(
            self.update.context, len(self.slots), self.update.plan.wanted
        )
        for slot, new in zip(self.slots, made, strict=True):
            slot.new = new

    def detach(self) -> None:
        steps.detach(self.update.context, self.new)

    def rename(self) -> None:
        """Give the new container the name that the compose file fixes."""
        self.update.context.engine.rename(self.new[0], self.update.name)
        self.update.recorder.names[self.new[0]] = self.update.name

    def start(self) -> None:
        """Start the new containers and wait until they are healthy."""
        context = self.update.context
        begin = context.clock.now()
        context.engine.start(*self.new)
        self._report("started, waiting for health")
        health_gate.wait_healthy(context, self.new, self.update.events)
        passed = context.clock.now() - begin
        self.update.healthy_after |= dict.fromkeys(self.new, passed)
        self._report(f"healthy after {passed:.1f} s, probed directly")

    def watch_apart(self) -> None:
        """Probe the new containers while they get no other request, until it is due."""
        now = self.update.context.clock.now()
        window = max(self.update.plan.policy.monitor / 2, self.due - now)
        watch = self._watch()
        watch.probe_n(health_gate.PROBES, within=window)
        left = now + window - self.update.context.clock.now()
        if left > 0:
            watch.observe_for(left)

    def wait_until_due(self) -> None:
        self.update.wait_until(self.due)

    def admit(self) -> None:
        context = self.update.context
        steps.attach(context, self.new)
        self.update.recorder.admitted.update(context.addresses(self.new))
        steps.admit(context, self.new)

    def watch_in_service(self) -> None:
        """Watch the new containers at work, for the second half of `monitor`."""
        window = self.update.plan.policy.monitor / 2
        self._report(f"admitted, watched for {window:.0f} s")
        self._watch().observe_for(window)

    def conclude(self) -> None:
        """Note when the verdict was: the next batch's delay counts from here."""
        self.update.verdict = self.update.context.clock.now()

    def begin_drain(self) -> None:
        """Begin to drain and stop the old containers; `wait_drained` sees the end."""
        self.update.begin_drain([slot for slot in self.slots if slot.old])

    def wait_drained(self) -> None:
        self.update.wait_drained()

    def _watch(self) -> health_gate.Watch:
        update = self.update
        return health_gate.Watch(
            update.context, self.new, update.events, update.traffic_failure
        )

    def _report(self, what: str) -> None:
        self.update.report(f"{', '.join(self.names)}: {what}")


def slot_state(context: UpdateContext, old: Container | None) -> SlotState:
    """Return what the journal has to know of a slot and its *old* container."""
    if old is None:
        return SlotState()
    attached = not context.network or context.network in old.networks
    return SlotState(
        old=old.id,
        name=old.name,
        restart=steps.restart_policy(old),
        served=attached and old.is_healthy,
        attached=attached,
    )
