"""Samples of one metric after another, in the form of Prometheus' client library."""

from collections.abc import Iterator
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as Family

from ersgallery_server.metrics.catalogue import Kind, Merge, Metric
from ersgallery_server.tallies import Distribution

OTHER = "other"
"""The label of all galleries beyond the limit."""

Value = float | Distribution


class Samples:
    """Values by metric and labels."""

    def __init__(self) -> None:
        self._values: dict[Metric, dict[tuple[str, ...], Value]] = {}

    def put(self, metric: Metric, value: Value, *labels: str) -> None:
        """Add a sample; one that is there already is merged with it as the metric says."""
        values = self._values.setdefault(metric, {})
        before = values.get(labels)
        values[labels] = value if before is None else _merged(metric.merge, before, value)

    def families(self) -> Iterator[Family]:
        """Return what Prometheus' client writes out."""
        for metric, values in self._values.items():
            family = _FAMILIES[metric.kind](metric.name, metric.meaning, labels=metric.labels)
            for labels, value in values.items():
                if isinstance(value, Distribution):
                    family.add_metric(labels, _buckets(value), value.total)
                else:
                    family.add_metric(labels, value)
            yield family


_FAMILIES: dict[Kind, Any] = {
    Kind.COUNTER: CounterMetricFamily,
    Kind.GAUGE: GaugeMetricFamily,
    Kind.HISTOGRAM: HistogramMetricFamily,
}


def _merged(merge: Merge, a: Value, b: Value) -> Value:
    if isinstance(a, Distribution) and isinstance(b, Distribution):
        return a + b
    if isinstance(a, Distribution) or isinstance(b, Distribution):
        raise TypeError("a metric has values of one type")
    return max(a, b) if merge is Merge.LARGEST else a + b


def _buckets(value: Distribution) -> list[tuple[str, float]]:
    """Return the cumulated counts by upper end."""
    total = 0
    buckets: list[tuple[str, float]] = []
    for bound, count in zip([*map(str, value.bounds), "+Inf"], value.counts, strict=True):
        total += count
        buckets.append((bound, total))
    return buckets
