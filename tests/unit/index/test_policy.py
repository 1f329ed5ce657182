"""Policies are checked when they are made."""

from dataclasses import replace
from typing import Any

import pytest
from ersgallery_index import MAX_CANDIDATES, InvalidPolicy, Policy

GOOD = Policy(gamma=0.5, gamma_gallery=0.5, tau=0.3)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("gamma", -0.1),
        ("gamma", float("nan")),
        ("gamma_gallery", 1.1),
        ("tau", -1.01),
        ("tau", float("inf")),
        ("margin", -0.1),
        ("margin", float("nan")),
        ("max_candidates", 0),
        ("max_candidates", MAX_CANDIDATES + 1),
    ],
)
def test_a_value_out_of_range_names_its_field(field: str, value: float) -> None:
    changes: dict[str, Any] = {field: value}
    with pytest.raises(InvalidPolicy) as caught:
        replace(GOOD, **changes)
    assert caught.value.field == field
