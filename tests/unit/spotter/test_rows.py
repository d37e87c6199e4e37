"""What a stream holds stays small, however long it runs."""

import numpy as np

from microex.v1 import frame_pb2
from services.spotter.constants import CONSTANTS as C
from services.spotter.reading import Face, decoded, read
from services.spotter.rows import SECOND, Rows
from services.spotter.signal import Signal
from tests.unit.spotter.streams import looped


def test_crops_stay_decoded_no_longer_than_a_reference_may_be_made_of_them(
    conversation: list[frame_pb2.FaceFrame],
) -> None:
    rows = Rows(int(C.rows_s * SECOND))
    signal = Signal(rows)
    for message in looped(conversation[:120], 3):
        face = read(message)
        assert isinstance(face, Face)
        signal.take(signal.see(face))
        seconds = (rows.times - rows.times[-1]) / SECOND
        fresh = [kept.fresh is not None for kept in rows.kept]
        assert not any(fresh[: int(np.searchsorted(seconds, -C.reference_s - 1 / 30))]), "held for too long"
        assert all(fresh[int(np.searchsorted(seconds, C.grid_s - C.reference_s)) :]), "would be decoded again"
    assert np.array_equal(rows.kept[0].picture, decoded(rows.kept[0].jpeg))
