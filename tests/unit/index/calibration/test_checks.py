"""What a check says is a sentence, made or not."""

import numpy as np
from ersgallery_index.calibration.checks import at_least, at_most
from ersgallery_index.calibration.ui import UiRules, find_ui

from tests.support.calibration_faces import World


def test_a_check_says_what_was_found_and_what_was_wanted() -> None:
    made = at_least("kinds", 2.0, 3.0, "kinds of degradation are in it")
    assert (made.passed, made.text) == (False, "2 (at least 3 wanted): kinds of degradation are in it")


def test_a_check_without_a_value_says_why_it_was_not_made_and_what_it_wants() -> None:
    least = at_least("kinds", None, 3.0, "kinds of degradation are in it")
    most = at_most("images", None, 2.0, "ordinary images of a person")
    unlimited = at_most("inside", 0.25, None, "mean cosine distance inside", "there are no other faces")
    assert (least.passed, most.passed, unlimited.passed) == (None, None, None)
    assert least.text == "not checked because labels are missing; wanted: at least 3 kinds of degradation are in it"
    assert most.text == "not checked because labels are missing; wanted: at most 2 ordinary images of a person"
    assert unlimited.text == "not checked because there are no other faces: mean cosine distance inside"


def test_a_single_distance_is_no_matter_of_labels() -> None:
    everyone = World().draw(range(300), degraded=150)
    faces = everyone.take(everyone.degraded)
    found = find_ui(faces, faces.rows.astype(np.float64), UiRules(grid=(), min_identities=5))
    (check,) = [each for each in found.checks if each.name == "stability_over_distances"]
    assert check.passed is None
    assert check.text.startswith("not checked because no distance near it was tried")
