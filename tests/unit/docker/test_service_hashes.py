"""Compose hashes what it creates, not what stands in the files."""

import json
from dataclasses import replace

import pytest
from docker_script import Client
from fakes import container

from compose_ops.docker import service_hashes
from compose_ops.docker.client import DockerEngine
from compose_ops.errors import ConfigurationError

SERVICES = {
    "vpn": {"image": "vpn"},
    "client": {"image": "client", "network_mode": "service:vpn", "pid": "service:vpn"},
    "reader": {"image": "reader", "volumes_from": ["vpn"]},
    "lonely": {"image": "lonely", "ipc": "service:absent"},
}
MERGED = json.dumps({"name": "trial", "services": SERVICES})
BODY = """
if "--hash" in sys.argv:
    given = json.load(sys.stdin)["services"]
    for name, service in given.items():
        print(name, "from", "merged" if "merged" in service else "files")
else:
    print('{"name": "trial", "services": {"web": {"merged": 1}, "r": {"merged": 1, '
          '"volumes_from": ["web"]}}}')
"""


def test_shared_namespace_is_that_of_the_first_container() -> None:
    there = [
        container("vpn", id="second", number=2),
        container("vpn", id="first", number=1),
        container("vpn", id="other", project="other"),
    ]

    found = json.loads(service_hashes.as_created(MERGED, there))["services"]

    assert found["client"]["network_mode"] == found["client"]["pid"]
    assert found["client"]["pid"] == "container:first"
    assert found["lonely"]["ipc"] == "service:absent"
    assert found["vpn"] == SERVICES["vpn"]


def test_one_off_container_is_nobodys_namespace() -> None:
    labels = {"com.docker.compose.oneoff": "True"}
    one_off = replace(container("vpn", id="one-off"), labels=labels)

    assert json.loads(service_hashes.as_created(MERGED, [one_off])) == json.loads(
        MERGED
    )


def test_hash_is_asked_of_the_merged_model_in_which_env_files_are_read(
    client: Client,
) -> None:
    """`config --hash` of the files differs from what `up` writes, for ever."""
    asked = client(BODY)

    hashes = DockerEngine(files=[]).config_hashes()

    assert hashes == {"web": "from merged"}
    assert [words[-3:] for words, _, _ in asked.runs] == [
        ["config", "--format", "json"],
        ["config", "--hash", "*"],
    ]


@pytest.mark.parametrize("services", ['{"--help": {}}', '{"web": {"image": "-v/:/x"}}'])
def test_name_that_is_an_option_is_refused(client: Client, services: str) -> None:
    """Compose takes a service called `--help`; its commands would take a flag."""
    client(f'print(\'{{"name": "trial", "services": {services}}}\')')

    with pytest.raises(ConfigurationError, match="looks like an option"):
        DockerEngine(files=[]).model()
