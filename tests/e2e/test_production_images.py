"""What only the real images can show about production. Runs with --real-images."""

import pytest
from e2e_scenario import docker

pytestmark = [pytest.mark.docker, pytest.mark.real_images]

MEMGRAPH = "memgraph/memgraph-mage:latest"


def test_memgraph_speaks_tls_by_flags_only() -> None:
    """The guide's MEMGRAPH_SSL_ variables change nothing; Bolt answers in the clear."""
    started = docker(
        *("run", "--detach", "--rm"),
        *("--env", "MEMGRAPH_SSL_CERT=/certs/cert.pem"),
        *("--env", "MEMGRAPH_SSL_KEY=/certs/key.pem"),
        MEMGRAPH,
    ).strip()
    try:
        docker(
            *("exec", started, "bash", "-c"),
            "for _ in $(seq 60); do echo 'RETURN 1;' | mgconsole && exit 0; "
            "sleep 1; done; exit 1",
        )
    finally:
        docker("rm", "--force", started)
