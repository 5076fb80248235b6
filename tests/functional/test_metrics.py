"""Prometheus's own programs read the metrics and the rules of the docs."""

import os
import re
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from repository import ROOT
from waiting import eventually

from compose_ops.notify import metrics
from compose_ops.state.runs import Copy, Run, Runs

TIME = "2026-11-28T03:00:00+00:00"
KNOWN = Runs(
    TIME,
    {"backup": Run(TIME, TIME, 12.5, 7, 'a "disk"\nis full', TIME)},
    (
        Copy("db", '/sets "of" \\shop', TIME, TIME, "", 4096, 12.5, 1.5, 7),
        Copy("db", "far"),
    ),
)


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None and os.environ.get("CI", "").lower() == "true":
        pytest.fail(f"no {name}: ./scripts/test.sh brings it")
    if found is None:
        pytest.skip(f"no {name}: ./scripts/test.sh brings it")
    return found


@pytest.fixture
def exporter(tmp_path: Path) -> Iterator[str]:
    """Return the address of a node exporter that reads a folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    words = [
        "--collector.disable-defaults",
        "--collector.textfile",
        f"--collector.textfile.directory={tmp_path}",
        f"--web.listen-address={address}",
    ]
    with subprocess.Popen(
        [program("prometheus-node-exporter"), *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            yield address
        finally:
            process.terminate()


def scraped(address: str) -> str:
    with suppress(OSError), urllib.request.urlopen(f"http://{address}/metrics") as page:
        return str(page.read().decode())
    return ""


def test_node_exporter_serves_what_was_written(tmp_path: Path, exporter: str) -> None:
    """Two projects side by side, whatever a destination is called."""
    for project in ("shop", "other"):
        metrics.write(tmp_path, project, KNOWN)
    eventually(lambda: bool(scraped(exporter)))
    page = scraped(exporter)

    assert "node_textfile_scrape_error 0" in page
    assert len(re.findall(r"^compose_ops_backup_exit_code\{", page, re.MULTILINE)) == 4
    assert re.search(
        r'^compose_ops_backup_downtime_seconds\{destination="/sets \\"of\\" \\\\shop",'
        r'project="shop",service="db"\} 1\.5$',
        page,
        re.MULTILINE,
    )


def test_promtool_finds_nothing_in_the_metrics(tmp_path: Path) -> None:
    file = metrics.write(tmp_path, "shop", KNOWN)

    done = subprocess.run(
        [program("promtool"), "check", "metrics"],
        input=file.read_bytes(),
        capture_output=True,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_rules_of_the_docs_pass_and_are_about_metrics_that_exist(
    tmp_path: Path,
) -> None:
    text = (ROOT / "docs/unattended.md").read_text()
    (rules,) = re.findall(r"^```yaml\n(groups:.*?)^```", text, re.MULTILINE | re.DOTALL)
    (tmp_path / "rules.yml").write_text(rules)
    written = metrics.write(tmp_path, "shop", KNOWN).read_text()

    done = subprocess.run(
        [program("promtool"), "check", "rules", str(tmp_path / "rules.yml")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 rules found" in done.stdout
    for name in re.findall(r"compose_ops_\w+", text):
        assert f"# TYPE {name} gauge" in written


def test_file_is_replaced_whole(tmp_path: Path) -> None:
    """A reader that has it open keeps the old one; nothing else stays in the folder."""
    first = metrics.write(tmp_path, "shop", Runs())
    with first.open() as held:
        metrics.write(tmp_path, "shop", KNOWN)
        assert "task=" not in held.read()

    assert [path.name for path in tmp_path.iterdir()] == ["compose-ops-shop.prom"]
