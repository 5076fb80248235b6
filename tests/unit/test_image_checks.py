"""An image that a registry lacks is a failure; one it does not speak of is none."""

from types import SimpleNamespace
from typing import Any

import pytest
from judging import STACK, judge

from compose_ops.docker.parse import registry_answer
from compose_ops.doctor import requirements
from compose_ops.doctor.facts.project import AbsentImage
from compose_ops.errors import ConfigurationError
from compose_ops.project.model import Model
from compose_ops.verdicts import Row

MODEL = Model({"name": "trial", "services": {"questdb": {"image": "questdb:7"}}})


def row(*, is_obtainable: bool | None) -> Row:
    absent = (AbsentImage("questdb", "questdb:7", is_obtainable),)
    return judge(
        "images-obtainable",
        stack=STACK,
        model=MODEL,
        wanted=("questdb",),
        absent_images=absent,
    )


def test_registrys_three_answers_are_told_apart() -> None:
    assert row(is_obtainable=True).outcome == "ok"
    assert row(is_obtainable=False).outcome == "fail"
    assert row(is_obtainable=None).outcome == "warn"
    assert "did not answer in time" in row(is_obtainable=None).detail
    assert row(is_obtainable=None).repair == "docker pull questdb:7"


@pytest.mark.parametrize("is_obtainable", [None, False])
def test_slow_registry_does_not_stop_a_start(
    monkeypatch: pytest.MonkeyPatch, *, is_obtainable: bool | None
) -> None:
    found = (row(is_obtainable=is_obtainable),)
    monkeypatch.setattr(requirements, "run", lambda *_, **__: found)
    stack: Any = SimpleNamespace(known=None)

    if is_obtainable is None:
        requirements.require(stack, ["images-obtainable"])
    else:
        with pytest.raises(ConfigurationError, match="no registry has it"):
            requirements.require(stack, ["images-obtainable"])


@pytest.mark.parametrize(
    ("code", "words", "answer"),
    [
        (0, "", True),
        (124, "", None),
        (1, "ERROR: questdb/questdb:x: not found", False),
        (1, "ERROR: pull access denied, repository does not exist", False),
        (1, "dial tcp: lookup registry.example: no such host", False),
        (1, "toomanyrequests: You have reached your pull rate limit", None),
        (1, "unexpected status from HEAD request to x: 503 Unavailable", None),
        (1, "net/http: TLS handshake timeout", None),
        (1, "docker: 'buildx' is not a docker command.", None),
        (1, 'error getting credentials - err: exec: "docker-credential-x"', None),
    ],
)
def test_what_buildx_says_of_an_image(
    code: int, words: str, *, answer: bool | None
) -> None:
    assert registry_answer(code, words) is answer
