"""No input ends in a traceback, hangs, or points behind its file's end."""

import fuzz
import pytest

BLOCKS = 4
EACH = 500


@pytest.mark.parametrize("block", range(BLOCKS))
def test_generated_projects_are_judged_or_refused(block: int) -> None:
    """Two thousand generated projects are judged, or refused with a reason."""
    found = fuzz.run(range(block * EACH, (block + 1) * EACH))

    assert found.total() == EACH
    assert found["judged"] > EACH // 2
