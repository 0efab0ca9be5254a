"""The Grafana dashboard and the page on monitoring name what /metrics really serves."""

import json
import re
import socket
from itertools import combinations
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from sender.context import Context
from sender.monitoring.serving import serve_metrics
from sender.store.engine import Store
from sender.web import health
from sender.web import metrics as of_web
from sender.web.app import assemble
from sender.web.limits import Limits
from sender.worker import metrics as of_worker
from tests.support.status_world import fill_floor
from tests.support.tracked import ROOT
from tests.support.web_context import web_context
from tests.support.web_server import serve

DASHBOARD = json.loads((ROOT / "docs/grafana-dashboard.json").read_text("utf-8"))
PAGE = (ROOT / "docs/monitoring.md").read_text("utf-8")
WEB_PAGE = (ROOT / "docs/web.md").read_text("utf-8")
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
QUERIES = [
    (panel["title"], target["expr"], target["legendFormat"])
    for panel in PANELS
    for target in panel.get("targets", [])
]
METRIC = re.compile(r"\bsender_[a-z_]+")
PART_OF = re.compile(r"_(bucket|sum|count)$")
TOKEN = "metrics-token-of-this-test"
SUFFIXES = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "info": ["_info"]}

Labels = dict[str, set[str]]


@pytest.fixture
def dialect() -> str:
    return "postgresql"


@pytest.fixture
def served(store: Store) -> Labels:
    """The labels of each metric that a worker and a web server serve."""
    context = web_context(store, metrics_token=SecretStr(TOKEN))
    fill_floor(context)
    count_something()
    return labels_of(of_a_worker(context)) | labels_of(of_a_web_server(context))


def count_something() -> None:
    """Let every counter have a line: one without is named in the text, but has no labels."""
    of_worker.SLICES.labels(ending="finished").inc(0)
    of_worker.DUTIES.labels(duty="sweep", failed="no").inc(0)
    of_web.REQUESTS.labels(route="/healthz", method="GET", status="200").observe(0)
    of_web.EVENTS.labels(provider="ses", kind="delivered", again="no").inc(0)
    of_web.OPT_OUTS.labels(way="page").inc(0)
    of_web.REFUSED.labels(route="/u/{token}", why="token").inc(0)


def of_a_worker(context: Context) -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with serve_metrics(of_worker.metrics_registry(context), port):
        return requests.get(f"http://127.0.0.1:{port}/metrics", timeout=60).text


def of_a_web_server(context: Context) -> str:
    with serve(assemble(context, [health.routes(context)], Limits())) as url:
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        return requests.get(f"{url}/metrics", headers=bearer, timeout=60).text


def labels_of(document: str) -> Labels:
    labels: Labels = {}
    for family in text_string_to_metric_families(document):
        if family.name.endswith("_created"):  # the client library's own, beside each counter
            continue
        for suffix in SUFFIXES.get(family.type, [""]):
            labels[f"{family.name}{suffix}"] = set()
        for sample in family.samples:
            labels.setdefault(sample.name, set()).update(sample.labels)
    return labels


def test_every_query_asks_for_what_is_there(served: Labels) -> None:
    named = {name for _, expression, _ in QUERIES for name in METRIC.findall(expression)}
    assert named - set(served) == set()
    assert len(named) > 20


def test_every_label_of_a_query_is_a_label_of_its_metric(served: Labels) -> None:
    wrong = []
    for title, expression, legend in QUERIES:
        known = set().union(*(served[name] for name in METRIC.findall(expression)))
        grouped = re.findall(r"by \(([^)]*)\)", expression)
        asked = {label.strip() for group in grouped for label in group.split(",")}
        asked |= set(re.findall(r"\{\{(\w+)\}\}", legend))
        asked |= set(re.findall(r"(\w+)=~?\"", expression))
        wrong += [f"{title}: {label}" for label in sorted(asked - known)]
    assert wrong == []


def test_what_all_processes_tell_alike_is_never_added_up(served: Labels) -> None:
    everywhere = {
        name
        for name in served
        if not re.match(r"sender_(web|worker_(slices|duties|connections)|opt_outs|provider)", name)
    }
    added = [
        title
        for title, expression, _ in QUERIES
        for name in METRIC.findall(expression)
        if name in everywhere
        and re.search(
            rf"(sum|avg|count)( by \([^)]*\))?\s*\(\s*(rate\(|increase\()?{name}\b", expression
        )
    ]
    assert added == []


def test_the_pages_explain_every_metric(served: Labels) -> None:
    names = {PART_OF.sub("", name) for name in served if name.startswith("sender_")}
    assert [name for name in sorted(names) if f"`{name}`" not in PAGE + WEB_PAGE] == []


def test_the_pages_explain_no_metric_that_is_not_there(served: Labels) -> None:
    named = set(METRIC.findall(PAGE)) | set(re.findall(r"`(sender_[a-z_]+)`", WEB_PAGE))
    assert named - set(served) - {PART_OF.sub("", name) for name in served} == set()


def test_every_panel_asks_the_chosen_data_source() -> None:
    [variable] = DASHBOARD["templating"]["list"]
    assert (variable["name"], variable["type"], variable["query"]) == (
        "datasource", "datasource", "prometheus",
    )  # fmt: skip
    sources = {
        source["uid"]
        for panel in PANELS
        if panel["type"] != "row"
        for source in (panel["datasource"], *(one["datasource"] for one in panel["targets"]))
    }
    assert sources == {"${datasource}"}


def test_it_is_a_dashboard_of_grafana_10() -> None:
    assert DASHBOARD["schemaVersion"] >= 37  # Grafana 10.0 reads these as they are
    assert DASHBOARD["id"] is None
    assert {panel["type"] for panel in PANELS} == {"row", "stat", "timeseries"}
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
    above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
    return not (beside or above)


def test_panels_lie_side_by_side() -> None:
    places = [panel["gridPos"] for panel in PANELS]
    assert max(place["x"] + place["w"] for place in places) <= 24
    assert not any(overlap(one, other) for one, other in combinations(places, 2))
