"""Build the subjects that rules judge: files read, builds found, models merged."""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from compose_ops.errors import ConfigurationError
from compose_ops.lint import composefile, dockerfile
from compose_ops.lint.composefile import Document
from compose_ops.lint.dockerfile import Dockerfile
from compose_ops.lint.dockerignore import is_ignored
from compose_ops.lint.rules.builds import sources
from compose_ops.lint.target import Build, EnvFile, EnvLine, LintTarget
from compose_ops.lint.tolerant_config import Docker, Merged, merge

EXAMPLES = (".env.example", ".env.sample", ".env.dist", "env.example", ".env.template")


@dataclass(frozen=True, slots=True)
class Combination:
    """A set of compose files by name, in the order of `-f`, absolute paths."""

    name: str
    files: tuple[Path, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


def subjects(
    combinations: Sequence[Combination],
    *,
    root: Path,
    docker: Docker,
    env_files: Sequence[Path] = (),
) -> tuple[LintTarget, ...]:
    """
    Return a subject per combination, each knowing the others' models.

    Compose is asked for two models at a time. Raises ConfigurationError for a file
    that cannot be read, EngineUnavailable without a docker client with Compose.
    """
    reader = cache(composefile.read)
    read = [composefile.read_all(one.files, reader) for one in combinations]

    def merged(index: int) -> Merged:
        return merge(
            read[index],
            combinations[index].files,
            directory=root,
            docker=docker,
            env_files=env_files,
            environment=combinations[index].environment,
        )

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        models = list(pool.map(merged, range(len(combinations))))
    return assemble(combinations, read, models, root=root)


def assemble(
    combinations: Sequence[Combination],
    read: Sequence[tuple[Document, ...]],
    models: Sequence[Merged],
    *,
    root: Path,
) -> tuple[LintTarget, ...]:
    """
    Return subjects from documents and models that are there already.

    The variables of `.env.example` are judged once, over all documents together.
    """
    example = env_example(root)
    alone = len(combinations) == 1
    made = [
        LintTarget(
            one.name,
            root,
            merged.model,
            documents,
            builds=builds(merged.model, documents),
            example=example,
            others=tuple(m.model for m in models if m is not merged),
            refusals=merged.refusals,
            scopes=frozenset({"combination", "project"} if alone else {"combination"}),
        )
        for one, documents, merged in zip(combinations, read, models, strict=True)
    ]
    if not alone:
        every = {
            document.path: document for documents in read for document in documents
        }
        made.append(
            replace(
                made[0],
                name="all files",
                model={},
                documents=tuple(every.values()),
                builds={},
                refusals=(),
                scopes=frozenset({"project"}),
            )
        )
    return tuple(made)


def env_example(root: Path) -> EnvFile | None:
    """Return the project's example of `.env`, None when it has none."""
    path = next((root / name for name in EXAMPLES if (root / name).is_file()), None)
    if path is None:
        return None
    found: dict[str, EnvLine] = {}
    notes: list[str] = []
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        name, equals, value = text.strip().removeprefix("export ").partition("=")
        if text.lstrip().startswith("#"):
            notes.append(text.strip())
            continue
        if equals:
            found[name.strip()] = EnvLine(number, value.strip(), tuple(notes))
        notes = []
    return EnvFile(path, found)


def builds(model: Mapping[str, Any], documents: Sequence[Document]) -> dict[str, Build]:
    """
    Return what each service is built from; those whose Dockerfile is not there fail.

    A remote context, and a Dockerfile that does not exist, give no entry.
    """
    found: dict[str, Build] = {}
    for name, spec in (model.get("services") or {}).items():
        build = (spec or {}).get("build") or {}
        context = Path(str(build.get("context") or ""))
        if build and context.is_absolute():
            file = read_dockerfile(name, build, context, documents)
            if file is not None:
                found[name] = make_build(context, file)
    return found


def read_dockerfile(
    name: str, build: Mapping[str, Any], context: Path, documents: Sequence[Document]
) -> Dockerfile | None:
    arguments = {key: str(v or "") for key, v in (build.get("args") or {}).items()}
    if build.get("dockerfile_inline"):
        path = ("services", name, "build", "dockerfile_inline")
        holders = [(d, node) for d in documents if (node := d.find(path)) is not None]
        document, node = holders[-1] if holders else (documents[-1], None)
        first = node.text_line + 1 if node is not None else 1
        text = node.text() if node is not None else str(build["dockerfile_inline"])
        return dockerfile.parse(
            text.replace("$$", "$"),
            document.path,
            arguments=arguments,
            first_line=first,
        )
    try:
        return dockerfile.read(
            context / str(build.get("dockerfile") or "Dockerfile"), arguments
        )
    except ConfigurationError:
        return None


def make_build(context: Path, file: Dockerfile) -> Build:
    ignore = ignore_lines(context, file.path)
    named = {s for i in file.instructions() for s in sources(i)}
    absent = frozenset(s for s in named if not is_there(context, s, ignore or ()))
    present = (
        frozenset(p.name for p in context.iterdir())
        if context.is_dir()
        else frozenset()
    )
    return Build(context, file, ignore, absent if present else frozenset(), present)


def ignore_lines(context: Path, file: Path) -> tuple[str, ...] | None:
    """Return the ignore file's lines: the Dockerfile's own, else the context's."""
    for path in (Path(f"{file}.dockerignore"), context / ".dockerignore"):
        if path.is_file():
            return tuple(path.read_text(encoding="utf-8").splitlines())
    return None


def is_there(context: Path, source: str, ignore: Sequence[str]) -> bool:
    """Say whether a source of COPY is in the context and enters the build."""
    plain = source.lstrip("/").removeprefix("./").rstrip("/")
    if plain in {"", "."}:
        return True
    matches = [p.relative_to(context).as_posix() for p in context.glob(plain)]
    return any(
        not is_ignored(match, ignore)
        or any(
            line.strip().removeprefix("!").startswith(match)
            for line in ignore
            if line.strip().startswith("!")
        )
        for match in matches
    )
