"""Alert rules and the dashboard name metrics that are told, with labels that they have; every alert has its runbook."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest
import yaml
from prometheus_client import ProcessCollector

from tollbook import metrics
from tollbook.health.server import parse_address

ROOT = Path(__file__).resolve().parents[2]
INFRA = ROOT / "infra"
TARGET_LABELS = {"instance", "job"}
"""Labels that Prometheus adds to whatever it scrapes."""


def known_series() -> dict[str, frozenset[str]]:
    """Return the labels of all series of a scrape: ours, those of the process, and Prometheus's own."""
    of_process = {sample.name for family in ProcessCollector(registry=None).collect() for sample in family.samples}
    return metrics.series_labels() | dict.fromkeys(of_process | {"up"}, frozenset())


def rules() -> list[dict[str, Any]]:
    """Return all alerts."""
    parsed = yaml.safe_load((INFRA / "prometheus" / "tollbook.rules.yml").read_text(encoding="utf-8"))
    return [rule for group in parsed["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    """Return the dashboard's panels that show something."""
    parsed = json.loads((INFRA / "grafana" / "tollbook.json").read_text(encoding="utf-8"))
    return [panel for panel in parsed["panels"] if panel["type"] != "row"]


def resolved(expression: str) -> str:
    """Return a panel's expression as Grafana would send it."""
    return expression.replace("$instance", ".*").replace("$__rate_interval", "1m")


def nodes(expression: promql.Expr, kind: type) -> list[Any]:
    """Return the parts of an expression that are of a kind."""
    found = []

    def note(part: promql.Expr) -> None:
        if isinstance(part, kind):
            found.append(part)

    promql.walk(expression, note)
    return found


def selectors(expression: promql.Expr) -> list[Any]:
    """Return the series that an expression selects, those of ranges too."""
    return nodes(expression, promql.VectorSelector)


def wrong(text: str) -> Iterator[str]:
    """Yield what is wrong with an expression: names and labels that no scrape shows."""
    expression = promql.parse(text)
    known = known_series()
    for selector in selectors(expression):
        if selector.name not in known:
            yield f"no metric {selector.name}"
            continue
        used = {matcher.name for matcher in selector.matchers.matchers}
        yield from (f"{selector.name} has no {label}" for label in used - known[selector.name] - TARGET_LABELS)
    for part in nodes(expression, promql.AggregateExpr) + nodes(expression, promql.BinaryExpr):
        named = part.modifier.matching if isinstance(part, promql.BinaryExpr) and part.modifier else part.modifier
        for label in named.labels if named is not None and hasattr(named, "labels") else ():
            for selector in selectors(part):
                if label not in known.get(selector.name, frozenset()) | TARGET_LABELS:
                    yield f"{selector.name} has no {label}"


def test_the_checks_find_what_is_wrong() -> None:
    """A check that passes everything guards nothing."""
    assert list(wrong("rate(tollbook_recrods_total[5m]) > 0")) == ["no metric tollbook_recrods_total"]
    assert list(wrong('tollbook_lag_offsets{topc="a"}')) == ["tollbook_lag_offsets has no topc"]
    assert list(wrong("sum by (table) (tollbook_lag_offsets)")) == ["tollbook_lag_offsets has no table"]
    assert list(wrong("tollbook_lag_offsets and on (topic) tollbook_epoch")) == ["tollbook_epoch has no topic"]
    assert list(wrong("sum by (le) (tollbook_commit_duration_seconds_bucket)")) == []
    with pytest.raises(ValueError, match="unclosed left parenthesis"):
        promql.parse("sum by (topic tollbook_lag_offsets")


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_an_alert_asks_for_what_is_told(rule: dict[str, Any]) -> None:
    """An alert on a misspelt name never fires, and nobody hears that it does not."""
    assert list(wrong(rule["expr"])) == []
    known = known_series()
    told = {label for each in selectors(promql.parse(rule["expr"])) for label in known[each.name]} | TARGET_LABELS
    named = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    assert named <= told


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_an_alert_says_how_grave_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
    """Who is woken at night needs the next step, not a name."""
    assert rule["labels"]["severity"] in {"critical", "warning"}
    path, _, anchor = rule["annotations"]["runbook"].partition("#")
    headings = re.findall(r"^## (\w+)\n\n(\S.*)$", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
    assert anchor in {heading.lower() for heading, _ in headings}
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}


def test_alerts_have_names_of_their_own_and_no_runbook_is_left_over() -> None:
    """Two alerts of a name are one in Alertmanager; instructions for no alert mislead."""
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))
    headings = re.findall(r"^## (\w+)$", (INFRA / "runbooks" / "health.md").read_text(encoding="utf-8"), re.MULTILINE)
    used = {rule["annotations"]["runbook"].partition("#")[2] for rule in rules()}
    assert {heading.lower() for heading in headings} == used


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: str(panel["title"]))
def test_a_panel_shows_what_is_told(panel: dict[str, Any]) -> None:
    """An empty panel reads as nothing wrong."""
    assert panel["targets"]
    assert panel["description"]
    assert panel["fieldConfig"]["defaults"]["unit"]
    for target in panel["targets"]:
        assert list(wrong(resolved(target["expr"]))) == []
        known = known_series()
        told = {label for each in selectors(promql.parse(resolved(target["expr"]))) for label in known[each.name]}
        assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= told | TARGET_LABELS


