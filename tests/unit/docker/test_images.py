"""Names of images: several of them mean the same one."""

import pytest
from docker_script import Client, printing

from compose_ops.docker.client import DockerEngine

DIGEST = "sha256:" + "ab" * 32
IMAGE = {
    "Id": "sha256:" + "12" * 32,
    "RepoTags": ["redis:latest", "redis:7", "localhost/app:1", "localhost:5000/x:2"],
    "RepoDigests": [f"redis@{DIGEST}"],
}


@pytest.mark.parametrize(
    "name",
    [
        "redis",
        "redis:latest",
        "docker.io/redis",
        "docker.io/library/redis:7",
        "index.docker.io/library/redis:7",
        f"redis@{DIGEST}",
        f"docker.io/library/redis:9@{DIGEST}",
        "localhost/app:1",
        "localhost:5000/x:2",
        "sha256:" + "12" * 32,
        "12" * 6,
    ],
)
def test_image_is_there_by_each_of_its_names(client: Client, name: str) -> None:
    """One that counted as absent would be built again, or refused."""
    client(printing([IMAGE]))

    assert set(DockerEngine().images([name])) == {name}


@pytest.mark.parametrize(
    "name",
    ["redis:8", "library/app:1", "app:1", "redis@sha256:" + "cd" * 32, "x:2"],
)
def test_another_image_is_not_there(client: Client, name: str) -> None:
    client(printing([IMAGE]))

    assert not DockerEngine().images([name])
