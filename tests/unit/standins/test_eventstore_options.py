"""Where the EventStoreDB stand-in's options come from, and which are refused."""

from pathlib import Path

import pytest
from eventstore_standin.options import OptionError, read_options


def test_later_sources_win(tmp_path: Path) -> None:
    """The file, then variables, then the command line."""
    file = tmp_path / "eventstore.conf"
    file.write_text("# comment\nNodeIp: 0.0.0.0\nNodePort: 1\nHttpPort: '1'  # x\n")
    environment = {
        "EVENTSTORE_CONFIG": str(file),
        "EVENTSTORE_NODE_PORT": "2",
        "EVENTSTORE_LOG": "here",
        "LOG_LEVEL": "info",
        "PATH": "/bin",
    }
    options = read_options(
        ["--log=there", "--cluster-size", "1", "--insecure"], environment
    )

    assert options.given["NodeIp"] == "0.0.0.0"
    assert options.number("NodePort", default=0) == 2
    assert options.given["HttpPort"] == "1"
    assert options.given["Log"] == "there"
    assert options.given["ClusterSize"] == "1"
    assert options.flag("Insecure")


@pytest.mark.parametrize("text", ["true", "True", "1"])
def test_yes_has_several_forms(text: str) -> None:
    """As Compose writes YAML's booleans."""
    assert read_options([], {"EVENTSTORE_MEM_DB": text}).flag("MemDb")


def test_unknown_options_are_fatal_unless_allowed() -> None:
    """A shared env file with EVENTSTORE_HOST stops the node."""
    environment = {"EVENTSTORE_HOST": "x"}
    with pytest.raises(OptionError, match="The option Host is not a known option"):
        read_options([], environment)
    with pytest.raises(OptionError, match="Nonsense"):
        read_options(["--nonsense"], {})
    environment["EVENTSTORE_ALLOW_UNKNOWN_OPTIONS"] = "true"
    assert read_options([], environment).given["Host"] == "x"


def test_a_flag_that_is_none_is_refused() -> None:
    """Neither true nor false."""
    with pytest.raises(OptionError, match="perhaps"):
        read_options([], {"EVENTSTORE_INSECURE": "perhaps"}).flag("Insecure")
