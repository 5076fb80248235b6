"""Which files a mode means, and reading it back from those that were started."""

from pathlib import Path

import pytest
from repository import own_mode, own_modes

from compose_ops.errors import UsageError
from compose_ops.project.modes import (
    Mode,
    Modes,
    ModeSettings,
    OverlaySettings,
    labelled,
)

MODES = dict(own_modes().combinations())
each_mode = pytest.mark.parametrize("mode", MODES.values(), ids=list(MODES))


def names(mode: Mode) -> list[str]:
    return [file.name for file in mode.files]


@each_mode
def test_started_files_give_the_mode_back(mode: Mode) -> None:
    """What Compose writes on a container is enough to find the mode again."""
    assert own_modes().from_files(mode.files) == mode


@each_mode
def test_every_file_of_a_mode_exists(mode: Mode) -> None:
    """A mode that a task can select has all its files."""
    assert [file for file in mode.files if not file.is_file()] == []


def test_mode_that_combines_comes_after_the_other() -> None:
    """Stand-ins replace what a mode adds, so their overlay is read later."""
    found = own_modes().select(["offline", "prod"])

    assert names(found)[1:] == ["docker-compose.prod.yml", "offline.yml"]


def test_modes_that_do_not_combine_exclude_each_other() -> None:
    with pytest.raises(UsageError, match="--dev and --prod exclude each other"):
        own_modes().select(["dev", "prod"])


@pytest.mark.parametrize("unknown", ["ray-tmpsf", "../../secrets/x"])
def test_unknown_overlay_is_refused_with_the_known_ones(unknown: str) -> None:
    """A typing error in --overlay names what there is."""
    with pytest.raises(UsageError) as refused:
        own_modes().select(overlays=[unknown])

    assert "ray-tmpfs" in refused.value.hint


def test_unknown_mode_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError) as refused:
        own_modes().select(["staging"])

    assert refused.value.hint == "one of: base, dev, prod, offline, swarm"


def test_project_may_have_any_modes() -> None:
    """Names and their number are the project's; the one with most files is meant."""
    base, one, two = (Path(f"/srv/{name}.yml") for name in ("base", "one", "two"))
    modes = Modes(
        (base,),
        {"qa": ModeSettings("qa", (one,)), "eu-1": ModeSettings("eu-1", (one, two))},
    )

    assert modes.select(["eu-1"]).files == (base, one, two)
    assert modes.from_files([base, one, two]).names == ("eu-1",)
    assert modes.from_files([base, one]).names == ("qa",)


def test_facts_of_the_engine_switch_overlays() -> None:
    """Without an overlay that depends on a GPU nothing is said of one."""
    base, slim = Path("/srv/base.yml"), Path("/srv/slim.yml")
    modes = Modes((base,), switched=(OverlaySettings("slim", "arm64", (slim,)),))

    assert modes.select(facts=["arm64", "no-gpu"]).files == (base, slim)
    assert modes.select(facts=["amd64", "no-gpu"]).files == (base,)
    assert modes.select().gpu is None


def test_files_that_no_mode_explains_stay_as_they_were_started(tmp_path: Path) -> None:
    """`docker compose -f a -f b up` by hand is not undone by the next task."""
    base, extra = tmp_path / "compose.yaml", tmp_path / "mine.yml"
    for file in (base, extra):
        file.touch()

    found = Modes((base,)).from_files([base, extra])

    assert found.files == (base, extra)
    assert found.has_other_files


@pytest.mark.parametrize(
    ("started", "gone"),
    [
        (["compose.yaml"], []),
        (["compose.yaml", "dev.yaml"], []),
        (["compose.yaml", "more.yaml", "old.yaml"], ["old.yaml"]),
        (["old.yaml"], ["old.yaml"]),
        (["old.yaml", "dev.yaml"], ["old.yaml"]),
    ],
)
def test_files_that_joined_or_were_renamed_since_the_start_are_taken(
    tmp_path: Path, started: list[str], gone: list[str]
) -> None:
    """As `docker compose up` does; the mode stays."""
    base, dev = (tmp_path / "compose.yaml", tmp_path / "more.yaml"), "dev.yaml"
    modes = Modes(base, {"dev": ModeSettings("dev", (tmp_path / dev,))})
    for name in {*names(modes.select(["dev"])), *started} - {*gone}:
        (tmp_path / name).touch()

    found = modes.from_files([tmp_path / name for name in started])

    assert found == modes.select(["dev"] if dev in started else [])
    assert names(found) == ["compose.yaml", "more.yaml", *([dev] * (dev in started))]


def test_value_of_a_mode_that_is_off_gives_way_to_the_example() -> None:
    """`.env` may name a stand-in: `init` wrote it where no registry answered."""
    standin = own_mode("dev", offline=True).environment["LAB_IMAGE"]
    example = {"LAB_IMAGE": "memgraph/lab:3"}

    def lab(mode: Mode, value: str) -> str | None:
        values = {"LAB_IMAGE": value}
        return own_modes().environment(mode, values, example).get("LAB_IMAGE")

    assert lab(own_mode("dev"), standin) == "memgraph/lab:3"
    assert lab(own_mode("dev"), "mine:1") is None
    assert lab(own_mode("dev", offline=True), "mine:1") == standin


def test_labels_name_folder_and_files(tmp_path: Path) -> None:
    """Compose writes both on every container."""
    labels = {
        "com.docker.compose.project.working_dir": str(tmp_path),
        "com.docker.compose.project.config_files": f"{tmp_path}/a.yml,{tmp_path}/b.yml",
    }

    assert labelled(labels) == (tmp_path, (tmp_path / "a.yml", tmp_path / "b.yml"))
