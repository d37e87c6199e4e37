"""Metrics, rules and dashboards say the same: what is asked for exists, what is written down is up to date."""

import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from deploy.grafana.build import BOARDS, FOLDER, rendered
from scripts import metrics_page, rules
from scripts.setup import ROOT
from tests.deploy import boards

PROMETHEUS = ROOT / "deploy" / "prometheus"
GROUPS = yaml.safe_load((PROMETHEUS / "rules.yaml").read_text())["groups"]
ALL_RULES: list[dict[str, Any]] = [rule for group in GROUPS for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in ALL_RULES if "alert" in rule}
RECORDED = {rule["record"] for rule in ALL_RULES if "record" in rule}
LABELS = {
    "session", "camera", "kind", "emotion", "au", "outcome", "reason", "result", "partition", "stage", "method", "code",
    "name", "version", "digest", "trained",
}  # fmt: skip
"""All labels that a metric of ours may have."""
VARIABLES = {
    "__interval": "1m",
    "__rate_interval": "1m",
    "__range": "1h",
    "namespace": "n",
    "session": "s",
    "camera": "c",
}


def defined() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Every series of ours to its type and labels."""
    found = {}
    for families in metrics_page.metrics().values():
        for family in families:
            ends = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(family.type, [""])
            for end in ends:
                found[family.name + end] = family.type, metrics_page.labels_of(family)
    return found


OTHERS = {
    "up", "process_start_time_seconds", "process_cpu_seconds_total", "process_resident_memory_bytes",
    "DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_FB_FREE",
}  # fmt: skip
"""What Prometheus itself, its client and NVIDIA's exporter give."""


def known() -> set[str]:
    return {*defined(), *RECORDED, *OTHERS}


def test_the_page_of_metrics_is_up_to_date() -> None:
    assert metrics_page.PAGE.read_text() == metrics_page.rendered(), "run python -m scripts.metrics_page"


def test_metrics_keep_to_the_conventions() -> None:
    for families in metrics_page.metrics().values():
        for family in families:
            assert re.fullmatch(r"microex_(ingest|spotter|recognizer)_[a-z_]+", family.name)
            assert not re.search(r"_(ms|millis|minutes|percent|kb|mb)\b", family.name), "base units"
            assert family.documentation.endswith(".")
            labels = metrics_page.labels_of(family)
            assert set(labels) <= LABELS
            if family.type == "histogram":
                assert family.name.endswith(("_seconds", "_ratio", "_windows"))


@pytest.mark.parametrize("name", BOARDS)
def test_dashboards_are_what_their_code_makes(name: str) -> None:
    assert (FOLDER / f"{name}.json").read_text() == rendered(name), "run python -m deploy.grafana.build"


@pytest.mark.parametrize("name", BOARDS)
def test_every_panel_says_what_it_means_and_its_unit(name: str) -> None:
    board = boards.load(name)
    assert board["description"] and board["uid"].startswith("microex-")
    for panel in boards.panels(name):
        assert re.search(r"[\w)]\. Unit: [^.]+\.$", panel["description"]), panel["title"]
        assert panel["type"] == "heatmap" or panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"]["uid"] == "${source}"
    for key in ("id", "title"):
        assert max(Counter(panel[key] for panel in board["panels"]).values()) == 1, f"one {key}, one panel"


@pytest.mark.parametrize("name", BOARDS)
def test_panels_do_not_overlap(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in boards.load(name)["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y) for x in range(at.get("x", 0), at.get("x", 0) + at["w"]) for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken and max(x for x, _ in cells) < 24, panel["title"]
        taken |= cells


@pytest.mark.parametrize("name", BOARDS)
def test_dashboards_have_their_variables_and_lead_to_each_other(name: str) -> None:
    board = boards.load(name)
    variables = [variable["name"] for variable in board["templating"]["list"]]
    assert variables == ["source", "namespace", *([] if name == "pipeline" else ["session", "camera"])]
    [link] = board["links"]
    assert link["type"] == "dashboards" and link["includeVars"] and link["keepTime"]
    assert set(link["tags"]) <= set(board["tags"])


def test_a_line_of_the_list_leads_to_its_camera() -> None:
    [table] = [panel for panel in boards.panels("detections") if panel["type"] == "table"]
    assert f"/d/{boards.load('camera')['uid']}?" in str(table["fieldConfig"]["overrides"])


@pytest.mark.parametrize("query", boards.queries(), ids=str)
def test_queries_ask_for_what_exists(query: boards.Query) -> None:
    expr = boards.filled(query.expr, VARIABLES)
    promql_parser.parse(expr)
    assert boards.metrics_in(expr) and boards.metrics_in(expr) <= known()
    check_labels(expr)


@pytest.mark.parametrize("rule", ALL_RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_rules_ask_for_what_exists(rule: dict[str, Any]) -> None:
    promql_parser.parse(rule["expr"])
    assert boards.metrics_in(rule["expr"]) <= known()
    check_labels(rule["expr"])


def check_labels(expr: str) -> None:
    """What is matched and grouped by are labels of the metric, or such as Prometheus adds."""
    added = {"namespace", "job", "instance", "pod", "le", "exported_namespace"}
    series = defined()
    for name, matchers in re.findall(r"\b(microex_\w+)\{([^}]*)\}", expr):
        labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))
        assert labels <= added | set(series[name][1]), name


def test_prometheus_takes_the_rules(promtool: Path) -> None:
    run(promtool, "check", "rules", "rules.yaml")
    run(promtool, "test", "rules", "rules_test.yaml")
    run(promtool, "check", "config", "prometheus.yaml")


def run(promtool: Path, *words: str) -> None:
    done = subprocess.run([promtool, *words], cwd=PROMETHEUS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_is_tested_to_fire_and_to_stay_silent(alert: str) -> None:
    """It fires in some case; and when all is well it is silent although all that it watches is there."""
    well, *cases = yaml.safe_load((PROMETHEUS / "rules_test.yaml").read_text())["tests"]
    assert any(t["alertname"] == alert and t["exp_alerts"] for case in cases for t in case["alert_rule_test"])
    [silent] = [t for t in well["alert_rule_test"] if t["alertname"] == alert]
    assert silent["exp_alerts"] == []
    watched = {entry["series"].partition("{")[0] for entry in well["input_series"]}
    assert sources(ALERTS[alert]["expr"]) <= watched


def sources(expr: str) -> set[str]:
    """The series that an expression rests on, those behind recorded ones in their place."""
    recorded = {rule["record"]: rule["expr"] for rule in ALL_RULES if "record" in rule}
    named = boards.metrics_in(expr)
    return {source for name in named for source in (sources(recorded[name]) if name in recorded else {name})}


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_names_a_section_that_is_there(alert: str) -> None:
    rule = ALERTS[alert]
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    headings = re.findall(r"(?m)^#+ (.+)$", (ROOT / page).read_text())
    assert anchor in {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
    assert rule["labels"]["severity"] in ("critical", "warning")


def test_the_rules_of_the_operator_are_the_same() -> None:
    assert rules.OBJECT.read_text() == rules.rendered(), "run python -m scripts.rules"
