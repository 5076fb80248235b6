"""
Generated files for the linter: nothing may end in a traceback, or take long.

    PYTHONPATH=.:tests/lint python tests/lint/fuzz.py [--count N] [--compose N]

Each number makes one project: a compose file from a grammar, then mutated as text; a
Dockerfile, an ignore file and an example of `.env` likewise. Without Compose the model
is what the grammar knows of it; with it (`--compose`) the whole way is gone.
"""

import argparse
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from compose_ops.errors import ConfigurationError
from compose_ops.lint import LintSettings, check_all, composefile
from compose_ops.lint.check import all_rules, skipped
from compose_ops.lint.loader import Combination, assemble
from compose_ops.lint.output import FORMATS, rendered
from compose_ops.lint.report import LintReport
from compose_ops.lint.tolerant_config import Merged

SECONDS = 5.0
NAMES = ("app", "db", "web-1", "x", "cache.io", "a_b")
IMAGES = (
    "postgres:18",
    "postgres",
    "nginx:1.27-alpine",
    "example/app:1",
    "redis@sha256:0",
    "node:22-slim",
    "memgraph/memgraph:latest",
    "questdb/questdb:7.3",
    "eventstore/eventstore:23.10.0",
    "app:",
    "${IMAGE}",
    "python:3.12-slim",
)
WORDS = (
    "curl",
    "-f",
    "http://localhost",
    "||",
    "exit 1",
    "$HOME",
    "nginx",
    "ray start --head",
    "'",
    '"',
    "$(",
    "`",
    "{{x}}",
    "nc -z",
    "",
    "\u00e9\u4e2d",
    "--retries=$N",
    "*",
    "[",
    "\\",
)
TEXTS = (
    "x",
    "",
    "${A}",
    "${B:-c}",
    "${C:?no}",
    "$$x",
    "${A:-${B}}",
    "postgres://u:p@db/x",
    "http://web-1:80/",
    "changeme",
    "1",
    "/run/secrets/x",
    "%",
    "::error::",
    "\x1b[31m",
)
KEYS = ("DB_PASSWORD", "API_TOKEN", "DB_HOST", "VERSION", "CUDA_VISIBLE_DEVICES", "X")


def one(r: random.Random, *choices: Any) -> Any:
    return r.choice(choices)


def words(r: random.Random) -> list[str]:
    return [r.choice(WORDS) for _ in range(r.randint(0, 5))]


def port(r: random.Random) -> dict[str, Any]:
    target = r.choice((80, 5432, 9000, 1113, 3000))
    found: dict[str, Any] = {"target": target, "protocol": r.choice(("tcp", "udp"))}
    if r.random() < 0.8:
        found["published"] = r.choice(("8000", "8000-8005", "0", "5432", ""))
    if r.random() < 0.5:
        found["host_ip"] = r.choice(("127.0.0.1", "0.0.0.0", "::", "::1"))
    return found


def mount(r: random.Random) -> dict[str, Any]:
    kind = r.choice(("volume", "bind", "tmpfs"))
    targets = (
        "/data",
        "/var/lib/postgresql/data",
        "/",
        "/etc/x.conf",
        "/tmp/[a",
        "/a b",
    )
    sources = {"volume": ("data", "logs"), "bind": ("/x.conf", "/var/run/docker.sock")}
    found = {"type": kind, "target": r.choice(targets)}
    if kind in sources:
        found["source"] = r.choice(sources[kind])
    return found


def check(r: random.Random) -> dict[str, Any]:
    forms: tuple[Any, ...] = (
        ["CMD", *words(r)],
        ["CMD-SHELL", *words(r)],
        ["NONE"],
        [" ".join(words(r)) or "x"],
    )
    return {
        "test": r.choice(forms),
        "interval": one(r, "5s", "1m0s", "10ms"),
        "retries": r.randint(0, 9),
    }


