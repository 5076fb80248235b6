"""Updates and sets to make pages of, with whatever foreign text is put into them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fakes import container

from compose_ops.backup.manifest import Archive, Manifest, Store
from compose_ops.backup.repository import BackupSet
from compose_ops.rollout.plan import DesiredState, Plan, Slot
from compose_ops.rollout.policy import Policy
from compose_ops.rollout.recording import Answers, Recorder
from compose_ops.rollout.result import UpdateResult
from compose_ops.rollout.statistics import Request, proof

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


def outcome(text: str = "plain", *, failed: bool = False) -> UpdateResult:
    """Return an update of two replicas in 12 seconds; *text* is in all its texts."""
    clock = [100.0]
    recorder = Recorder(lambda: clock[0], 100.0)
    wrong = f"GET /{text} answered 500" if failed else ""
    requests = [
        Request(100 + n / 60, 100.01 + n / 60, wrong if n % 97 == 5 else "")
        for n in range(700)
    ]
    for number, name in enumerate((f"app-3{text}", f"app-4{text}")):
        for seconds, step in (
            (1, "start"),
            (2, "watch before admission"),
            (1, "admit"),
        ):
            with recorder.step(step, [name]):
                clock[0] += seconds
        recorder.note(f"{name}: admitted")
        with recorder.step("drain and stop", [f"app-{number + 1}{text}"], "old"):
            clock[0] += 1
            recorder.cut(number)
        got = Answers(40 - 20 * number, 20 + 20 * number)
        recorder.answered(recorder.passed - 1, got)
    with recorder.step("put the old version back" if failed else "remove"):
        clock[0] += 1
    plan = Plan(
        service=f"app{text}",
        wanted=DesiredState(2, f"image{text}", "sha256:2", "hash"),
        policy=Policy(1, 1.0, "start-first", 5.0, "rollback", 0.0),
        changing=tuple(
            Slot(container(name=f"app-{n}{text}"), (f"image {text}",)) for n in (1, 2)
        ),
        unchanged=(),
        surplus=(),
    )
    summed = proof(requests, begin=100.0, change=101.0)
    result = "failed" if failed else "updated"
    recording = recorder.recording(requests)
    return UpdateResult("app", result, plan, summed, (1.0, 1.2), 12.5, 1, recording)


def sets(text: str = "plain") -> Sequence[BackupSet]:
    """Return four sets, the newest first: proven, verified, failed in a drill, bad."""
    drilled = NOW - timedelta(hours=1)
    good = {"at": drilled.isoformat(), "result": "proven"}
    bad = {"at": drilled.isoformat(), "result": f"db counts 1{text}"}
    return (
        _set(4, 5, drilled=drilled, drill=good),
        _set(3, 4, verified=NOW, product=text),
        _set(2, 3, verified=NOW, drill=bad),
        _set(1, 2, fault=f"its digest{text} does not match"),
    )


def _set(
    number: int,
    size: int,
    *,
    verified: datetime | None = None,
    drilled: datetime | None = None,
    drill: dict[str, str] | None = None,
    fault: str = "",
    product: str = "",
) -> BackupSet:
    name = f"2026112{number}T020000Z-000{number}"
    day = (NOW - timedelta(days=6 - number)).isoformat()
    archive = Archive(
        *("data", "trial_data", "local", {}, {}, "0" * 64, size << 20, "0" * 64),
        files=3,
        bytes=size << 21,
        listing_sha256="0" * 64,
    )
    store = Store(
        *("db", "stop", "db:1", "sha256:1", "1", 0, (), False, (archive,)),
        product=product,
    )
    made = Manifest(
        *(name, "trial", day, True, "zstd", False, "26.1.5", "compose-ops", (store,)),
        downtime=float(number),
    )
    return BackupSet(
        path=Path("/sets/trial") / name,
        manifest=None if fault else made,
        fault=fault,
        verified=verified or drilled,
        drilled=drilled,
        drill=drill,
    )
