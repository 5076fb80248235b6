"""The rules on the files of a project; no engine is needed, and nothing is written."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from compose_ops.config import Config
from compose_ops.library.opening import Place, Selection, docker_client, find
from compose_ops.lint import AcceptedRule, LintReport, LintSettings
from compose_ops.lint.loader import Combination
from compose_ops.lint.quantity import size
from compose_ops.lint.run import judge
from compose_ops.project.paths import ENV_EXAMPLE, ENV_FILE

DOUBLED = ("fixed-name-doubled", "fixed-port-doubled")
MOVED = "[rollout] moves the ports to a gateway, and drops the name"
"""Why they are no faults of a service with a gateway of ours."""


def lint(
    selection: Selection | None = None,
    *,
    rules: Sequence[str] = (),
    files: Sequence[str | Path] = (),
    change: Callable[[LintSettings], LintSettings] = lambda settings: settings,
    echo: bool = False,
    ask: bool = False,
) -> LintReport:
    """
    Judge *files* together as `-f` does, or every combination of the project's own.

    *change* puts what a command line says over the project's settings. With *ask* a
    container of each image that is here is started, where an engine answers, to see
    which programs it holds. Raises UsageError for an unknown rule, ConfigurationError
    for a file or a setting that cannot be read.
    """
    named = tuple(Path(file).resolve() for file in files)
    if named:
        directory = named[0].parent
        combinations: tuple[Combination, ...] = (Combination(named[0].name, named),)
        example = directory / ENV_EXAMPLE
        env_files: tuple[Path, ...] = (directory / ENV_FILE, example)
        settings = LintSettings()
    else:
        place = find(
            replace(selection or Selection(), modes=(), overlays=(), gpu="auto")
        )
        directory, combinations = place.root, combined(place)
        env_files = (place.config.example, *place.found.env_files)
        settings = settings_of(place.config)
    return judge(
        docker_client(echo=echo),
        combinations,
        root=directory,
        env_files=[path for path in env_files if path.is_file()][:1],
        only=rules,
        settings=change(settings),
        ask=ask,
    )


def settings_of(config: Config) -> LintSettings:
    """Return the `[lint]` table as the linter's settings."""
    table = config.lint
    return LintSettings(
        fail_on=table.fail_on,
        rules=table.rules,
        start_timeout=float(table.start_timeout),
        memory=size(table.memory),
        exclude=table.exclude,
        accept=(
            *(
                AcceptedRule(rule, one.reason, one.file, one.path)
                for rule, one in table.accept.items()
            ),
            *(
                AcceptedRule(rule, MOVED, path=f"services.{service}")
                for rule in DOUBLED
                for service in config.fronted
            ),
        ),
        baseline=config.path(table.baseline) if table.baseline else None,
        labels=config.service_settings,
    )


def combined(place: Place) -> tuple[Combination, ...]:
    """Return every combination of compose files that a task can select."""
    return tuple(
        Combination(name, mode.files, mode.environment)
        for name, mode in place.modes.combinations()
    )