def service(r: random.Random) -> dict[str, Any]:
    """Return a service as Compose prints it."""
    parts: dict[str, Callable[[], Any]] = {
        "build": lambda: {
            "context": "FOLDER",
            "dockerfile": "Dockerfile",
            "args": {k: r.choice(TEXTS) for k in r.sample(KEYS, 2)},
            **({"target": r.choice(("a", "b", "9"))} if r.random() < 0.3 else {}),
        },
        "command": lambda: one(r, None, words(r)),
        "entrypoint": lambda: one(r, None, words(r)),
        "container_name": lambda: r.choice(NAMES),
        "environment": lambda: {
            k: one(r, None, r.choice(TEXTS)) for k in r.sample(KEYS, 3)
        },
        "ports": lambda: [port(r) for _ in range(r.randint(0, 3))],
        "volumes": lambda: [mount(r) for _ in range(r.randint(0, 3))],
        "healthcheck": lambda: check(r),
        "depends_on": lambda: {
            name: {"condition": one(r, "service_started", "service_healthy")}
            for name in r.sample(NAMES, 2)
        },
        "networks": lambda: {
            n: one(r, None, {"aliases": [r.choice(NAMES)]}) for n in ("front", "back")
        },
        "network_mode": lambda: one(r, "host", "none", "service:app"),
        "profiles": lambda: [r.choice(("a", "b"))],
        "deploy": lambda: {
            "replicas": r.randint(0, 3),
            "update_config": {"order": one(r, "start-first", "stop-first")},
            "resources": {"limits": {"memory": "1g", "cpus": one(r, 1, "0.5")}},
            **({"placement": {"constraints": ["x==y"]}} if r.random() < 0.2 else {}),
        },
        "user": lambda: one(r, "", "0", "1000:1000", "${U}"),
        "tmpfs": lambda: ["/data:size=1m"],
        "security_opt": lambda: ["no-new-privileges:true"],
        "labels": lambda: {"compose-ops.rollout.port": "80"},
        "extra_hosts": lambda: ["db=1.2.3.4", "x:host-gateway"],
        "privileged": lambda: r.random() < 0.5,
        "cap_add": lambda: ["SYS_ADMIN"],
        "stop_grace_period": lambda: "1m0s",
    }
    found = {key: make() for key, make in parts.items() if r.random() < 0.3}
    if r.random() < 0.9 or "build" not in found:
        found["image"] = r.choice(IMAGES)
    return found


def model(r: random.Random) -> dict[str, Any]:
    """Return a merged model."""
    return {
        "name": "fuzz",
        "services": {n: service(r) for n in r.sample(NAMES, r.randint(1, 4))},
        "networks": {
            "front": {"internal": r.random() < 0.5},
            "back": {
                "ipam": {"config": [{"subnet": one(r, "10.0.0.0/8", "10.1.0.0/16")}]}
            },
        },
        "volumes": {"data": {}, "logs": {"name": "x"}},
        "secrets": {"s": {"file": "FOLDER/x.conf"}},
    }


INSTRUCTIONS = (
    "FROM debian:12 AS a",
    "FROM a AS b",
    "FROM ${BASE}",
    "FROM --platform=$BUILDPLATFORM node:22-slim",
    "ARG BASE=alpine:3.20",
    "ARG API_TOKEN",
    'ENV DB_PASSWORD="x y" B=1',
    "COPY . .",
    "COPY --from=a --chmod=755 /x /y",
    'COPY ["a b", "/c"]',
    "COPY <<EOF /x\nbody\nEOF",
    "RUN <<-'A' <<B\n\tone\n\tA\ntwo\nB",
    "RUN --mount=type=bind,from=b apt-get install -y curl \\\n  # inside\n\n  nc",
    "RUN echo $((1 << 2)) <<< x",
    "WORKDIR rel",
    "USER 1000",
    "VOLUME /data /x",
    "HEALTHCHECK --interval=5s CMD curl x || true",
    'SHELL ["bash", "-c"]',
    'CMD ["nginx"]',
    "ENTRYPOINT exec top",
    "ONBUILD COPY x y",
    "COPY **/[a-z*.txt[ /x",
    "# lint-accept root-user: why",
    "RUN x <<",
    "COPY",
    "FROM",
)


def dockerfile(r: random.Random) -> str:
    head = one(r, "", "# escape=`\n", "# syntax=docker/dockerfile:1\n", "\ufeff", "\n")
    lines = [r.choice(INSTRUCTIONS) for _ in range(r.randint(0, 9))]
    text = head + one(r, "\n", "\r\n").join(lines)
    return mutated(r, text) if r.random() < 0.3 else str(text)


def written(r: random.Random, plain: Any, indent: int = 0) -> str:
    """Return a model as YAML, in a style of chance."""
    pad = "  " * indent
    if isinstance(plain, dict) and plain:
        return "\n" + "\n".join(
            f"{pad}{key}: {written(r, value, indent + 1).rstrip()}"
            for key, value in plain.items()
        )
    if isinstance(plain, list) and plain:
        if r.random() < 0.3:
            return json.dumps(plain)
        return "\n" + "\n".join(
            f"{pad}- {written(r, item, indent + 1).strip()}" for item in plain
        )
    if isinstance(plain, str):
        quoted = "'" + plain.replace("'", "''").replace("\x1b", "") + "'"
        return str(one(r, quoted, f"&n{r.randint(0, 2)} {quoted}"))
    if plain is None or isinstance(plain, bool):
        return {None: "null", True: "true", False: "false"}[plain]
    return str(plain or (plain if isinstance(plain, int) else type(plain)()))


