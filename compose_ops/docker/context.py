"""Which engine the docker client talks to, as its flags, variables and files select."""

import json

from compose_ops.docker.api import Endpoint


def endpoint(printed: str) -> Endpoint:
    """Read what `docker context inspect --format '{{json .}}'` prints."""
    data = json.loads(printed)
    host = (data.get("Endpoints") or {}).get("docker", {}).get("Host", "")
    return Endpoint(context=data.get("Name", ""), host=host)
