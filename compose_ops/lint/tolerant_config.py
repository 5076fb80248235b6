"""
Ask Compose for the merged model of any set of files, also of one that it refuses.

Compose names one fault and prints nothing. To judge the rest of such files, what was
refused is taken out, the model asked for again, and the part put back as the files
write it; the refusal is kept beside the model. A variable that nobody sets and that
may not be empty gets a value that stands in for it.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from compose_ops.docker.api import Output
from compose_ops.errors import EngineError, EngineUnavailable
from compose_ops.lint import placeholders
from compose_ops.lint.composefile import Document, Node
from compose_ops.lint.refusals import EXTRA, holds, place_of, without
from compose_ops.lint.repairs import DEVICES, Repairs, dumped
from compose_ops.redaction import clean
from compose_ops.units import whole

Docker = Callable[..., Output]
"""`Engine.docker`: runs a docker command, captured, without raising for its code."""

ATTEMPTS = 20
SECONDS = 60.0
NOISE = re.compile(r"level=warning|attribute `version` is obsolete")
UNSET = re.compile(r"The \\?\"(\w+)\\?\" variable is not set")
READABLE = re.compile(r"already defined at line|UTF-8")
"""What Compose refuses in a text, and takes once it is written anew."""
LATER = {
    *("gpus", "models", "provider", "use_api_socket", "post_start", "pre_stop"),
    *("label_file", "interface_name", "gw_priority", "develop"),
}
"""Keys that Compose takes in some version after 2.20."""
MAX_WORDS = 300
MAX_TRIALS = 12
Path_ = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Merged:
    """
    The merged model, and each refusal as the path of its fault and Compose's words.

    The model is empty when Compose refuses the files for a reason not known here, and
    when there is no Compose (`absent`). `unset` are the variables that Compose names
    as set by nobody, `placeholders` what stands in for those that may not be empty.
    """

    model: dict[str, Any]
    refusals: tuple[tuple[Path_, str], ...] = ()
    unset: frozenset[str] = frozenset()
    placeholders: Mapping[str, str] = field(default_factory=dict)
    absent: bool = False


def merge(
    documents: Sequence[Document],
    files: Sequence[Path],
    *,
    directory: Path,
    docker: Docker,
    env_files: Sequence[Path] = (),
    environment: Mapping[str, str] | None = None,
) -> Merged:
    """
    Return the merged model of *files*, all profiles on.

    *documents* are the same files as read; *environment* goes over *env_files*. Each
    call of Compose may take a minute. Raises nothing for what Compose refuses.
    """
    asking = _Asking(tuple(documents), tuple(files), directory, docker, env_files)
    asking.repairs.variables.update(environment or {})
    with TemporaryDirectory() as scratch:
        try:
            return asking.merged(Path(scratch))
        except EngineUnavailable:
            return Merged({}, absent=True)
        except EngineError as error:
            return Merged({}, (((), f"Compose gives no answer: {error.message}"),))


@dataclass(slots=True)
class _Asking:
    documents: tuple[Document, ...]
    files: tuple[Path, ...]
    directory: Path
    docker: Docker
    env_files: Sequence[Path]
    repairs: Repairs = field(default_factory=Repairs)
    refusals: list[tuple[Path_, str]] = field(default_factory=list)
    unset: set[str] = field(default_factory=set)
    filled: dict[str, str] = field(default_factory=dict)
    roots: dict[Path, Node] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)

    def merged(self, scratch: Path) -> Merged:
        model: dict[str, Any] = {}
        for _ in range(ATTEMPTS):
            output = self.ask(scratch)
            self.unset |= set(UNSET.findall(output.stderr))
            if output.code == 0:
                output = self.with_fewest_values(scratch, output)
                model = put_back(
                    json.loads(output.stdout), self.repairs, self.documents
                )
                break
            words = self.words(output, scratch)
            if not self.understood(words) and not self.cut(words):
                break
        return Merged(
            model,
            tuple(self.refusals),
            frozenset(self.unset | set(self.filled)),
            dict(self.filled),
        )

    def with_fewest_values(self, scratch: Path, output: Output) -> Output:
        """Return the answer in which only what may not be empty has a value."""
        for name in [one for one in self.filled if one in self.unset][:MAX_TRIALS]:
            value = self.repairs.variables.pop(name)
            trial = self.ask(scratch)
            if trial.code == 0:
                output = trial
                del self.filled[name]
            else:
                self.repairs.variables[name] = value
        return output

    def ask(self, scratch: Path) -> Output:
        more_files, more_variables = self.repairs.write(scratch)
        words = ["compose", "--project-directory", str(self.directory)]
        words += ["--profile", "*"]
        for env_file in (*self.env_files, *more_variables):
            words += ["--env-file", str(env_file)]
        for number, file in enumerate(self.files):
            used = file
            if file in self.roots:
                used = scratch / f"{number}.yml"
                used.write_text(dumped(self.roots[file]), encoding="utf-8")
            words += ["--file", str(used)]
        words += [word for file in more_files for word in ("--file", str(file))]
        return self.docker(*words, "config", "--format", "json", timeout=SECONDS)

    def words(self, output: Output, scratch: Path) -> str:
        """Return Compose's own words, with the files' names for those of copies."""
        lines = [line.strip() for line in output.stderr.splitlines()]
        said = [one for one in lines if one and not NOISE.search(one)]
        words = " ".join(said) or f"exit code {output.code}"
        for number, file in enumerate(self.files):
            words = words.replace(str(scratch / f"{number}.yml"), str(file))
        return clean(words.replace(f"{scratch}/", ""))[:MAX_WORDS] + self.too_old(words)

    def too_old(self, words: str) -> str:
        """Return what tells that a later Compose takes a key, empty for others."""
        extra = EXTRA.search(words)
        if extra is None or extra[1] not in LATER:
            return ""
        version = self.docker("compose", "version", "--short", timeout=SECONDS)
        own = f"Compose {version.stdout.strip()}" if version.code == 0 else "this one"
        return f" ({own} does not know {extra[1]}, a later one does)"

    def understood(self, words: str) -> bool:
        """Note how to get past a refusal; False when that is not known."""
        if re.search(r"required variable (\w+) is missing a value", words):
            return self.fill(self.required(words))
        if not re.search(r"validating |depends on undefined", words):
            standing = placeholders.wanted(self.documents, frozenset(self.unset))
            if self.fill(standing):
                return True
        known = self.repairs.note(words, self.documents)
        if known is None:
            return False
        if known:
            self.refusals.append((known, words))
        return True

    def required(self, words: str) -> dict[str, str]:
        match = re.search(r"required variable (\w+) is missing a value", words)
        name = match[1] if match else ""
        found = placeholders.wanted(self.documents, frozenset({name}))
        return found or {name: "unset-variable"}

    def fill(self, standing: Mapping[str, str]) -> bool:
        more = {k: v for k, v in standing.items() if k not in self.filled}
        self.filled.update(more)
        self.repairs.variables.update(more)
        return bool(more)

    def cut(self, words: str) -> bool:
        """Take out what Compose refuses; False when it stands in no file named."""
        if READABLE.search(words) and not self.roots:
            self.refusals.append(((), words))
            self.roots = {one.path: one.root for one in self.documents}
            return True
        path = place_of(words, self.documents)
        if not (len(path) > 2 and path[2] == "depends_on" and path[-1] in self.removed):  # noqa: PLR2004
            self.refusals.append((path, words))
        while path and not self.cut_at(path):
            path = path[:-1]
        return bool(path)

    def cut_at(self, path: Path_) -> bool:
        found = False
        for file in self.files:
            own = [one for one in self.documents if one.path == file]
            root = self.roots.get(file) or (own[0].root if own else Node(1, {}))
            if holds(root, path):
                self.roots[file] = without(root, path)
                found = True
        if found and len(path) == 2 and path[0] == "services":  # noqa: PLR2004
            self.removed.add(path[1])
        return (found and len(path) > 1) or (found and path == ("include",))


def put_back(
    model: dict[str, Any], repairs: Repairs, documents: Sequence[Document]
) -> dict[str, Any]:
    """Return the model with the refused parts as the files write them."""
    services = model.get("services") or {}
    for name in repairs.names:
        written = [d.find(("services", name, "container_name")) for d in documents]
        texts = [n.text() for n in written if n]
        if name in services and texts:
            services[name]["container_name"] = texts[-1]
    for name in repairs.devices:
        items = [
            item.plain()
            for document in documents
            for item in (
                document.find(("services", name, *DEVICES)) or Node(1, ())
            ).items()
        ]
        if name in services:
            limits = services[name].setdefault("deploy", {}).setdefault("resources", {})
            limits.setdefault("reservations", {})["devices"] = joined(items)
    for kind, name in repairs.declared:
        (model.get(kind) or {}).pop(name, None)
    return model


def joined(items: Sequence[Any]) -> list[dict[str, Any]]:
    """Return requests of one file set: a count beside ids is what Compose refused."""
    found = [dict(item) for item in items if isinstance(item, dict)]
    for item in found:
        if (count := whole(str(item.get("count", "")))) is not None:
            item["count"] = count
    return found
