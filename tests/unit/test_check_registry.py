"""The registry is whole: known facts, real gates, a current page."""

from jimbot_stack import checks
from jimbot_stack.checks.reference import PAGE, page
from jimbot_stack.checks.registry import FACTS, GIVEN, limit
from jimbot_stack.paths import ROOT

NETWORK = {"unreachable"}


def test_every_need_is_a_fact() -> None:
    known = checks.registered()

    needs = {n for check in known.values() for n in check.needs}
    needs |= {n for fact in FACTS.values() for n in fact.needs}
    assert needs <= FACTS.keys() | GIVEN


def test_every_check_has_a_limit_and_says_why() -> None:
    for check in checks.registered().values():
        assert 0 < limit(check) <= 60
        assert check.summary.endswith(".")
        assert check.why.endswith(".")


def test_gates_name_checks() -> None:
    known = checks.registered()

    assert {*checks.UP, *checks.ROLLOUT, *checks.RESTORE} <= known.keys()


def test_page_is_what_the_checks_make_of_it() -> None:
    """Run `python -m jimbot_stack.checks.reference` after a change."""
    assert page() == (ROOT / PAGE).read_text()
