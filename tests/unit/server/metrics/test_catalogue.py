"""Names and labels keep to Prometheus' conventions, and none can grow with subjects or faces."""

import re

import pytest
from ersgallery_server.metrics.catalogue import METRICS, Kind, Metric

LABELS = {
    *("method", "code", "reason", "gallery", "decision", "cause", "direction", "reference", "disposition", "state"),
    *("kind", "device", "profile", "outcome", "model", "version", "python", "faiss"),
}


def test_no_name_is_given_twice() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_names_tell_units_and_labels_are_few(metric: Metric) -> None:
    assert re.fullmatch(r"ersgallery_[a-z][a-z_]*", metric.name)
    assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
    assert "millis" not in metric.name
    assert set(metric.labels) <= LABELS
    assert metric.meaning.endswith(".")
