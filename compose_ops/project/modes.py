"""Which compose files make up the stack: stage, offline, GPU and further overlays."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from compose_ops.docker.api import DIRECTORY_LABEL, FILES_LABEL, EngineInfo
from compose_ops.errors import UsageError
from compose_ops.project.paths import BASE_FILE, OVERLAYS, STAGE_FILES

STAGES = ("base", "dev", "prod")
GPU_CHOICES = ("auto", "on", "off")

# Images of services that only dev or prod have: an overlay cannot name them without
# adding the service to every stage, so they are variables, and the mode sets them.
STANDIN_IMAGES = {
    "LAB_IMAGE": "localhost/jimbot-standin-lab:latest",
    "HAPROXY_IMAGE": "localhost/jimbot-standin-haproxy:latest",
}


@dataclass(frozen=True, slots=True)
class Mode:
    """How the stack is (to be) started. `gpu` says whether a GPU is asked for."""

    stage: str = "base"
    offline: bool = False
    gpu: bool = True
    overlays: tuple[str, ...] = ()

    def files(self) -> tuple[str, ...]:
        """Return the compose files in order, relative to the checkout."""
        stage = [STAGE_FILES[self.stage]] if self.stage != "base" else []
        device = ["offline"] if self.offline else [] if self.gpu else ["cpu"]
        overlays = [f"{OVERLAYS}/{name}.yml" for name in (*device, *self.overlays)]
        return (BASE_FILE, *stage, *overlays)

    def environment(
        self,
        values: Mapping[str, str] | None = None,
        defaults: Mapping[str, str] | None = None,
    ) -> dict[str, str]:
        """
        Return the variables that this mode sets over *values*, those of `.env`.

        A stand-in that `.env` names gives way to the *defaults* when this is online.
        """
        if self.offline:
            return dict(STANDIN_IMAGES)
        return {
            name: (defaults or {})[name]
            for name, standin in STANDIN_IMAGES.items()
            if (values or {}).get(name) == standin and name in (defaults or {})
        }

    def flags(self) -> str:
        """Return the flags of `invoke up` that select this mode."""
        words = [f"--{self.stage}"] if self.stage != "base" else []
        words += ["--offline"] if self.offline else []
        words += [f"--overlay {name}" for name in self.overlays]
        return " ".join(words)

    def __str__(self) -> str:
        device = "stand-ins" if self.offline else "GPU" if self.gpu else "CPU"
        return ", ".join([self.stage, device, *self.overlays])


def check_overlays(names: tuple[str, ...], root: Path) -> tuple[str, ...]:
    """Return *names*; UsageError for one that has no file."""
    there = sorted(path.stem for path in (root / OVERLAYS).glob("*.yml"))
    for name in names:
        if name not in there:
            raise UsageError(
                f"there is no overlay named {name!r}",
                hint=f"one of: {', '.join(there)}",
            )
    return names


def from_labels(labels: Mapping[str, str]) -> tuple[Path, Mode]:
    """Return the directory and the mode that Compose's labels of a container name."""
    directory = Path(labels.get(DIRECTORY_LABEL, ""))
    names = [Path(file) for file in labels.get(FILES_LABEL, "").split(",")]
    stage = next(
        (s for s, f in STAGE_FILES.items() if f in {n.name for n in names}), "base"
    )
    overlays = [n.stem for n in names if n.parent.name == "overlays"]
    return directory, Mode(
        stage=stage,
        offline="offline" in overlays,
        gpu="offline" not in overlays and "cpu" not in overlays,
        overlays=tuple(name for name in overlays if name not in {"offline", "cpu"}),
    )


def selected(
    flags: Mode, gpu: str, started: Mode | None, info: EngineInfo | None
) -> tuple[Mode, str]:
    """Return the mode of the flags, else the one that was started, and why its GPU."""
    if flags != Mode() or started is None:
        return choose_gpu(flags, gpu, info)
    return choose_gpu(started, gpu, info) if gpu != "auto" else (started, "")


def choose_gpu(mode: Mode, wish: str, info: EngineInfo | None) -> tuple[Mode, str]:
    if mode.offline:
        if wish == "on":
            raise UsageError(
                "--gpu on and --offline exclude each other",
                hint="the stand-ins compute on the CPU; leave one of them out",
            )
        return _with_gpu(mode, gpu=False), "the offline stack computes on the CPU"
    if wish != "auto":
        return _with_gpu(mode, gpu=wish == "on"), f"--gpu {wish}"
    if info is not None and "nvidia" in info.runtimes:
        return _with_gpu(mode, gpu=True), "the engine has the nvidia runtime"
    why = "the engine has no nvidia runtime: docker/overlays/cpu.yml"
    return _with_gpu(mode, gpu=False), why


def _with_gpu(mode: Mode, *, gpu: bool) -> Mode:
    return Mode(mode.stage, mode.offline, gpu, mode.overlays)