NOISE = ("\t", "\r\n", "\u2028", "&a ", "*a", "<<: *a\n", "!reset ", "---\n", "{", "]",
         ": ", "\x00", "\ud7ff", "'", "|\n", "? ", "%", "\ufeff", "- ", "#",
         "\x85")  # fmt: skip


def mutated(r: random.Random, text: str) -> str:
    """Return a text with a few places changed."""
    for _ in range(r.randint(1, 4)):
        at = r.randint(0, len(text))
        text = one(
            r,
            text[:at] + r.choice(NOISE) + text[at:],
            text[:at] + text[at + r.randint(1, 9) :],
            text[:at] + text[max(at - 30, 0) : at] + text[at:],
        )
    return text


def write(number: int, folder: Path) -> dict[str, Any]:
    """Write the project of a number into a folder and return its model."""
    r = random.Random(number)
    made: dict[str, Any] = model(r)
    text = written(r, made).replace("FOLDER", ".")
    text = mutated(r, text) if r.random() < 0.35 else text
    encoding = one(r, "utf-8", "utf-8", "utf-8", "utf-8-sig", "latin-1")
    (folder / "compose.yml").write_bytes(text.encode(encoding, errors="replace"))
    for name, content in (
        ("Dockerfile", dockerfile(r)),
        (".dockerignore", "\n".join([*r.sample(WORDS, 4), "!x", "**/a", "[z-a]"])),
        (".env.example", mutated(r, "A=1\n# B=2\nexport C=$A\n")),
    ):
        if r.random() < 0.7:
            (folder / name).write_bytes(content.encode("utf-8", errors="replace"))
    found: dict[str, Any] = absolute(made, folder)
    return found


def absolute(plain: Any, folder: Path) -> Any:
    if isinstance(plain, dict):
        return {key: absolute(value, folder) for key, value in plain.items()}
    if isinstance(plain, list):
        return [absolute(value, folder) for value in plain]
    return plain.replace("FOLDER", str(folder)) if isinstance(plain, str) else plain


def judge(number: int, folder: Path, ask: Any = None) -> str:
    """
    Judge the project of a number: `judged`, or `refused` where its YAML is none.

    Raises what the linter raises, and TimeoutError for more than a few seconds.
    """
    made = write(number, folder)
    file = folder / "compose.yml"
    begin = time.monotonic()
    try:
        read = composefile.read_all([file])
    except ConfigurationError:
        return "refused"
    merged = ask(read, file, folder) if ask else Merged(made, unset=frozenset({"A"}))
    targets = assemble([Combination("fuzz", (file,))], [read], [merged], root=folder)
    report = LintReport(
        check_all(targets), skipped(targets), (), len(all_rules()), LintSettings()
    )
    for form in FORMATS:
        rendered(report, form)
    if not ask and time.monotonic() - begin > SECONDS:
        raise TimeoutError(f"number {number} took {time.monotonic() - begin:.1f} s")
    lines = len(composefile.text_of(file).splitlines()) + 1
    wrong = [f for f in report.findings if f.file == "compose.yml" and f.line > lines]
    assert wrong == [], number
    return "judged" if merged.model else "judged without a model"


def compose(read: Any, file: Path, folder: Path) -> Merged:
    from lint_record import docker

    from compose_ops.lint.tolerant_config import merge

    return merge(read, [file], directory=folder, docker=docker)


def run(numbers: range, ask: Any = None) -> Counter[str]:
    """Judge many projects and count how they end."""
    found: Counter[str] = Counter()
    for number in numbers:
        with TemporaryDirectory() as folder:
            try:
                found[judge(number, Path(folder), ask)] += 1
            except Exception:
                sys.stderr.write(f"number {number}\n")
                raise
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--compose", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1_000_000)
    asked = parser.parse_args()
    os.environ.pop("COMPOSE_FILE", None)
    first = asked.seed
    print(dict(run(range(first, first + asked.count))))  # noqa: T201 - its result
    print(dict(run(range(first, first + asked.compose), compose)))  # noqa: T201


if __name__ == "__main__":
    main()
