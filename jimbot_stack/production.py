"""What production needs besides what every checkout has: certificates and folders."""

from collections.abc import Iterator
from pathlib import Path

from jimbot_stack import certificates, environment, ownership
from jimbot_stack.engine import Engine
from jimbot_stack.initialise import Step
from jimbot_stack.offline import BASE_IMAGE
from jimbot_stack.paths import ENV_EXAMPLE, ROOT

DATA_FOLDERS = ("memgraph", "questdb")
DEFAULT_DATA_ROOT = "/data/jimbot"


def steps(engine: Engine | None, root: Path = ROOT) -> Iterator[Step]:
    """
    Yield what is still to do; *engine* gives files away where this user is not root.

    Raises ConfigurationError for certificates of which only a part is there.
    """
    values = environment.read(root / ENV_EXAMPLE) | environment.settings(root)
    images = (BASE_IMAGE, f"{environment.project_name(values)}-memgraph")
    for what, act in certificates.steps(
        root, lambda keys: ownership.give(keys, engine, images)
    ):
        yield Step(what, act)
    data = Path(values.get("DATA_ROOT") or DEFAULT_DATA_ROOT)
    missing = [data / n for n in DATA_FOLDERS if not (data / n).is_dir()]
    if missing:
        yield Step(
            "make the databases' folders " + ", ".join(map(str, missing)),
            lambda: ownership.make_folders(missing, engine, images),
        )
