"""What production needs besides a checkout: certificates, tokens, folders."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from string import Template

from compose_ops.config import Config
from compose_ops.docker.api import Engine
from compose_ops.errors import ConfigurationError
from compose_ops.project import env_file
from compose_ops.project.interpolation import variables
from compose_ops.runtime.setup_step import SetupStep
from compose_ops.stack import certificates, ownership
from compose_ops.stack.setup import token_steps


def steps(
    engine: Engine | None, config: Config, values: Mapping[str, str]
) -> Iterator[SetupStep]:
    """
    Yield what is still to do; *engine* gives files away where this user is not root.

    *values* are variables as Compose reads them. Raises ConfigurationError for
    certificates of which only a part is there.
    """
    images = config.backup.helper_base
    for what, act in certificates.steps(
        config, lambda keys: ownership.give(keys, engine, images)
    ):
        yield SetupStep(what, act)
    yield from token_steps(config)
    folders = data_folders(config, values)
    missing = [folder for folder in folders if not folder.is_dir()]
    if missing:
        yield SetupStep(
            "make the data folders " + ", ".join(map(str, missing)),
            lambda: ownership.make_folders(missing, engine, images),
        )


def variables_of_folders(config: Config) -> tuple[str, ...]:
    """Return the variables in the paths of the databases' folders."""
    found = (n for text in config.init.data_folders for n, _ in variables(text))
    return tuple(dict.fromkeys(found))


def data_folders(config: Config, values: Mapping[str, str]) -> Sequence[Path]:
    """Return the folders of the databases, with the variables in their paths filled."""
    known = {**env_file.read(config.example), **values}
    try:
        return [
            config.path(Template(text).substitute(known))
            for text in config.init.data_folders
        ]
    except (KeyError, ValueError) as unknown:
        raise ConfigurationError(
            f"init.data_folders names a variable without a value: {unknown}",
            hint="set it in .env",
        ) from unknown
