"""A row of an annotation sheet as a clip: what the readers of such sheets have in common."""

from pathlib import Path

from services.lab.datasets.aus import AuCell, parse_aus
from services.lab.datasets.clip import Clip
from services.lab.datasets.emotions import five_class, three_class
from services.lab.datasets.folders import ordered
from services.lab.datasets.sheets import Row


def coded(
    row: Row,
    dataset: str,
    subject: str,
    name: str,
    folder: Path,
    fps: float,
    emotion: str,
    *,
    trust_apex: bool = False,
) -> Clip:
    """The clip with the row's onset, apex, offset and AUs. trust_apex: as `ordered`. Raises Poison, naming file and
    row, for a cell that cannot be read."""
    onset = row.frame("onset")
    apex, offset, repairs = ordered(onset, row.maybe_frame("apex"), row.maybe_frame("offset"), trust_apex)
    return Clip(
        dataset,
        subject,
        name,
        folder,
        fps,
        onset,
        apex,
        offset,
        emotion,
        three_class(emotion),
        five_class(dataset, emotion),
        _aus(row),
        row.source,
        repairs,
    )


def _aus(row: Row) -> AuCell | None:
    """What the row's cell of AUs says."""
    return parse_aus(row.cells.get("aus"))
