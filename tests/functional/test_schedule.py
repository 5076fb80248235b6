"""A schedule as a user installs it, and its command lines in their own environment."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from repository import ROOT
from schedules import read_unit

from compose_ops import Stack
from compose_ops.errors import ComposeOpsError, ConfigurationError, EngineError
from compose_ops.library.unattended import Scheduling
from compose_ops.schedule import manage, systemd, trust, units
from compose_ops.state import runs
from compose_ops.state.runs import Run

TOML = """
[schedule]
keep_daily = 14
[backup]
destination = "sets"
"""
PROGRAMS = {
    "crontab": """
case "$*" in
*-l) cat crontab.txt 2>/dev/null || { echo "no crontab for root" >&2; exit 1; } ;;
*-r) rm crontab.txt ;;
*) cat >crontab.new; ! grep -q refused crontab.new || { echo bad minute >&2; exit 1; }
   mv crontab.new crontab.txt ;;
esac""",
    "systemctl": """
echo "$*" >>systemctl.txt
case "$*" in *"$(cat systemctl.refuses 2>/dev/null || echo nothing)"*)
    echo "Failed to do it" >&2; exit 1 ;; esac""",
    "logger": "cat",
}


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project, on a machine whose cron and systemd are scripts."""
    for name in [
        name for name in os.environ if name.startswith(("COMPOSE_", "DOCKER_"))
    ]:
        monkeypatch.delenv(name)
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in PROGRAMS.items():
        (programs / name).write_text(f"#!/bin/sh\ncd '{tmp_path}'\n{text}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    monkeypatch.setattr(systemd, "RUNNING", tmp_path / "nowhere")
    monkeypatch.setattr(systemd, "FOLDER", tmp_path)
    # What the machine that runs the tests lets others write to is not the matter.
    monkeypatch.setattr(trust, "interpreter", list)
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "compose.yaml").write_text("services: {web: {image: 'nginx:1.27'}}\n")
    (folder / ".env").write_text("COMPOSE_PROJECT_NAME=shop\n")
    (folder / "compose-ops.toml").write_text(TOML)
    return folder


def scheduling(shop: Path, *only: str) -> Scheduling:
    return Stack.open(shop).scheduling(program="compose-ops", only=only)


def crontab(shop: Path) -> str:
    file = shop.parent / "crontab.txt"
    return file.read_text() if file.exists() else ""


def with_systemd(monkeypatch: pytest.MonkeyPatch, shop: Path) -> None:
    monkeypatch.setattr(systemd, "RUNNING", shop.parent)


def said(shop: Path) -> list[str]:
    return (shop.parent / "systemctl.txt").read_text().splitlines()


def states(found: Scheduling) -> dict[str, str]:
    return {job.name: job.state for job in found.status()}


def test_cron_gets_each_job_once_and_loses_all(shop: Path) -> None:
    (shop.parent / "crontab.txt").write_text("5 5 * * * mine\n")
    scheduling(shop).install()
    scheduling(shop).install()
    assert len(crontab(shop).splitlines()) == 6
    assert set(states(scheduling(shop)).values()) == {"scheduled"}

    scheduling(shop).remove()

    assert crontab(shop) == "5 5 * * * mine\n"


def test_change_of_the_configuration_is_seen_and_taken_over(shop: Path) -> None:
    scheduling(shop).install()
    (shop / "compose-ops.toml").write_text(
        TOML.replace("[schedule]", '[schedule]\nbackup = "03:30"\ndrill = ""')
    )
    assert states(scheduling(shop))["backup"] == "changed"

    scheduling(shop).install()

    assert states(scheduling(shop))["backup"] == "scheduled"
    assert "30 3 * * *" in crontab(shop)
    assert "compose-ops drill" not in crontab(shop)


def test_recovery_alone_leaves_other_jobs_as_they_are(shop: Path) -> None:
    scheduling(shop, "recover").install(whole=False)
    assert states(scheduling(shop)) == {
        **dict.fromkeys(("backup", "verify", "drill"), "absent"),
        "recover": "scheduled",
    }
    assert "@reboot" in crontab(shop)

    scheduling(shop).install()
    scheduling(shop, "recover").install(whole=False)

    assert set(states(scheduling(shop)).values()) == {"scheduled"}


