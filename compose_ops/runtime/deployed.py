"""The compose file of what updates deployed, which later tasks keep."""

from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp

from compose_ops.console import say
from compose_ops.docker.api import EngineInfo
from compose_ops.errors import ConfigurationError
from compose_ops.project.paths import DEPLOYED_FILE, OWN_STATE, STATE
from compose_ops.runtime import passing
from compose_ops.state import folder, lock, store


def deployed_files(
    root: Path,
    project: str,
    info: EngineInfo | None,
    wanted: Callable[[Path], str | None],
    *,
    read_only: bool,
    is_locked: bool = False,
) -> tuple[Path, ...]:
    """
    Return the compose file of what updates deployed, none where there is nothing.

    *wanted* returns its text for a folder of state, None where nobody knows it. A file
    with another text is written anew: Compose takes an empty one for no change of the
    others. Who only reads gets one that ends with this process; so does who does not
    hold the project's lock (*is_locked*) while another task does.
    """
    if info is None:
        return ()
    file = folder.of(root, info.id, project) / DEPLOYED_FILE
    try:
        is_there = file.exists()
    except PermissionError as refused:
        if read_only:
            return ()
        raise ConfigurationError(
            f"what tasks remember in {file.parents[2].name} is closed to this user",
            hint=f"make it yours: {OWN_STATE.replace(STATE, file.parents[2].name)}",
        ) from refused
    # An update writes it last: so what is wanted is never older than what is read.
    found = _text(file)
    text = wanted(file.parent)
    if text is None or text == found or not (text or is_there):
        return (file,) if is_there else ()
    read_only = read_only or (not is_locked and bool(lock.holder(info.id, project)))
    return _renewed(file, text, read_only=read_only)


def _text(file: Path) -> str | None:
    """Return what the file holds, None for what is no text."""
    try:
        return store.read_bytes(file).decode()
    except (OSError, ValueError):
        return None


def _renewed(file: Path, text: str, *, read_only: bool) -> tuple[Path, ...]:
    damaged = f"warning: {file} is not what was deployed"
    if read_only:
        say(f"{damaged}; the next task that changes something writes it anew")
        file = Path(mkdtemp(dir=passing.folder())) / file.name
    else:
        say(f"{damaged}: it is written anew")
    if text:
        store.write(file, text)
    elif not read_only:
        store.remove(file)
    return (file,) if text else ()
