"""The rules on the files of a project; no engine is needed, and nothing is written."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from compose_ops.library.opening import Place, Selection, docker_client, find
from compose_ops.lint import Finding
from compose_ops.lint.loader import Combination
from compose_ops.lint.run import judge
from compose_ops.project.paths import ENV_EXAMPLE, ENV_FILE


def lint(
    selection: Selection | None = None,
    *,
    rules: Sequence[str] = (),
    files: Sequence[str | Path] = (),
    echo: bool = False,
    ask: bool = True,
) -> tuple[Finding, ...]:
    """
    Judge *files* together as `-f` does, or every combination of the project's own.

    With *ask* images that are here are asked what they hold, where an engine answers.
    Raises UsageError for an unknown rule, ConfigurationError for a file that cannot be
    read, EngineUnavailable without a docker client with Compose.
    """
    named = tuple(Path(file).resolve() for file in files)
    if named:
        directory = named[0].parent
        combinations: tuple[Combination, ...] = (Combination(named[0].name, named),)
        example = directory / ENV_EXAMPLE
        env_files: tuple[Path, ...] = (directory / ENV_FILE, example)
    else:
        place = find(
            replace(selection or Selection(), modes=(), overlays=(), gpu="auto")
        )
        directory, combinations = place.root, combined(place)
        env_files = (place.config.example, *place.found.env_files)
    return judge(
        docker_client(echo=echo),
        combinations,
        root=directory,
        env_files=[path for path in env_files if path.is_file()][:1],
        only=rules,
        ask=ask,
    )


def combined(place: Place) -> tuple[Combination, ...]:
    """Return every combination of compose files that a task can select."""
    return tuple(
        Combination(name, mode.files, mode.environment)
        for name, mode in place.modes.combinations()
    )
