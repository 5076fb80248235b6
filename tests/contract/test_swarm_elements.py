"""Every element of Compose's schema is translated, dropped or refused, as Swarm is."""

import pytest
from docker_schemas import compose_schema, elements, stack_schema

from compose_ops.swarm.elements import KEPT, REFUSED, TRANSLATED, UNKNOWN, load
from compose_ops.swarm.translate import TRANSLATIONS

pytestmark = pytest.mark.compose

COMPOSE_ONLY = {
    # An older Compose does not know them; newer ones do.
    "services.*.annotations",
    "services.*.gpus",
    "services.*.label_file",
    "services.*.networks.*.gw_priority",
    "services.*.post_start",
    "services.*.pre_stop",
    "networks.*.enable_ipv4",
}


def test_every_element_has_a_row() -> None:
    """A new key of Compose must be decided on before a user meets it."""
    without = {e for e in elements(compose_schema()) if load().row(e).reason == UNKNOWN}

    assert without == set()


def test_no_row_is_about_nothing() -> None:
    """Each row is an element of the schema, so that the table tells no tales."""
    assert load().rows.keys() - elements(compose_schema()) <= COMPOSE_ONLY


def test_what_is_kept_is_in_docker_s_own_format() -> None:
    """Swarm takes every element that the table keeps."""
    table, taken = load(), elements(stack_schema())
    kept = {e for e in elements(compose_schema()) if table.row(e).outcome == KEPT}

    assert kept - taken == set()


def test_what_is_refused_or_dropped_gives_a_reason() -> None:
    """A user reads why, and no reason ends like a sentence of its own."""
    told = [row for row in load().rows.values() if row.outcome != KEPT]

    assert all(row.reason and not row.reason.endswith(".") for row in told)


def test_each_translation_has_its_function() -> None:
    """What the table promises to say in other words is said by code, and no more."""
    promised = {p for p, row in load().rows.items() if row.outcome == TRANSLATED}

    assert promised == TRANSLATIONS.keys()


def test_an_unknown_element_is_refused() -> None:
    """Nothing that a newer Compose brings is lost in silence."""
    assert load().row("services.*.brand_new").outcome == REFUSED
