"""The registry is whole: known facts, real gates, a current page."""

from types import SimpleNamespace
from typing import Any

from repository import ROOT

from compose_ops.cli.doctor_reference import PAGE, page
from compose_ops.doctor import requirements
from compose_ops.doctor.facts.project import absent_images
from compose_ops.doctor.registry import FACTS, GIVEN, limit
from compose_ops.project.model import Model

NETWORK_SECONDS = 1.0


def test_every_need_is_a_fact() -> None:
    known = requirements.registered()

    needs = {n for check in known.values() for n in check.needs}
    needs |= {n for fact in FACTS.values() for n in fact.needs}
    assert needs <= FACTS.keys() | GIVEN


def test_every_check_has_a_limit_and_says_why() -> None:
    for check in requirements.registered().values():
        assert 0 < limit(check) <= 60
        assert check.summary.endswith(".")
        assert check.why.endswith(".")


def test_gates_name_checks() -> None:
    known = requirements.registered()

    assert {
        *requirements.UP,
        *requirements.ROLLOUT,
        *requirements.RESTORE,
    } <= known.keys()


def test_page_is_what_the_checks_make_of_it() -> None:
    """Run `python -m compose_ops.cli.doctor_reference` after a change."""
    assert page() == (ROOT / PAGE).read_text()


def test_network_checks_have_a_second() -> None:
    """What a registry does not say within one second is not waited for."""
    asked: list[tuple[str, float]] = []

    def registry_answers(reference: str, *, timeout: float) -> None:
        asked.append((reference, timeout))

    services = {"questdb": {"image": "questdb:7"}, "app": {"build": "."}}
    stack: Any = SimpleNamespace(
        project="trial", engine=SimpleNamespace(registry_answers=registry_answers)
    )
    model = Model({"name": "trial", "services": services})

    found = absent_images(stack, model, tuple(services), {})

    assert [(one.service, one.is_obtainable) for one in found] == [("questdb", None)]
    assert [name for name, _ in asked] == ["questdb:7"]
    assert all(0 < seconds <= NETWORK_SECONDS for _, seconds in asked)


def test_start_requires_what_its_services_cannot_run_without() -> None:
    needed = {"bind-folders", "data-owners", "key-private", "secret-readable"}

    assert needed <= {*requirements.UP}
