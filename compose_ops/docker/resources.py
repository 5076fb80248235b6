"""The adapter's volume, network and image verbs."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from compose_ops.docker import parse, process
from compose_ops.docker.api import PROJECT_LABEL, Image, Network, Volume
from compose_ops.docker.base import Client
from compose_ops.errors import EngineError


def _flags(flag: str, values: Mapping[str, str]) -> list[str]:
    return [word for k, v in values.items() for word in (flag, f"{k}={v}")]


def _of(project: str | None) -> list[str]:
    return [] if project is None else [f"label={PROJECT_LABEL}={project}"]


class ResourceVerbs(Client):
    def volume(self, name: str) -> Volume | None:
        found = self.inspect("volume", [name])
        return parse.volume(found[0]) if found else None

    def volumes(self, *, project: str | None = None) -> tuple[Volume, ...]:
        found = self.listed("volume", _of(project))
        return tuple(parse.volume(data) for data in found)

    def create_volume(
        self,
        name: str,
        *,
        labels: Mapping[str, str],
        options: Mapping[str, str] | None = None,
    ) -> None:
        flags = [*_flags("--label", labels), *_flags("--opt", options or {})]
        self.checked("volume", "create", *flags, name)

    def remove_volume(self, name: str) -> None:
        self.call(lambda docker: docker.volume.remove(name))

    def networks(self, *, project: str | None = None) -> tuple[Network, ...]:
        found = self.listed("network", _of(project))
        return tuple(parse.network(data) for data in found)

    def create_network(
        self, name: str, *, internal: bool, labels: Mapping[str, str], subnet: str = ""
    ) -> None:
        flags = [*_flags("--label", labels), *(["--internal"] if internal else [])]
        flags += ["--subnet", subnet] if subnet else []
        self.checked("network", "create", *flags, name)

    def remove_network(self, name: str) -> None:
        self.call(lambda docker: docker.network.remove(name))

    def connect(
        self, network: str, container: str, *, aliases: Sequence[str] = ()
    ) -> None:
        flags = [word for alias in aliases for word in ("--alias", alias)]
        names = {"Container": container, "EndpointConfig": {"Aliases": list(aliases)}}
        self.act(
            ("network", "connect", *flags, network, container),
            f"networks/{quote(network)}/connect",
            names,
        )

    def disconnect(self, network: str, container: str) -> None:
        self.act(
            ("network", "disconnect", network, container),
            f"networks/{quote(network)}/disconnect",
            {"Container": container},
        )

    def image(self, reference: str) -> Image | None:
        found = self.inspect("image", [reference])
        return parse.image(found[0]) if found else None

    def images(self, references: Iterable[str]) -> Mapping[str, Image]:
        names = sorted(set(references))
        found = [parse.image(data) for data in self.inspect("image", names)]
        return {
            name: image
            for name in names
            for image in found
            if name in {image.id, *image.tags} or f"{name}:latest" in image.tags
        }

    def tag(self, image: str, tag: str) -> None:
        self.call(lambda docker: docker.image.tag(image, tag))

    def remove_image(self, reference: str) -> None:
        self.call(lambda docker: docker.image.remove(reference))

    def registry_answers(self, reference: str, *, timeout: float) -> bool | None:
        output = self.docker(
            "buildx", "imagetools", "inspect", "--raw", reference, timeout=timeout
        )
        return parse.registry_answer(output.code, output.stderr)

    def build_image(
        self,
        context: Path,
        *,
        tag: str,
        file: str = "",
        arguments: Mapping[str, str] | None = None,
        contexts: Mapping[str, str] | None = None,
        target: str = "",
    ) -> None:
        flags = [
            *_flags("--build-arg", arguments or {}),
            *_flags("--build-context", contexts or {}),
            *(["--file", file] if file else []),
            *(["--target", target] if target else []),
        ]
        argv = self.docker_command(
            "buildx",
            "build",
            "--load",
            "--progress",
            "plain",
            "--tag",
            tag,
            *flags,
            str(context),
        )
        output = process.run(argv, echo=self.echo)
        if output.code != 0:
            raise EngineError(
                f"the image {tag} did not build",
                hint=f"docker build {context} shows the whole log",
                detail="\n".join(output.stderr.strip().splitlines()[-15:]),
            )
