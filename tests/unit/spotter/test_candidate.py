"""Peaks of novelty: which of them are candidates."""

import numpy as np
import pytest

from services.motion.templates import TEMPLATES
from services.spotter.candidate import due
from services.spotter.rows import ROW, SECOND, Kept, Rows

FPS = 30
APEX = 60
NOTHING = Kept(b"", np.zeros((478, 2), np.float32), None)


def rows_around(novelty: np.ndarray) -> Rows:
    """Three seconds in which a face smiles at APEX, whatever novelty says."""
    rows = Rows(10 * SECOND)
    for k in range(3 * FPS):
        row = np.zeros((), ROW)
        row["time_us"], row["index"] = k * SECOND // FPS, k
        row["position"] = 0.03 * max(0.0, 1 - abs(k - APEX) / 5) * TEMPLATES[0]
        rows.append(row, NOTHING)
    rows.table["novelty"] = novelty
    return rows


@pytest.mark.parametrize(("busy", "found"), [(0.0, True), (0.5, True), (1.0, False)])
def test_a_brief_candidate_stands_out_of_a_restless_face_but_others_nearby_do_not_hide_it(
    busy: float, found: bool
) -> None:
    """busy: the share of the time before in which as much happens."""
    novelty = np.full(3 * FPS, 0.001, np.float32)
    before = np.arange(APEX - 2 * FPS, APEX - FPS // 3)
    novelty[before[: round(busy * len(before))]] = 0.007
    novelty[APEX] = 0.008
    rows = rows_around(novelty)
    at_us = int(rows.times[APEX])
    assert [each.apex_us for each in due(rows, at_us - 1, at_us) if each.brief] == [at_us] * found


@pytest.mark.parametrize(("height", "count"), [(0.008, 1), (0.004, 0)])
def test_what_hardly_moves_is_no_candidate(height: float, count: int) -> None:
    novelty = np.zeros(3 * FPS, np.float32)
    novelty[APEX] = height
    rows = rows_around(novelty)
    assert len(due(rows, 0, int(rows.times[-1]))) == count