def test_panels_do_not_overlap_and_numbers_are_theirs_alone() -> None:
    """Grafana shows one of two panels with a number, and pushes those that overlap around."""
    parsed = json.loads((INFRA / "grafana" / "tollbook.json").read_text(encoding="utf-8"))
    numbers = [panel["id"] for panel in parsed["panels"]]
    assert len(numbers) == len(set(numbers))
    cells = [
        (x, y)
        for panel in parsed["panels"]
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_every_metric_is_on_the_dashboard() -> None:
    """A metric that nobody looks at is a metric that nobody misses when it breaks."""
    shown = {
        each.name
        for panel in panels()
        for target in panel["targets"]
        for each in selectors(promql.parse(resolved(target["expr"])))
    }
    assert [metric.name for metric in metrics.METRICS if not shown & set(metric.series)] == []


def test_names_follow_prometheus() -> None:
    """Tools that read names take `_total` for a counter and units for what they say."""
    names = [metric.name for metric in metrics.METRICS]
    assert len(names) == len(set(names))
    for metric in metrics.METRICS:
        assert re.fullmatch(r"tollbook_[a-z][a-z_]*[a-z]", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == metrics.COUNTER)
        assert metric.name.endswith("_seconds") == metric.unit.startswith("seconds")
        assert metric.unit != "bytes" or "_bytes" in metric.name
        assert metric.help.endswith(".")
        assert metric.kind in {metrics.COUNTER, metrics.GAUGE, metrics.HISTOGRAM}


def test_every_metric_of_the_module_is_in_its_list() -> None:
    """The list is what people read and what tests hold the dashboard against."""
    defined = {name: each for name, each in vars(metrics).items() if isinstance(each, metrics.Metric)}
    assert set(defined.values()) == set(metrics.METRICS)


def test_prometheus_scrapes_the_address_that_its_readme_starts_the_meter_with() -> None:
    """The example works as it stands."""
    config = yaml.safe_load((INFRA / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    assert [(INFRA / "prometheus" / name).is_file() for name in config["rule_files"]] == [True]
    (job,) = config["scrape_configs"]
    assert job["job_name"] == "tollbook"
    (address,) = job["static_configs"][0]["targets"]
    assert f"--metrics-address {address}" in (INFRA / "prometheus" / "README.md").read_text(encoding="utf-8")
    assert parse_address(address) == ("127.0.0.1", 9464)
