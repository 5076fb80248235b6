"""The adapter's compose verbs."""

import subprocess
from collections.abc import Iterable, Mapping
from json import loads
from typing import Any

from compose_ops.docker import process
from compose_ops.docker.base import CONFIG_SECONDS, Client


class ComposeVerbs(Client):
    def profiled_services(self) -> frozenset[str]:
        argv = self.compose_command("--profile", "*", "config", "--services")
        output = process.run(argv, echo=self.echo, timeout=CONFIG_SECONDS)
        return frozenset(process.check(output, argv).stdout.split())

    def model(self) -> dict[str, Any]:
        found: dict[str, Any] = loads(self.merged("--format", "json"))
        return found

    def config_hashes(self) -> dict[str, str]:
        lines = self.merged("--hash", "*").splitlines()
        return dict(line.split(maxsplit=1) for line in lines if line.strip())

    def up(
        self,
        services: Iterable[str] = (),
        *,
        build: bool = False,
        start: bool = True,
        dependencies: bool = True,
        recreate: str = "changed",
        remove_orphans: bool = False,
        scale: Mapping[str, int] | None = None,
    ) -> None:
        self.call(
            lambda docker: docker.compose.up(
                list(services) or None,
                build=build,
                detach=start,
                start=start,
                dependencies=dependencies,
                recreate=recreate != "never",
                force_recreate=recreate == "always",
                remove_orphans=remove_orphans,
                scales=dict(scale or {}),
                quiet=True,
            )
        )

    def build(
        self, services: Iterable[str] = (), *, cache: bool = True, pull: bool = False
    ) -> None:
        self.call(
            lambda docker: docker.compose.build(
                list(services) or None, cache=cache, pull=pull, quiet=True
            )
        )

    def pull(self, services: Iterable[str] = ()) -> None:
        self.compose("pull", "--quiet", "--ignore-buildable", *services)

    def compose_stop(
        self, services: Iterable[str] = (), *, timeout: int | None = None
    ) -> None:
        limit = [] if timeout is None else ["--timeout", str(timeout)]
        self.compose("stop", *limit, *services)

    def compose_start(self, services: Iterable[str] = ()) -> None:
        self.compose("start", *services)

    def down(self, *, volumes: bool = False, remove_orphans: bool = True) -> None:
        self.call(
            lambda docker: docker.compose.down(
                remove_orphans=remove_orphans, volumes=volumes, quiet=True
            )
        )

    def follow_logs(
        self, services: Iterable[str] = (), *, tail: int | None, follow: bool
    ) -> int:
        limit = [] if tail is None else ["--tail", str(tail)]
        argv = self.compose_command(
            "logs", *limit, *(["--follow"] if follow else []), *services
        )
        self.echo(argv)
        try:
            return subprocess.run(argv, check=False).returncode
        except FileNotFoundError as missing:
            raise process.no_client() from missing
