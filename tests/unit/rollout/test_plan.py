"""What an update plans, and what it refuses, from values alone."""

from typing import Any

import pytest
from fakes import container

from compose_ops.docker.api import Usage
from compose_ops.errors import ConfigurationError, UsageError
from compose_ops.rollout import start_first
from compose_ops.rollout.plan import DesiredState, plan
from compose_ops.rollout.policy import Policy, policy, traffic

WANTED = DesiredState(
    replicas=2, image="app", image_id="sha256:app", config_hash="hash"
)
ONE_BY_ONE = Policy(1, 10.0, "start-first", 20.0, "rollback", 0.0)


def replica(number: int, **changes: Any) -> Any:
    named = {"id": f"id-{number}", "name": f"trial-app-{number}", "number": number}
    return container(**{**named, **changes})


def planned(*containers: Any, wanted: DesiredState = WANTED, **more: Any) -> Any:
    return plan("app", wanted, ONE_BY_ONE, containers, **more)


def test_what_is_as_wanted_stays() -> None:
    """No slot changes, and the plan is empty."""
    found = planned(replica(1), replica(2))

    assert found.is_empty
    assert [c.number for c in found.unchanged] == [1, 2]


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"image_id": "sha256:other"}, "image other → app"),
        ({"config_hash": "other"}, "configuration other → hash"),
        ({"state": "exited", "exit_code": 3}, "is exited (exit code 3)"),
        ({"health": "unhealthy"}, "is unhealthy"),
    ],
)
def test_a_slot_changes_for_a_reason(changes: dict[str, Any], cause: str) -> None:
    """Only the replica that differs is replaced, and the plan says why."""
    found = planned(replica(1), replica(2, **changes))

    assert [(s.old.number, s.causes) for s in found.changing] == [(2, (cause,))]


def test_a_replica_that_gets_no_requests_is_replaced() -> None:
    """It is healthy, and the gateway cannot reach it."""
    found = planned(
        replica(1, networks={"front": "10.0.0.2"}), replica(2), admitted_by="front"
    )

    assert [s.old.number for s in found.changing] == [2]


def test_missing_and_surplus_replicas_are_part_of_the_plan() -> None:
    """A missing one is created; of too many, the unhealthy one goes."""
    few = planned(replica(1))
    many = planned(replica(1, health="unhealthy"), replica(2), replica(3))

    assert [s.causes for s in few.changing] == [("a replica is missing",)]
    assert (few.found, sorted(many.found)) == (["id-1"], ["id-1", "id-2", "id-3"])
    assert [c.number for c in many.surplus] == [1]
    assert not many.changing


def test_a_forced_update_replaces_everything() -> None:
    """With its reason in front."""
    found = planned(replica(1), replica(2), forced="to be restarted")

    assert [s.causes for s in found.changing] == [("to be restarted",)] * 2


def test_batches_hold_as_many_as_the_policy_allows() -> None:
    """Three slots, two at a time."""
    wanted = DesiredState(3, "app", "sha256:new", "hash")
    pair = Policy(2, 0, "start-first", 5, "pause", 0)
    found = plan("app", wanted, pair, [replica(n) for n in (1, 2, 3)])

    assert [[s.old.number for s in b if s.old] for b in found.batches()] == [
        [1, 2],
        [3],
    ]


def test_what_does_not_run_is_not_updated() -> None:
    """The task that starts it is named."""
    with pytest.raises(UsageError, match="does not run"):
        planned()


def test_the_policy_has_swarms_defaults() -> None:
    """One at a time, stop-first, watched for 5 s, paused on failure."""
    assert policy({}, 2) == Policy(1, 0.0, "stop-first", 5.0, "pause", 0.0)


def test_parallelism_zero_is_all_at_once() -> None:
    """As in Swarm."""
    assert policy({"deploy": {"update_config": {"parallelism": 0}}}, 3).parallelism == 3


def test_an_unknown_failure_action_is_refused() -> None:
    """Rather than taken for another."""
    with pytest.raises(ConfigurationError):
        policy({"deploy": {"update_config": {"failure_action": "hope"}}}, 1)


def test_labels_say_how_requests_arrive() -> None:
    """Without a gateway there are none; with one the port must be named."""
    assert traffic({"labels": {}}) is None
    with pytest.raises(ConfigurationError):
        traffic({"labels": {"compose-ops.rollout.gateway": "gateway"}})


@pytest.mark.parametrize(
    ("service", "reason"),
    [
        ({"container_name": "one"}, "name"),
        ({"ports": [{"published": "8000", "target": 8000}]}, "port"),
        ({"network_mode": "host"}, "host"),
        ({"networks": {"a": {"ipv4_address": "10.0.0.9"}}}, "address"),
        ({"labels": {"compose-ops.data.volumes": "x"}}, "volume"),
        (
            {
                "deploy": {
                    "resources": {
                        "reservations": {"devices": [{"capabilities": ["gpu"]}]}
                    }
                }
            },
            "GPU",
        ),
    ],
)
def test_start_first_is_refused_with_the_reason(
    service: dict[str, Any], reason: str
) -> None:
    """Each of these can be there only once."""
    reasons = list(start_first.to_start_first(service))

    assert len(reasons) == 1
    assert reason in reasons[0]


def test_a_volume_that_holds_no_data_may_be_shared() -> None:
    """Logs, for instance, which the labels call disposable."""
    labels = {"compose-ops.data.disposable": "app_logs"}

    assert list(start_first.to_start_first({"labels": labels})) == []


def test_ephemeral_ports_and_ranges_do_not_stand_in_the_way() -> None:
    """Two replicas find one each."""
    ports = [{"published": "0"}, {"published": "8000-8010"}, {}]

    assert list(start_first.to_start_first({"ports": ports})) == []


def claiming(number: int, **memory: int) -> Any:
    return replica(number, raw={"HostConfig": memory})


def test_memory_for_the_surge_is_what_a_replica_claims() -> None:
    """What the model reserves now, or what the others use where that is more."""
    running = [claiming(1, MemoryReservation=100), claiming(2, MemoryReservation=100)]
    usage = [Usage("id-1", 0.0, 300, 1000)]

    def short(total: int, *, reserved: int) -> str:
        return start_first.memory(
            running, usage, total=total, service="app", reserved=reserved, surge=1
        )

    assert short(700, reserved=100) == ""
    assert "would need" in short(699, reserved=100)
    assert short(900, reserved=500) == ""
    assert "would need" in short(899, reserved=500)


def test_what_fits_with_every_limit_needs_no_sample() -> None:
    """A container without a limit may take all that there is, old or new."""
    limited = [claiming(1, Memory=100), claiming(2, Memory=300)]

    def fits(total: int, limit: int, *running: Any) -> bool:
        return start_first.is_within_limits(running, total=total, limit=limit, surge=2)

    assert fits(1000, 300, *limited)
    assert not fits(999, 300, *limited)
    assert not fits(1000, 301, *limited)
    assert not fits(1000, 0, *limited)
    assert not fits(1000, 300, *limited, replica(3))
