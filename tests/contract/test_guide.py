"""The table of the guide's settings, and the tool that holds a guide against it."""

from pathlib import Path

import guide_blocks
import guide_coverage as coverage
import pytest

GUIDE = """\
# A guide

## Base

```yaml
# docker-compose.yml
x-common: &common
  LOG_LEVEL: ${LOG_LEVEL:-info}

services:
  store:
    image: store:1
    ports:
      - "7000:7000"  # prose
    environment:
      <<: *common
      WORKERS: 2
    healthcheck:
      test: ["CMD", "probe", "--once"]
    deploy:
      resources:
        reservations:
          devices:
            - driver: nvidia
              count: 1
```

## Image

```dockerfile
# docker/services/store/Dockerfile
FROM base:1 AS builder
RUN apt-get update && apt-get install -y \\
    compiler
FROM base:1
# prose
USER store
```

### Hardening

```dockerfile
USER store

# Read-only
# docker-compose.yml
services:
  store:
    read_only: true
```

### Script

```bash
#!/bin/bash
# docker/scripts/check.sh
set -e
exit 0
```

### Type

```bash
# Start
docker-compose up -d
```

### Daemon

```yaml
# Add to /etc/docker/daemon.json:
# {
#   "runtimes": {"gpu": {"path": "gpu-runtime", "runtimeArgs": []}}
# }

services:
  store:
    runtime: gpu
```

### Tree

```
stack/
├── docker/
│   └── store/
│       └── Dockerfile
└── .env.example
```
"""

EXPECTED = {
    ("docker-compose.yml", "x-common.LOG_LEVEL", "${LOG_LEVEL:-info}"),
    ("docker-compose.yml", "services.store.image", "store:1"),
    ("docker-compose.yml", "services.store.ports[7000:7000]", "7000:7000"),
    (
        "docker-compose.yml",
        "services.store.environment.LOG_LEVEL",
        "${LOG_LEVEL:-info}",
    ),
    ("docker-compose.yml", "services.store.environment.WORKERS", "2"),
    (
        "docker-compose.yml",
        "services.store.healthcheck.test",
        '["CMD", "probe", "--once"]',
    ),
    (
        "docker-compose.yml",
        "services.store.deploy.resources.reservations.devices[0].driver",
        "nvidia",
    ),
    (
        "docker-compose.yml",
        "services.store.deploy.resources.reservations.devices[0].count",
        "1",
    ),
    ("docker/services/store/Dockerfile", "builder/FROM[1]", "base:1 AS builder"),
    (
        "docker/services/store/Dockerfile",
        "builder/RUN[1]",
        "apt-get update && apt-get install -y compiler",
    ),
    ("docker/services/store/Dockerfile", "runtime/FROM[1]", "base:1"),
    ("docker/services/store/Dockerfile", "runtime/USER[1]", "store"),
    ("", "runtime/USER[1]", "store"),
    ("docker-compose.yml", "services.store.read_only", "true"),
    ("docker/scripts/check.sh", "line[#!/bin/bash]", "#!/bin/bash"),
    ("docker/scripts/check.sh", "line[set -e]", "set -e"),
    ("docker/scripts/check.sh", "line[exit 0]", "exit 0"),
    ("", "typed[docker-compose up -d]", "docker-compose up -d"),
    ("/etc/docker/daemon.json", "runtimes.gpu.path", "gpu-runtime"),
    ("/etc/docker/daemon.json", "runtimes.gpu.runtimeArgs", "[]"),
    ("", "services.store.runtime", "gpu"),
    ("", "tree[docker/]", "docker/"),
    ("", "tree[docker/store/]", "docker/store/"),
    ("", "tree[docker/store/Dockerfile]", "docker/store/Dockerfile"),
    ("", "tree[.env.example]", ".env.example"),
}


def test_every_kind_of_block_is_read_setting_by_setting() -> None:
    """Prose, comments and blank lines are no settings; everything else is."""
    found, unreadable = guide_blocks.parse_guide(GUIDE)

    assert {(row.file, row.path, row.text) for row in found} == EXPECTED
    assert len(found) == len(EXPECTED)
    assert unreadable == []


@pytest.mark.parametrize("number", range(len(EXPECTED)))
def test_a_setting_taken_out_of_the_table_is_found(number: int) -> None:
    """Whichever row the table lacks, that one and no other is reported."""
    found, _ = guide_blocks.parse_guide(GUIDE)
    gone = found[number]
    table = [row for row in found if row.key != gone.key]

    lacking = coverage.missing(found, table)

    assert gone in lacking
    assert {row.key for row in lacking} == {gone.key}


def test_a_changed_value_or_file_is_found() -> None:
    """The same path with another value, or in another named file, is not covered."""
    found, _ = guide_blocks.parse_guide(GUIDE)
    changed, _ = guide_blocks.parse_guide(GUIDE.replace("WORKERS: 2", "WORKERS: 3"))
    moved, _ = guide_blocks.parse_guide(
        GUIDE.replace("# docker/scripts/check.sh", "# docker/scripts/other.sh")
    )

    assert [row.text for row in coverage.missing(changed, found)] == ["3"]
    assert len(coverage.missing(moved, found)) == 3
    assert coverage.missing(found, found) == []


def test_an_inserted_instruction_is_the_only_one_reported() -> None:
    """Instructions are compared by stage and text, not by their number."""
    found, _ = guide_blocks.parse_guide(GUIDE)
    more, _ = guide_blocks.parse_guide(
        GUIDE.replace("RUN apt-get", "RUN make\nRUN apt-get", 1)
    )

    assert [row.text for row in coverage.missing(more, found)] == ["make"]


@pytest.mark.parametrize(
    "block",
    ["```yaml\na: [1\n```\n", "```toml\na = 1\n```\n", "```yaml\na: 1\n"],
    ids=["broken yaml", "unknown language", "open fence"],
)
def test_what_cannot_be_read_is_said(
    block: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A block without a reader is exit status 2, never a silent pass."""
    guide = tmp_path / "guide.md"
    guide.write_text(block)

    assert coverage.main([str(guide)]) == 2
    assert "unreadable: line" in capsys.readouterr().out


def test_the_exit_status_says_whether_the_table_is_complete(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A guide made of the table's own rows lacks nothing; one row more lacks one."""
    guide = tmp_path / "guide.md"
    text = "```yaml\nservices:\n  memgraph:\n    restart: unless-stopped\n"

    guide.write_text(text + "```\n")
    assert coverage.main([str(guide)]) == 0
    assert "1 settings parsed, 0 missing" in capsys.readouterr().out

    guide.write_text(text + "    mem_swappiness: 0\n```\n")
    assert coverage.main([str(guide)]) == 1
    output = capsys.readouterr().out
    assert "services.memgraph.mem_swappiness = 0" in output
    assert "2 settings parsed, 1 missing" in output


def test_a_guide_that_is_not_there_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing file is reported without a traceback."""
    assert coverage.main([str(tmp_path / "none.md")]) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_the_table_has_each_row_once() -> None:
    """A row names a section, a file and a path; the same one twice is a slip."""
    table = coverage.load_table()
    rows = [(row.section, row.file, row.path) for row in table]

    assert len(rows) == len(set(rows))
    assert all(row.section and row.file and row.path for row in table)