def test_units_are_written_enabled_and_taken_away(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_systemd(monkeypatch, shop)
    written = [Path(path) for path in scheduling(shop).install()]

    assert len(written) == 8
    assert {stat.S_IMODE(path.stat().st_mode) for path in written} == {0o644}
    assert said(shop)[0] == "daemon-reload"
    (enabled,) = [line for line in said(shop) if line.startswith("enable ")]
    assert "compose-ops-shop-recover.service" in enabled
    assert "compose-ops-shop-backup.timer" in enabled
    assert set(states(scheduling(shop)).values()) == {"scheduled"}

    scheduling(shop).remove()

    assert [path for path in written if path.exists()] == []
    assert any(line.startswith("disable --now") for line in said(shop))


def test_timer_that_somebody_stopped_is_not_scheduled(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_systemd(monkeypatch, shop)
    scheduling(shop).install()
    (shop.parent / "systemctl.refuses").write_text(
        "is-active --quiet compose-ops-shop-drill"
    )

    assert states(scheduling(shop))["drill"] == "changed"


@pytest.mark.parametrize("refused", ["daemon-reload", "enable ", "restart "])
def test_refusal_of_systemd_leaves_the_units_from_before(
    shop: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    with_systemd(monkeypatch, shop)
    scheduling(shop).install()
    before = {path: path.read_text() for path in shop.parent.glob("compose-ops-shop-*")}
    (shop / "compose-ops.toml").write_text('[schedule]\nbackup = "03:30"\ndrill = ""\n')
    (shop.parent / "systemctl.refuses").write_text(refused)

    with pytest.raises(EngineError, match="systemctl"):
        scheduling(shop).install()

    now = {path: path.read_text() for path in shop.parent.glob("*compose-ops-shop-*")}
    assert now == before


@pytest.mark.parametrize("is_systemd", [False, True])
def test_project_of_the_same_name_elsewhere_is_left_alone(
    shop: Path, monkeypatch: pytest.MonkeyPatch, *, is_systemd: bool
) -> None:
    if is_systemd:
        with_systemd(monkeypatch, shop)
    scheduling(shop).install()
    other = shop.with_name("other")
    shop.rename(other)

    with pytest.raises(ConfigurationError, match="another folder"):
        scheduling(other).install()


def test_machine_without_cron_is_told(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(shop))

    with pytest.raises(ConfigurationError, match="neither a running systemd nor cron"):
        scheduling(shop).install()


def open_secret(shop: Path) -> None:
    (shop / "urls").write_text("json://host\n")
    (shop / "urls").chmod(0o644)


def writable_toml(shop: Path) -> None:
    (shop / "compose-ops.toml").chmod(0o666)


def wrong_pace(shop: Path) -> None:
    (shop / "compose-ops.toml").write_text('[schedule]\nbackup = "nightly"\n')


def nobody_of_that_name(shop: Path) -> None:
    (shop / "compose-ops.toml").write_text('[schedule]\nuser = "nobody-of-that-name"\n')


def drill_without_a_key(shop: Path) -> None:
    text = '[schedule]\nencrypt = ["age1qqq"]\n'
    (shop / "compose-ops.toml").write_text(text)


def key_that_is_not_there(shop: Path) -> None:
    (shop / "compose-ops.toml").write_text('[schedule]\nidentity = "nowhere"\n')


def metrics_without_a_folder(shop: Path) -> None:
    (shop / "compose-ops.toml").write_text('[metrics]\nfolder = "nowhere"\n')


@pytest.mark.parametrize(
    "change",
    [
        *(open_secret, wrong_pace, nobody_of_that_name, metrics_without_a_folder),
        *(drill_without_a_key, key_that_is_not_there),
        pytest.param(
            writable_toml,
            marks=pytest.mark.skipif(os.geteuid() != 0, reason="a job of root's"),
        ),
    ],
)
@pytest.mark.parametrize("text", ['[notify]\nurls = "urls"\n'])
def test_what_would_fail_at_night_is_refused_by_day(
    shop: Path, change: Callable[[Path], None], text: str
) -> None:
    (shop / "compose-ops.toml").write_text(text)
    (shop / "urls").write_text("json://host\n")
    (shop / "urls").chmod(0o600)
    change(shop)

    with pytest.raises(ConfigurationError):
        scheduling(shop).install()

    assert crontab(shop) == ""


def test_unit_of_another_user_is_roots_matter(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4711)

    with pytest.raises(ComposeOpsError, match="only root may arrange"):
        scheduling(shop)


@pytest.mark.parametrize("job", ["backup", "verify", "drill", "recover"])
def test_command_line_of_a_unit_works_in_its_environment(shop: Path, job: str) -> None:
    """It finds program, project and engine, here one that does not answer: exit 5."""
    schedule = scheduling(shop).schedule
    unit = read_unit(units.files(schedule)[f"compose-ops-shop-{job}.service"])
    found = next(one for one in schedule.jobs if one.name == job)
    pairs = (line.strip('"').split("=", 1) for line in unit["Environment"])

    done = subprocess.run(
        schedule.command(found),
        cwd=unit["WorkingDirectory"][0],
        env={"HOME": "/root", "USER": "root", **dict(pairs)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 5, done.stderr
    assert "no Docker Engine answers" in done.stderr
    assert runs.load(shop, "shop").tasks[job].exit_code == 5


def test_output_of_the_task_is_for_people_and_machines(shop: Path) -> None:
    """--print shows what would be written, and changes nothing."""

    def typed(*words: str) -> Any:
        return subprocess.run(
            [sys.executable, "-m", "compose_ops", *words],
            cwd=shop,
            capture_output=True,
            text=True,
            check=False,
        )

    if Path("/run/systemd/system").is_dir():
        pytest.skip("the real systemd would be asked")
    shown = typed("schedule", "--print")
    status = json.loads(typed("schedule", "--status", "--json").stdout)

    assert "backup --all --keep-daily 14" in shown.stdout
    assert [job["state"] for job in status["jobs"]] == ["absent"] * 4
    assert typed("schedule", "--print", "--status").returncode == 2
    assert crontab(shop) == ""


def ran(days: float) -> Run:
    time = (datetime.now(UTC) - timedelta(days=days)).isoformat()
    return Run(time, time, 1.0, 0)


def test_jobs_that_a_machine_slept_through_are_known(shop: Path) -> None:
    """A job that never ran was not missed: its time is still to come."""
    found = scheduling(shop)
    found.install()
    tasks = {"backup": ran(2), "drill": ran(0.001)}
    runs.update(shop, "shop", lambda _now: runs.Runs(tasks=tasks))

    missed = manage.missed(found.schedule, found.manager, shop, datetime.now(UTC))

    assert missed == ["backup"]
