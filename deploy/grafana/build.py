"""Writes the dashboards as Grafana reads them into deploy/grafana/dashboards: `python -m deploy.grafana.build`."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.grafana.camera import camera
from deploy.grafana.detections import detections
from deploy.grafana.pipeline import pipeline

FOLDER: Final = Path(__file__).resolve().parent / "dashboards"
BOARDS: Final[dict[str, Callable[[], Dashboard]]] = {"detections": detections, "pipeline": pipeline, "camera": camera}


def rendered(name: str) -> str:
    """What the file of one dashboard holds when it is up to date; panels numbered in their order."""
    board = BOARDS[name]().build()
    for number, panel in enumerate(board.panels or (), 1):
        panel.id_val = number
    return JSONEncoder(sort_keys=True, indent=2).encode(board) + "\n"


if __name__ == "__main__":
    for name in BOARDS:
        (FOLDER / f"{name}.json").write_text(rendered(name))
