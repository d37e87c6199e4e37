"""Ids: one face keeps one, a brief loss does not cost it, an ended one never comes back."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.tracks import Tracker, assign
from tests.unit.ingest.fakes import face

FRAME_US = 33_333


def run(tracker: Tracker, frames: list[list[float]], first: int = 0, vertical: float = 200.0) -> list[dict[str, float]]:
    """Each frame a list of x positions of faces; returns for each frame track id to x."""
    seen = []
    for index, places in enumerate(frames, first):
        tracker.lost(index * FRAME_US)
        pairs = tracker.step(index, index * FRAME_US, [face(x, vertical) for x in sorted(places)])
        seen.append({track.id: float(found.points[[33, 263], 0].mean()) for track, found in pairs})
    return seen


def test_ids_tell_where_and_in_which_order_tracks_began() -> None:
    tracker = Tracker(epoch_ms=1700)
    seen = run(tracker, [[500, 100], [500, 100, 900]])
    assert list(seen[0]) == ["1700.0.0", "1700.0.1"]
    assert seen[0]["1700.0.0"] < seen[0]["1700.0.1"], "ordinals run from left to right"
    assert set(seen[1]) - set(seen[0]) == {"1700.1.0"}


def test_a_brief_loss_keeps_the_id() -> None:
    tracker = Tracker(0)
    seen = run(tracker, [[300]] * 10 + [[]] * 28 + [[310]])  # 28 frames unseen: 29 intervals, 0.967 s
    assert set(seen[-1]) == {"0.0.0"}


def test_a_face_that_was_gone_for_a_second_begins_anew() -> None:
    tracker = Tracker(0)
    frames = [[300.0]] * 10 + [[]] * 31 + [[300]]
    seen = run(tracker, frames)
    assert set(seen[-1]) == {"0.41.0"}


def test_lost_tracks_are_told_once() -> None:
    tracker = Tracker(0)
    run(tracker, [[300]])
    assert tracker.lost(999_999) == []
    assert [track.id for track in tracker.lost(1_000_000)] == ["0.0.0"]
    assert tracker.lost(9_000_000) == [] == tracker.finish()


def test_crossing_faces_keep_their_ids_while_one_hides_the_other() -> None:
    tracker = Tracker(0)
    frames = []
    for step in range(61):
        left, right = 100 + 10.0 * step, 700 - 10.0 * step
        frames.append([left, right] if abs(left - right) > 60 else [left])
    seen = run(tracker, frames)
    assert set(seen[-1]) == {"0.0.0", "0.0.1"}, "no third id may appear"
    assert seen[-1]["0.0.0"] > seen[-1]["0.0.1"], "who began on the left is now on the right"


def test_another_face_elsewhere_is_another_track() -> None:
    tracker = Tracker(0)
    seen = run(tracker, [[100], [600]])
    assert set(seen[1]) == {"0.1.0"}


@given(st.lists(st.lists(st.sampled_from([100.0, 350.0, 600.0, 850.0]), unique=True, max_size=4), max_size=40))
def test_no_id_is_ever_given_twice(frames: list[list[float]]) -> None:
    tracker = Tracker(0)
    ended: set[str] = set()
    for index, places in enumerate(frames):
        ended |= {track.id for track in tracker.lost(index * 300_000)}
        pairs = tracker.step(index, index * 300_000, [face(x) for x in sorted(places)])
        ids = [track.id for track, _ in pairs]
        assert len(ids) == len(set(ids)) == len(places), "each face has a track of its own"
        assert not ended & set(ids), "an ended track came back"


def tables(columns: int) -> st.SearchStrategy[tuple[list[list[float]], int]]:
    cost = st.floats(0, 9) | st.just(float("inf"))
    return st.lists(st.lists(cost, min_size=columns, max_size=columns), max_size=4).map(lambda rows: (rows, columns))


@given(st.integers(0, 4).flatmap(tables))
def test_assignment_is_the_best_there_is(case: tuple[list[list[float]], int]) -> None:
    costs, columns = case
    chosen = assign(costs, columns)
    taken = [column for column in chosen if column is not None]
    assert len(chosen) == len(costs) and len(taken) == len(set(taken))

    def worth(choice: tuple[int | None, ...]) -> tuple[int, float]:
        pairs = [costs[row][column] for row, column in enumerate(choice) if column is not None]
        return -len(pairs), sum(pairs)

    every = (
        choice
        for choice in itertools.product([None, *range(columns)], repeat=len(costs))
        if len({c for c in choice if c is not None}) == sum(c is not None for c in choice)
        and all(costs[r][c] != float("inf") for r, c in enumerate(choice) if c is not None)
    )
    matches, total = min(worth(choice) for choice in every)
    found = worth(tuple(chosen))
    assert found[0] == matches
    assert np.isclose(found[1], total)
