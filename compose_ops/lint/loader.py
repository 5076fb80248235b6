"""Build the targets that rules judge: files read, builds found, models merged."""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from compose_ops.errors import ConfigurationError
from compose_ops.lint import composefile, dockerfile
from compose_ops.lint.build_context import MADE_BEFORE, absent_sources, ignore_lines
from compose_ops.lint.composefile import Document
from compose_ops.lint.dockerfile import Dockerfile
from compose_ops.lint.env_files import example_of
from compose_ops.lint.target import Build, LintTarget
from compose_ops.lint.tolerant_config import Docker, Merged, merge


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
    start_timeout: float = 0.0,
) -> tuple[LintTarget, ...]:
    """
    Return a target per combination, each knowing the others' models.

    Compose is asked for a model per processor at a time. Without Compose the targets
    hold the files alone. Raises ConfigurationError for a file that cannot be read.
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
    made = assemble(combinations, read, models, root=root)
    return tuple(replace(one, start_timeout=start_timeout) for one in made)


def assemble(
    combinations: Sequence[Combination],
    read: Sequence[tuple[Document, ...]],
    models: Sequence[Merged],
    *,
    root: Path,
) -> tuple[LintTarget, ...]:
    """
    Return targets from documents and models that are there already.

    The variables of `.env.example` are judged once, over all documents together.
    """
    example = example_of(root)
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
            unset=merged.unset,
            placeholders=merged.placeholders,
            compose=not merged.absent,
            scopes=frozenset({"combination", "project"} if alone else {"combination"}),
        )
        for one, documents, merged in zip(combinations, read, models, strict=True)
    ]
    if not alone and made:
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
                unset=frozenset().union(*(m.unset for m in models)),
                placeholders={k: v for m in models for k, v in m.placeholders.items()},
                scopes=frozenset({"project"}),
            )
        )
    return tuple(made)


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
                found[name] = make_build(context, file, build.get("target"), model)
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


def make_build(
    context: Path, file: Dockerfile, target: object, model: Mapping[str, Any]
) -> Build:
    ignore = ignore_lines(context, file.path)
    stage = file.stage(str(target)) if target else file.stage(None)
    present: frozenset[str] = frozenset()
    with suppress(OSError):
        present = frozenset(p.name for p in context.iterdir())
    absent = absent_sources(context, file, stage, ignore or ()) if present else ()
    return Build(
        context,
        file,
        ignore,
        frozenset(absent),
        present,
        frozenset(one for one in absent if MADE_BEFORE.search(one)),
        frozenset(secret_files(context, model)),
    )


def secret_files(context: Path, model: Mapping[str, Any]) -> Iterator[str]:
    """Yield the files with secrets that are in a context, as it sees them."""
    names = (".env", ".env.local", ".env.production")
    named = [*names]
    with suppress(OSError):
        below = (p for folder in ("*/", "*/*/") for p in context.glob(f"{folder}.env*"))
        found = (p.relative_to(context) for p in below if p.name in names)
        named += [p.as_posix() for p in found if "node_modules" not in p.parts]
    for spec in (model.get("secrets") or {}).values():
        path = Path(str((spec or {}).get("file") or ""))
        if path.is_relative_to(context):
            named.append(path.relative_to(context).as_posix())
    for name in dict.fromkeys(named):
        with suppress(OSError):
            if (context / name).is_file():
                yield name
