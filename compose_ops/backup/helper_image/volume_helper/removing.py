"""Remove folders, however deep they are."""

import subprocess
from pathlib import Path

from volume_helper.failure import Failed


def remove(folder: Path) -> None:
    """
    Remove a folder with all that it holds. Raises Failed where some of it stays.

    `shutil.rmtree` calls itself for each level, and Python ends that at a thousand.
    """
    done = subprocess.run(["rm", "-rf", "--", folder], capture_output=True, check=False)
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").splitlines()
        first = (said or ["rm failed"])[0].removeprefix("rm: ")
        raise Failed(f"not all could be removed: {first}")
