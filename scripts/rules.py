"""Writes the rules of deploy/prometheus as the object that Prometheus' operator takes: `python -m scripts.rules`."""

from pathlib import Path
from typing import Final

import yaml

from scripts.setup import ROOT

RULES: Final = ROOT / "deploy" / "prometheus" / "rules.yaml"
OBJECT: Final = ROOT / "deploy" / "k8s" / "components" / "monitoring" / "rules.yaml"


def rendered() -> str:
    """What OBJECT holds when it is up to date."""
    rules = yaml.safe_load(RULES.read_text())
    thing = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "microex", "labels": {"role": "alert-rules"}},
        "spec": rules,
    }
    header = f"# Written by scripts/rules.py from {Path(RULES).relative_to(ROOT)}; change it there.\n"
    return header + yaml.safe_dump(thing, sort_keys=False, width=120)


if __name__ == "__main__":
    OBJECT.write_text(rendered())
