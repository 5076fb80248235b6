"""Units and lines for cron say exactly what is to run, whatever paths are called."""

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from schedules import NASTY, planned, read_unit

from compose_ops.errors import ConfigurationError
from compose_ops.schedule import cron, units

PATHS = ["/opt/shop", f"/{NASTY}"]


def systemd_analyze() -> str:
    found = shutil.which("systemd-analyze")
    if found is None:
        pytest.skip("no systemd-analyze")
    return found


@pytest.mark.parametrize("name", ["plain", NASTY])
def test_systemd_finds_nothing_to_say(tmp_path: Path, name: str) -> None:
    """It exits 0 even for keys that it does not know: silence is the test."""
    folder = tmp_path / name
    folder.mkdir()
    program = folder / "compose-ops"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    made = units.files(planned(folder, program=str(program)))
    for file, text in made.items():
        (tmp_path / file).write_text(text)
    verify = [systemd_analyze(), "verify", "--man=no", "--recursive-errors=no"]

    done = subprocess.run(
        [*verify, *(str(tmp_path / file) for file in made)],
        capture_output=True,
        text=True,
        check=False,
    )

    # A machine's own units may be worth a word of it.
    about_ours = [line for line in done.stderr.splitlines() if "compose-ops-" in line]
    assert (about_ours, done.stdout, done.returncode) == ([], "", 0)


def test_every_job_has_a_service_and_its_timer() -> None:
    made = units.files(planned(Path("/opt/shop")))

    assert {name.removeprefix("compose-ops-shop-") for name in made} == {
        f"{job}.{kind}"
        for job in ("backup", "verify", "drill", "recover")
        for kind in ("service", "timer")
    }


def test_machine_that_was_off_makes_up_for_it_and_spreads_the_load() -> None:
    made = units.files(planned(Path("/opt/shop")))
    timer = read_unit(made["compose-ops-shop-backup.timer"])

    assert timer["Persistent"] == ["true"]
    assert timer["RandomizedDelaySec"] == ["900"]
    assert timer["FixedRandomDelay"] == ["true"]


def test_recovery_runs_after_a_boot() -> None:
    schedule = planned(Path("/opt/shop"))
    service = read_unit(units.files(schedule)["compose-ops-shop-recover.service"])

    assert service["WantedBy"] == ["multi-user.target"]
    assert "docker.service" in service["After"][0]
    assert "compose-ops-shop-recover.service" in units.enabled(schedule)


@pytest.mark.parametrize("folder", PATHS)
def test_line_of_cron_runs_in_the_folder_with_the_variables(
    tmp_path: Path, folder: str
) -> None:
    """As cron does it: a bare `%` ends a command, and /bin/sh reads it."""
    here = tmp_path / folder.lstrip("/")
    here.mkdir(parents=True)
    program = here / "compose-ops"
    program.write_text('#!/bin/sh\necho "$PWD|$COMPOSE_OPS_LOCK_WAIT|$*" >"$0.said"\n')
    program.chmod(0o755)
    schedule = planned(here, program=str(program), delay=0)
    line = cron.lines(schedule)["backup"]
    assert "%" not in line.replace("\\%", "")
    command = line.replace("\\%", "%").split(" ", 5)[5]

    subprocess.run(
        ["/bin/sh", "-c", command],
        env={"HOME": "/", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        check=False,
    )

    said = Path(f"{program}.said").read_text().strip()
    assert said == f"{here}|3600|backup --all --keep-daily 14"


def test_machine_decides_when_its_cron_begins() -> None:
    """Many machines of one schedule do not start at once, one always at its time."""
    schedule = planned(Path("/opt/shop"))
    naps = {
        cron.delay(schedule, schedule.jobs[0], machine)
        for machine in map(str, range(50))
    }

    assert len(naps) > 25
    assert all(0 <= nap <= 900 for nap in naps)
    assert cron.lines(schedule, "m")["backup"] == cron.lines(schedule, "m")["backup"]


def test_crontab_keeps_the_lines_of_others() -> None:
    schedule = planned(Path("/opt/shop"))
    other = "5 5 * * * echo mine\n1 1 * * * x # compose-ops:shop2:backup\n"
    once = cron.changed(other, "shop", cron.lines(schedule, "m"))
    twice = cron.changed(once, "shop", cron.lines(schedule, "m"))

    assert once.startswith(other)
    assert twice == once
    gone = cron.changed(twice, "shop", dict.fromkeys(cron.marks(twice, "shop"), ""))
    assert gone == other


def test_path_that_no_unit_can_hold_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "a\nb"
    folder.mkdir()

    with pytest.raises(ConfigurationError, match="cannot stand in a unit"):
        planned(folder)


def test_password_of_the_engine_stays_out_of_units(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "ssh://root:hunter2hunter2@far")

    with pytest.raises(
        ConfigurationError, match="DOCKER_HOST holds a password"
    ) as told:
        planned(Path("/opt/shop"))

    assert "hunter2" not in str(told.value)


def test_jobs_find_the_docker_client_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What else the shell's PATH names is no matter of theirs."""
    (tmp_path / "docker").write_text("#!/bin/sh\n")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"/nowhere:{tmp_path}")

    assert planned(Path("/opt/shop")).environment["PATH"] == (
        f"{tmp_path}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    )


@pytest.mark.parametrize("folder", PATHS)
def test_unit_is_read_back_word_by_word(folder: str) -> None:
    schedule = planned(Path(folder), program=f"{folder}/a b/compose-ops")
    service = read_unit(units.files(schedule)["compose-ops-shop-backup.service"])
    (line,) = service["ExecStart"]
    words = [w.replace("%%", "%").replace("$$", "$") for w in shlex.split(line)]

    assert words[-5:] == [
        f"{folder}/a b/compose-ops",
        "backup",
        "--all",
        "--keep-daily",
        "14",
    ]
    assert service["WorkingDirectory"] == [folder.replace("%", "%%")]
