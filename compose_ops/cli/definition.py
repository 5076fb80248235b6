"""From a typed function to a task: its flags, their help, and the flags of modes."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, overload

from invoke.context import Context
from invoke.tasks import task as invoke_task

from compose_ops.cli.task import ComposeTask
from compose_ops.project.paths import TAKEN

Body = Callable[..., Any]
Parameter = inspect.Parameter

REPEATABLE = list[str] | None

HELP = {
    "service": "Only this service; repeatable.",
    "mode": "A mode of compose-ops.toml, or base; repeatable where modes combine.",
    "gpu": "auto (what the engine offers), on or off. Default: auto.",
    "overlay": "Also NAME.yml of the folder of overlays; repeatable.",
    "build": "Build images first, also those that are there.",
    "timeout": "Seconds to wait for health. Default: as long as the checks may take.",
    "json": "One JSON object on stdout and nothing else.",
    "yes": "Do not ask.",
}


@dataclass(frozen=True, slots=True)
class ModeFlags:
    """The flags that name modes: `--mode NAME`, and `--NAME` for each mode."""

    modes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SelectionFlags:
    """The flags that select the compose files; a task that takes one gets them all."""

    modes: tuple[str, ...] = ()
    gpu: str = "auto"
    overlay: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Definition:
    """A task before it is known which modes the project has."""

    body: Body
    help_texts: Mapping[str, str]

    @property
    def name(self) -> str:
        return self.body.__name__.replace("_", "-")

    def make(self, modes: Mapping[str, str]) -> ComposeTask:
        """Return the task with a flag for each of *modes*, names with their help."""
        body, more = _spread(self.body, modes)
        signature = inspect.signature(body).parameters
        parameters = list(signature)[1:]
        known = {name: HELP[name] for name in parameters if name in HELP}
        made: ComposeTask = invoke_task(
            klass=ComposeTask,
            auto_shortflags=False,
            iterable=[n for n in parameters if signature[n].annotation == REPEATABLE],
            help=known | more | dict(self.help_texts),
        )(body)
        return made


@overload
def task(function: Body, /) -> Definition: ...


@overload
def task(**help_texts: str) -> Callable[[Body], Definition]: ...


def task(
    function: Body | None = None, /, **help_texts: str
) -> Definition | Callable[[Body], Definition]:
    """
    Define a task; *help_texts* add to or replace `HELP`.

    A parameter of the type `list[str] | None` is repeatable on the command line. One of
    the type `ModeFlags` or `SelectionFlags` stands for the flags that select a mode.
    """
    if function is not None:
        return Definition(function, help_texts)
    return lambda body: Definition(body, help_texts)


def _spread(body: Body, modes: Mapping[str, str]) -> tuple[Body, dict[str, str]]:
    """Put one flag for each mode, and others, in place of a parameter for flags."""
    signature = inspect.signature(body)
    kinds = (ModeFlags, SelectionFlags)
    taken = [p for p in signature.parameters.values() if p.annotation in kinds]
    if not taken:
        return body, {}
    others = [p for p in signature.parameters.values() if p is not taken[0]]
    given = [
        _flag("gpu", default="auto", kind=str),
        _flag("overlay", default=None, kind=REPEATABLE),
    ]
    more = given if taken[0].annotation is SelectionFlags else []
    own = {name.replace("-", "_"): name for name in modes if name not in TAKEN}

    @wraps(body)
    def flagged(context: Context, **flags: Any) -> Any:
        chosen = [name for flag, name in own.items() if flags.pop(flag, False)]
        chosen += flags.pop("mode", None) or ()
        selected = {flag.name: flags.pop(flag.name, flag.default) for flag in more}
        if "overlay" in selected:
            selected["overlay"] = tuple(selected["overlay"] or ())
        value = taken[0].annotation(modes=tuple(chosen), **selected)
        return body(context, **{taken[0].name: value}, **flags)

    # json comes last in every task's help.
    last = [p for p in others if p.name == "json"]
    first = [p for p in others if p.name != "json"]
    flags = [
        *(_flag(f, default=False, kind=bool) for f in own),
        _flag("mode", default=None, kind=REPEATABLE),
    ]
    flagged.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*first, *flags, *more, *last]
    )
    texts = {flag: modes[name] or f"In the mode {name}." for flag, name in own.items()}
    return flagged, texts


def _flag(name: str, *, default: object, kind: object) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=kind)
