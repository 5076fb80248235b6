"""The helper answers every request, whatever happens in it."""

import gc
import io
import sys
from typing import Any

import pytest
from volume_helper import __main__ as helper_program
from volume_helper.failure import Failed


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Failed("no room", kind="full"), {"failed": "no room", "kind": "full"}),
        (OSError(28, "No space left", "/f"), {"failed": "No space left: /f"}),
        (RecursionError("too deep"), {"failed": "RecursionError: too deep"}),
        (KeyError("restore"), {"failed": "KeyError: 'restore'"}),
    ],
)
def test_a_request_that_fails_is_answered(
    monkeypatch: pytest.MonkeyPatch, fault: Exception, said: dict[str, str]
) -> None:
    def fail(_request: Any) -> dict[str, Any]:
        raise fault

    answers: list[Any] = []
    monkeypatch.setattr(helper_program, "ACTIONS", {"weigh": fail})
    monkeypatch.setattr(helper_program, "_say", answers.append)

    request = io.TextIOWrapper(io.BytesIO(b'{"do": "weigh"}\n'))
    monkeypatch.setattr(sys, "stdin", request)
    monkeypatch.setattr(gc, "disable", lambda: None)

    assert helper_program.main() == 0
    assert answers == [said]
