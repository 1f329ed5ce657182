"""What is written for those who watch the server is so: every metric, label and option that is named exists."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from ersgallery_server.cli import main as server_app
from ersgallery_server.metrics.catalogue import METRICS, Kind

from tests.support.metrics_table import PAGE, table, written

FOLDER = PAGE.parent / "monitoring"
CASES = Path(__file__).parent / "alerts.promtool.yml"
PROCESS = {
    "process_resident_memory_bytes": set[str](),
    "process_cpu_seconds_total": set[str](),
    "process_open_fds": set[str](),
    "process_max_fds": set[str](),
    "process_start_time_seconds": set[str](),
    "python_gc_collections_total": {"generation"},
}
OF_PROMETHEUS = {"instance", "le"}
NAME = re.compile(r"\b(?:ersgallery|process|python)_[a-z_]+")


def known() -> dict[str, set[str]]:
    """Return the labels of every sample by its name."""
    found = dict(PROCESS)
    for metric in METRICS:
        ends = ("_bucket", "_sum", "_count") if metric.kind is Kind.HISTOGRAM else ("",)
        found |= {f"{metric.name}{end}": set(metric.labels) for end in ends}
    return found


def alerts() -> list[dict[str, str]]:
    groups = yaml.safe_load((FOLDER / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def queries() -> Iterator[tuple[str, str]]:
    """Return every PromQL expression there is, by a name for it."""
    for rule in alerts():
        yield rule["alert"], rule["expr"]
    dashboard = json.loads((FOLDER / "grafana.json").read_text(encoding="utf-8"))
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["query"]["query"]


def test_the_table_of_metrics_is_that_of_the_server() -> None:
    assert written() == table(), "python -m tests.support.metrics_table"


@pytest.mark.parametrize(("title", "query"), list(queries()))
def test_every_query_asks_for_metrics_and_labels_that_exist(title: str, query: str) -> None:
    every = known()
    selectors = re.findall(r"\b((?:ersgallery|process|python)_[a-z_]+)(?:\{([^}]*)\})?", query)
    assert selectors, title
    labels = OF_PROMETHEUS.copy()
    for name, matchers in selectors:
        assert name in every, (title, name)
        named = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))
        assert named <= every[name] | OF_PROMETHEUS, (title, name, named)
        labels |= every[name]
    for group in re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", query):
        assert {label.strip() for label in group.split(",")} <= labels, (title, group)
    assert query.count("(") == query.count(")")
    assert query.count("{") == query.count("}")


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_every_alert_says_what_it_is_and_what_to_do(rule: dict[str, dict[str, str]]) -> None:
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert set(rule["annotations"]) == {"summary", "description"}
    for name in re.findall(r"\$labels\.(\w+)", "".join(rule["annotations"].values())):
        assert name in set().union(OF_PROMETHEUS, *known().values())


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_the_alerts_are_raised_when_they_should_be_as_prometheus_itself_sees_it() -> None:
    for command, file in (("check", FOLDER / "alerts.yml"), ("test", CASES)):
        done = subprocess.run(
            ["promtool", command, "rules", str(file)], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_panels_of_the_dashboard_do_not_overlap() -> None:
    panels = json.loads((FOLDER / "grafana.json").read_text(encoding="utf-8"))["panels"]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells


def test_every_name_and_option_on_the_page_exists() -> None:
    text = PAGE.read_text(encoding="utf-8")
    every = known() | {metric.name: set() for metric in METRICS}
    assert {name for name in NAME.findall(text) if not name.startswith("ersgallery_server")} <= set(every)
    options = {name for option in server_app.commands["serve"].params for name in option.opts}
    assert set(re.findall(r"--[a-z][a-z-]+", text)) - {"--addr"} <= options
    for alert in re.findall(r"Ersgallery[A-Z]\w+", text):
        assert alert in {rule["alert"] for rule in alerts()}
    for path in re.findall(r"`(tests/[\w/.]+)`", text):
        assert (Path(__file__).parents[3] / path).is_file(), path
