"""Reads the metrics of a running server as Prometheus would."""

import urllib.request

from prometheus_client.parser import text_string_to_metric_families

from tests.support.server import RunningServer

Scraped = dict[tuple[str, frozenset[tuple[str, str]]], float]


def page(server: RunningServer) -> str:
    """Return what the endpoint says."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.service.metrics_port}/metrics", timeout=60) as answer:
        return str(answer.read().decode())


def scrape(server: RunningServer) -> Scraped:
    """Return all samples by name and labels."""
    families = text_string_to_metric_families(page(server))
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def value(scraped: Scraped, name: str, **labels: str) -> float:
    """Return one sample, 0 where there is none."""
    return scraped.get((name, frozenset(labels.items())), 0.0)


def labels_of(scraped: Scraped, name: str, label: str) -> set[str]:
    """Return what a label is in the samples of one name."""
    return {dict(labels)[label] for found, labels in scraped if found == name}
