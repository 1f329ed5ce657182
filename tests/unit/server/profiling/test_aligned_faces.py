"""The faces a profile is made from."""

import pytest
from ersgallery_server.models.errors import CalibrationFailed
from ersgallery_server.profiling import AlignedFaces

FACES = AlignedFaces({"Ann/1.jpg": b"a", "Ann/2.jpg": b"b", "Bob/1.jpg": b"c"})


def test_somebody_left_out_is_left_out_with_every_photograph() -> None:
    assert FACES.without(["Ann"]).names == ("Bob/1.jpg",)
    assert FACES.without([]).names == FACES.names


def test_nobody_can_be_left_out_who_is_not_there() -> None:
    with pytest.raises(CalibrationFailed, match="nobody named Eve"):
        FACES.without(["Ann", "Eve"])
