"""Run an update for a person or a script: say what is planned and how it ended."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from compose_ops.console import say, show
from compose_ops.errors import ComposeOpsError, OutputError, UsageError
from compose_ops.report import file
from compose_ops.report.update_page import update_page
from compose_ops.rollout.result import UpdateResult


def one(services: Sequence[str] | None) -> str:
    """Return the one service that is named; UsageError for none or several."""
    named = tuple(dict.fromkeys(services or ()))
    if len(named) != 1:
        raise UsageError(
            "an update is of one service", hint="--service app, for instance"
        )
    return named[0]


Emit = Callable[[object], None]


def run(
    perform: Callable[[], UpdateResult],
    service: str,
    emit: Emit | None,
    report: str = "",
) -> None:
    """
    Run *perform* and print its outcome: with *emit* as JSON, otherwise in words.

    A ComposeOpsError goes on when it has been printed as JSON. The page of either is
    written to *report*, where one is wanted; UsageError where none can be.
    """
    path = file.check_path(report)
    try:
        outcome = perform()
    except ComposeOpsError as error:
        _write(path, service, _outcome(error), error)
        if emit:
            emit(failure(service, error))
        raise
    _write(path, service, outcome, None)
    if emit:
        emit(outcome.as_json())
        return
    _print(outcome)


def _write(
    path: Path | None,
    service: str,
    outcome: UpdateResult | None,
    error: ComposeOpsError | None,
) -> None:
    """Write the page; where that fails only a line says so: the update has ended."""
    if path is None or (outcome and outcome.result == "planned"):
        return
    try:
        file.write(path, update_page(service, outcome, error))
    except OutputError as refused:
        say(f"warning: {refused.message}")
    else:
        say(f"report: {path}")


def _outcome(error: ComposeOpsError) -> UpdateResult | None:
    return error.outcome if isinstance(error.outcome, UpdateResult) else None


def _print(outcome: UpdateResult) -> None:
    service = outcome.service
    for line in outcome.plan.lines():
        say(f"{'would ' if outcome.result == 'planned' else ''}{line}")
    if outcome.result == "nothing-to-do":
        show(f"{service}: nothing to do, every replica is up to date")
    elif outcome.result == "updated":
        show(f"{service}: updated in {outcome.seconds:.1f} s")
        proof = outcome.proof
        show(f"proof: {proof.line() if proof else 'none, no gateway serves it'}")
        if outcome.cut:
            show(f"cut: {outcome.cut} connections outlasted the drain timeout")


def refuse_with_all(
    services: Sequence[str] | None, *, image: str, build: bool, report: str
) -> None:
    """Raise UsageError for what is of one service beside --all."""
    if services or image or build or report:
        raise UsageError(
            "--all excludes --service, --image, --build and --report",
            hint="it brings every service to what the compose files say",
        )


def run_all(results: Iterator[UpdateResult], emit: Emit | None) -> None:
    """
    Print each result as it comes: in words, or all as one JSON list at the end.

    A ComposeOpsError goes on when what was done before it has been printed.
    """
    done: list[object] = []
    try:
        for outcome in results:
            done.append(outcome.as_json())
            if not emit:
                _print(outcome)
    finally:
        if emit:
            emit(done)


def failure(service: str, error: ComposeOpsError) -> dict[str, object]:
    """Return the documented JSON of an update that failed."""
    outcome = _outcome(error)
    found = outcome.as_json() if outcome else {}
    return {
        "service": service,
        "result": "failed",
        "exit_code": error.exit_code,
        "error": error.message,
        "hint": error.hint,
        "detail": error.detail,
        "proof": found.get("proof"),
        "recording": found.get("recording"),
    }
