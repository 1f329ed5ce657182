"""Samples of galleries beyond the limit are merged as each metric says, and histograms are cumulative."""

from ersgallery_server.metrics import catalogue as m
from ersgallery_server.metrics.samples import Samples
from ersgallery_server.tallies import Spread


def read(samples: Samples) -> dict[str, float]:
    found = (sample for family in samples.families() for sample in family.samples)
    return {f"{sample.name}{sorted(sample.labels.values())}": sample.value for sample in found}


def test_counts_of_two_galleries_under_one_label_are_added_and_the_worst_drift_is_told() -> None:
    samples = Samples()
    for decisions, drift in ((3, 0.1), (4, 0.3)):
        samples.put(m.DECISIONS, decisions, "other", "MATCH", "")
        samples.put(m.ERS_DRIFT, drift, "other", "down", "profile")
    found = read(samples)
    assert found["ersgallery_decisions_total['', 'MATCH', 'other']"] == 7
    assert found["ersgallery_ers_drift_ratio['down', 'other', 'profile']"] == 0.3


def test_a_histogram_is_written_with_all_that_lies_below_each_bound() -> None:
    spread = Spread((1.0, 2.0))
    for value in (0.5, 1.5, 9.0):
        spread.add(value)
    samples = Samples()
    samples.put(m.STORE_GROUP, spread.read())
    assert read(samples) == {
        "ersgallery_store_group_writes_bucket['1.0']": 1,
        "ersgallery_store_group_writes_bucket['2.0']": 2,
        "ersgallery_store_group_writes_bucket['+Inf']": 3,
        "ersgallery_store_group_writes_count[]": 3,
        "ersgallery_store_group_writes_sum[]": 11.0,
    }
