"""Facts that the Docker client and the engine state about themselves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from compose_ops.docker.api import Container, EngineInfo
from compose_ops.doctor.registry import NotMeasuredError, fact
from compose_ops.errors import ConfigurationError, EngineUnavailable
from compose_ops.project.model import Model
from compose_ops.runtime import config_hashes as remembered
from compose_ops.runtime import contents
from compose_ops.runtime.context import StackContext
from compose_ops.runtime.engine_location import (
    INFO_SECONDS,
    EngineAnswer,
    EngineLocation,
    ask_engine,
    location,
)

MODEL_SECONDS = 20.0


@fact(limit=INFO_SECONDS + 1)
def answer(stack: StackContext) -> EngineAnswer:
    """Ask `docker info`, unless the stack was opened with an engine's answer."""
    return ask_engine(stack)


@fact(limit=INFO_SECONDS + 1)
def plugins(stack: StackContext) -> Mapping[str, str]:
    """Return the versions of the client's plugins by name; empty for a broken one."""
    return stack.plugins


@fact(limit=2)
def info(answer: EngineAnswer) -> EngineInfo:
    if answer.info is None:
        raise NotMeasuredError("no engine answers")
    return answer.info


@fact(limit=2)
def place(answer: EngineAnswer, info: EngineInfo) -> EngineLocation:
    return location(answer, info)


@fact(limit=2)
def local(place: EngineLocation) -> EngineLocation:
    """Return the location of an engine on this machine."""
    if not place.is_local:
        raise NotMeasuredError(f"cannot be measured from here: {place.why}")
    return place


@fact(limit=2)
def shared(place: EngineLocation) -> EngineLocation:
    """Return the location of an engine that sees this checkout's files."""
    if not place.is_local and not place.shares_files:
        raise NotMeasuredError(
            f"its containers see another machine's files: {place.why}"
        )
    return place


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """The merged model, or Compose's reason why there is none."""

    model: Model | None
    words: str = ""
    hashes: Mapping[str, str] = field(default_factory=dict)


@fact(limit=MODEL_SECONDS)
def model_answer(stack: StackContext) -> ModelAnswer:
    try:
        return ModelAnswer(stack.model)
    except ConfigurationError as invalid:
        return ModelAnswer(None, invalid.message)
    except EngineUnavailable as missing:
        raise NotMeasuredError(missing.message) from missing


@fact(limit=2)
def model(model_answer: ModelAnswer) -> Model:
    if model_answer.model is None:
        raise NotMeasuredError("the compose files are not valid")
    return model_answer.model


@fact(limit=2)
def wanted(model: Model, scope: tuple[str, ...]) -> tuple[str, ...]:
    """Return the services in question, with what they depend on."""
    return model.dependencies(scope or tuple(model.services))


@fact(limit=MODEL_SECONDS)
def hashes(stack: StackContext, info: EngineInfo, model: Model) -> Mapping[str, str]:
    """Compose's configuration hash of each service; needed where containers run."""
    del info, model
    if not stack.containers or stack.other_checkout:
        raise NotMeasuredError("no container of the project is running")
    return remembered.of(stack)


@fact(limit=10)
def judged_contents(
    stack: StackContext, ours: tuple[Container, ...], model: Model, readable_state: Path
) -> Mapping[str, contents.Judgement]:
    """Return whether containers run on the present secrets, configs and files."""
    del model, readable_state
    return contents.judge(contents.look(stack), ours)
