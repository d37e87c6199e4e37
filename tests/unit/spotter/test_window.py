"""What a window says of frames that are not there yet."""

import numpy as np
import pytest

from services.spotter.rows import ROW, SECOND, Kept, Rows
from services.spotter.window import _moment


@pytest.mark.parametrize("fps", [10, 30, 60])
def test_an_offset_ahead_is_a_frame_at_the_rate_at_which_they_come_now(fps: int) -> None:
    rows, kept = Rows(10 * SECOND), Kept(b"", np.zeros((478, 2), np.float32), None)
    steps_us = [33_333] * 60 + [SECOND // fps] * 12
    for index, time_us in enumerate(np.cumsum(steps_us)):
        row = np.zeros((), ROW)
        row["time_us"], row["index"] = time_us, index
        rows.append(row, kept)
    ahead = _moment(rows, int(rows.times[-1]) + 3 * SECOND // 10)
    assert ahead.index == 71 + round(0.3 * fps)
