"""What an index holds goes forward alone."""

import datetime as dt
from dataclasses import replace

import numpy as np
from ersgallery_index import Profile
from ersgallery_server.gallery.state import IndexPlace, change_settings, new_index, state_of
from ersgallery_server.values import AcquisitionCounts, GalleryRecord, GallerySettings, ProfileVersion

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
PROFILE = Profile("made", np.eye(4)[:1], gamma=0.5)
RECORD = GalleryRecord(
    key=1,
    gallery_id="g",
    settings=GallerySettings(tau=0.6),
    profile=ProfileVersion(1, "p", 1, PROFILE, "", "", NOW),
    revision=5,
    version=3,
    counts=AcquisitionCounts(),
    create_time=NOW,
    update_time=NOW,
)


def test_settings_that_a_rebuild_has_read_with_later_ones_do_not_come_back() -> None:
    index = new_index(RECORD.settings, PROFILE, IndexPlace("cpu"))
    rebuilt = state_of(RECORD, index, {})
    older = replace(RECORD, revision=4, settings=GallerySettings(tau=0.1, gamma_gallery=0.9))
    assert change_settings(rebuilt, older) is rebuilt
    newer = replace(RECORD, revision=6, settings=GallerySettings(tau=0.7))
    assert change_settings(rebuilt, newer).record == newer
