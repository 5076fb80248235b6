"""What production needs besides a checkout: certificates, a token, folders."""

from collections.abc import Iterator
from pathlib import Path

from compose_ops.docker.api import Engine
from compose_ops.project import env_file
from compose_ops.project.paths import ENV_EXAMPLE, ROOT
from compose_ops.runtime.setup_step import SetupStep
from compose_ops.stack import certificates, ownership
from compose_ops.stack.local_images import BASE_IMAGE
from compose_ops.stack.setup import token_steps

DATA_FOLDERS = ("memgraph", "questdb")
DEFAULT_DATA_ROOT = "/data/jimbot"


def steps(engine: Engine | None, root: Path = ROOT) -> Iterator[SetupStep]:
    """
    Yield what is still to do; *engine* gives files away where this user is not root.

    Raises ConfigurationError for certificates of which only a part is there.
    """
    values = env_file.read(root / ENV_EXAMPLE) | env_file.settings(root)
    images = (BASE_IMAGE, f"{env_file.project_name(values)}-memgraph")
    for what, act in certificates.steps(
        root, lambda keys: ownership.give(keys, engine, images)
    ):
        yield SetupStep(what, act)
    yield from token_steps(root)
    data = Path(values.get("DATA_ROOT") or DEFAULT_DATA_ROOT)
    missing = [data / n for n in DATA_FOLDERS if not (data / n).is_dir()]
    if missing:
        yield SetupStep(
            "make the databases' folders " + ", ".join(map(str, missing)),
            lambda: ownership.make_folders(missing, engine, images),
        )
