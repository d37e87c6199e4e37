"""The dashboards as they are committed: their panels and queries, and what a query asks for."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from deploy.grafana.build import BOARDS, FOLDER

NAMES = re.compile(r"\b(?:microex_\w+|microex:[\w:]+|process_\w+|up|DCGM_\w+)\b")


@dataclass(frozen=True)
class Query:
    """One query of one panel."""

    board: str
    panel: str
    ref: str
    expr: str
    instant: bool

    def __str__(self) -> str:
        return f"{self.board} / {self.panel} / {self.ref}"


def load(name: str) -> dict[str, Any]:
    board: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return board


def panels(name: str) -> Iterator[dict[str, Any]]:
    """All but the rows."""
    for panel in load(name)["panels"]:
        if panel["type"] != "row":
            yield panel


def queries() -> list[Query]:
    """Every query of every panel."""
    return [
        Query(name, panel["title"], target["refId"], target["expr"], bool(target.get("instant")))
        for name in BOARDS
        for panel in panels(name)
        for target in panel["targets"]
    ]


def filled(expr: str, variables: dict[str, str]) -> str:
    """The query as Grafana sends it. variables: name to value."""
    for name in sorted(variables, key=len, reverse=True):
        expr = expr.replace(f"${name}", variables[name])
    assert "$" not in re.sub(r"\{\{.*?\}\}", "", expr), f"a variable is not known: {expr}"
    return expr


def metrics_in(expr: str) -> set[str]:
    """Names of the metrics that a query reads; words of its strings do not count."""
    bare = re.sub(r'"[^"]*"', '""', expr)
    return set(NAMES.findall(bare))
