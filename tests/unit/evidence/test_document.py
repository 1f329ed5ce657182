"""Tables are put between markers; the prose around them stays."""

import pytest
from ersgallery_server.evaluation.tables import Figure, Table

from tests.evidence.document import MarkerBroken, named, with_tables

TABLE = Table("T1", "Errors", ("gate", "FRR"), (("ERS", Figure(0.5)),))
EMPTY = "Before.\n<!-- begin results -->\n<!-- end results -->\nAfter.\n"


def test_a_new_table_goes_before_the_end_of_the_results() -> None:
    text = with_tables(EMPTY, named("sface", [TABLE]))
    assert text.startswith("Before.\n<!-- begin results -->\n<!-- begin T1 sface -->\n#### T1: Errors")
    assert text.endswith("<!-- end T1 sface -->\n\n<!-- end results -->\nAfter.\n")


def test_a_second_run_replaces_the_table_and_nothing_else() -> None:
    first = with_tables(EMPTY, named("sface", [TABLE])).replace(
        "<!-- end T1 sface -->\n", "<!-- end T1 sface -->\nProse.\n"
    )
    later = Table("T1", "Errors", ("gate", "FRR"), (("ERS", Figure(0.25)),))
    second = with_tables(first, named("sface", [later]))
    assert second == first.replace("50.00", "25.00")
    assert with_tables(second, named("sface", [later])) == second


def test_a_place_without_an_end_is_refused() -> None:
    with pytest.raises(MarkerBroken, match="T1 sface"):
        with_tables("<!-- begin T1 sface -->", named("sface", [TABLE]))
    with pytest.raises(MarkerBroken, match="no place for T1 sface"):
        with_tables("nothing", named("sface", [TABLE]))
