"""timeline.png: what is drawn where. How it looks is for eyes; that nothing overlaps or is lost is for these."""

import itertools
import warnings
from dataclasses import replace
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from microex.v1 import graph_pb2
from services.analyze.curves import Curve
from services.analyze.events import Mark
from services.analyze.face import draw_face, place_labels
from services.analyze.panel import ROWS, SIDES, draw_panel, row_scales
from services.analyze.picture import Picture, Strongest
from services.analyze.style import clock, emotion_colours, settings
from services.analyze.summary import unjudged
from services.analyze.timeline import _draw, write_timeline
from services.motion.aus import AUS
from services.motion.rois import REGIONS
from services.spotter.constants import CONSTANTS
from tests.unit.analyze.made_up import CENTRES, graph, mark, window


def curve(start_s: float, end_s: float, step_s: float = 0.04, height: float = 0.03) -> Curve:
    times = np.arange(start_s, end_s, step_s)
    return Curve(times, np.full((len(times), len(REGIONS)), height, np.float32))


def picture(curves: dict[str, Curve], marks: list[Mark], end_s: float = 10.0, title: str = "clip.mp4") -> Picture:
    answer = graph(marks[0].onset_s, marks[0].offset_s, track=marks[0].track) if marks else None
    strongest = Strongest(window(answer), answer, 0.05) if answer else None
    return Picture(title, "subtitle", "footer", curves, marks, strongest, 0.0, end_s, trained=False)


PICTURES = {
    "one face": picture({"0.0.0": curve(0, 10)}, [mark(1, 1.4), mark(3, 5)]),
    "no expression": picture({"0.0.0": curve(0, 10)}, []),
    "no face": picture({}, []),
    "one frame": picture({"0.0.0": curve(0, 0.01)}, [], end_s=0.0),
    "four faces": picture({f"0.0.{i}": curve(0, 10) for i in range(4)}, [mark(1, 2, track="0.0.3")]),
    "hours": picture({"0.0.0": curve(0, 4 * 3600, 5)}, [mark(9000, 9000.2)], end_s=4 * 3600),
    "events without windows": Picture("t", "s", "f", {}, [mark(1, 1.4)], None, 0.0, 2.0),
    "odd name": picture({"0.0.0": curve(0, 10)}, [mark(1, 2)], title="a $x^2$ 面试 \\frac{ “100 %”" * 5),
}


@pytest.mark.parametrize("case", PICTURES)
def test_every_kind_of_video_gives_a_picture_without_a_warning(tmp_path: Path, case: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_timeline(tmp_path / "timeline.png", PICTURES[case])
    drawn = cv2.imread(str(tmp_path / "timeline.png"))
    assert drawn is not None and drawn.shape[1] == 2040 and drawn.std() > 5
    assert [path.name for path in tmp_path.iterdir()] == ["timeline.png"]


def test_tracks_share_a_panel_unless_they_are_there_at_once() -> None:
    seen = picture({"0.0.0": curve(0, 3), "0.0.1": curve(0, 9), "0.100.0": curve(4, 9)}, [])
    assert seen.panels() == [["0.0.0", "0.100.0"], ["0.0.1"]]


def test_a_face_of_which_only_events_are_known_has_its_panel() -> None:
    assert picture({}, [mark(1, 2), mark(1.5, 3, track="0.0.1")]).panels() == [["0.0.0"], ["0.0.1"]]


def test_the_rows_hold_every_region_once() -> None:
    assert sorted(name for members in ROWS.values() for name in members) == sorted(REGIONS)


def test_the_scale_of_a_row_is_that_of_its_largest_expression_and_never_that_of_noise() -> None:
    high = curve(0, 10)
    high.magnitude[30, list(REGIONS).index("mouth left")] = 0.21
    low = curve(0, 10, height=0.001)
    assert row_scales(picture({"0.0.0": high, "0.0.1": low}, [mark(1, 1.4)]))["mouth corners"] == pytest.approx(0.21)
    assert row_scales(picture({"0.0.0": low}, []))["chin"] == pytest.approx(0.02)


def test_the_scale_of_a_long_video_holds_the_slice_in_which_the_expression_is() -> None:
    long = curve(0, 36_000, 10, height=0.01)
    long.magnitude[900] = 0.1
    assert row_scales(picture({"0.0.0": long}, [mark(9004, 9004.2)]))["nose"] == pytest.approx(0.1)


def test_a_frame_that_was_tracked_wrongly_is_cut_off_and_flattens_nothing() -> None:
    lost = curve(0, 10)
    lost.magnitude[40] = 1.2
    seen = picture({"0.0.0": lost}, [])
    scales = row_scales(seen)
    assert scales["cheeks"] == pytest.approx(0.03)
    axes = Figure().add_axes((0, 0, 1, 1))
    draw_panel(axes, seen, ["0.0.0"], scales, {}, width_px=1000)
    assert max(float(np.max(line.get_ydata())) for line in axes.lines if len(line.get_xdata()) > 2) < 0


def test_nose_lips_and_chin_are_drawn_as_the_middle() -> None:
    seen = picture({"0.0.0": curve(0, 10)}, [])
    axes = Figure().add_axes((0, 0, 1, 1))
    draw_panel(axes, seen, ["0.0.0"], row_scales(seen), {}, width_px=1000)
    drawn = [line.get_color() for line in axes.lines if len(line.get_xdata()) > 2]
    names = [name for members in ROWS.values() for name in members]
    middle = {name for name, ink in zip(names, drawn, strict=True) if ink == SIDES["middle"][0]}
    assert middle == {"brow middle", "nose", "lips", "chin"}


def words_of(shown: Picture) -> list[str]:
    with mpl.rc_context(settings()):
        return [text.get_text() for text in _draw(shown).findobj(Text)]


def test_faces_have_the_numbers_that_elan_has() -> None:
    """The second left before the third came: they share a panel."""
    seen = picture({"0.10.0": curve(5, 9), "0.2.0": curve(0, 9), "0.2.1": curve(0, 3)}, [])
    assert seen.faces() == {"0.2.0": 1, "0.2.1": 2, "0.10.0": 3}
    assert {"face 1", "faces 2, 3"} <= set(words_of(seen))


def test_a_video_that_is_too_little_to_judge_does_not_read_as_nothing_found() -> None:
    little = unjudged(0.1, 30)
    assert little is not None and little.startswith("too short")
    words = words_of(replace(picture({"0.0.0": curve(0, 0.1)}, [], end_s=0.1), unjudged=little))
    assert little in words and "no expression was found" not in words


@pytest.mark.parametrize(
    ("duration_s", "fps", "said"),
    [(0.0, None, "too short"), (0.07, 30, "too short"), (60, 12.5, "12.5;"), (60, 23.976, None), (1.2, 200, None)],
)
def test_what_cannot_be_judged_is_said(duration_s: float, fps: float | None, said: str | None) -> None:
    told = unjudged(duration_s, fps)
    assert (told is None) if said is None else (told is not None and said in told)


def test_the_caption_fits_on_the_page() -> None:
    with mpl.rc_context(settings()):
        figure = _draw(PICTURES["no expression"])
        figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.findobj(Text) if text.get_text()]
    drawn = [box for box in boxes if box.x0 < figure.bbox.x1]  # ticks beyond the axes are not
    assert all(box.x1 < figure.bbox.x1 for box in drawn)


def test_the_caption_says_what_neutral_is() -> None:
    assert any(f"median of the {CONSTANTS.baseline_s:g} s before" in words for words in words_of(PICTURES["one face"]))


def test_a_short_expression_in_a_long_video_can_be_seen() -> None:
    long = picture({"0.0.0": curve(0, 36_000, 10)}, [mark(9000, 9000.2)], end_s=36_000)
    axes = Figure().add_axes((0, 0, 1, 1))
    draw_panel(axes, long, ["0.0.0"], row_scales(long), emotion_colours(["negative"]), width_px=1000)
    bars = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    assert len(bars) == 2
    for bar in bars:
        assert bar.get_width() == pytest.approx(4 * 36)
        assert bar.get_x() + bar.get_width() / 2 == pytest.approx(9000.1)


def test_no_line_bridges_the_time_in_which_a_face_was_away() -> None:
    away = Curve(
        np.concatenate([np.arange(0, 2, 0.04), np.arange(6, 8, 0.04)]), np.full((100, len(REGIONS)), 0.03, np.float32)
    )
    seen = picture({"0.0.0": away}, [])
    axes = Figure().add_axes((0, 0, 1, 1))
    draw_panel(axes, seen, ["0.0.0"], row_scales(seen), {}, width_px=1000)
    drawn = [line for line in axes.lines if len(line.get_xdata()) > 2]
    assert len(drawn) == len(REGIONS)
    for line in drawn:
        x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata(), float)
        assert np.isnan(y[(x > 2) & (x < 6)]).all() and np.isnan(y).sum() == 1


active_aus = st.lists(st.sampled_from([au.code for au in AUS]), unique=True)
sides = st.dictionaries(st.sampled_from([au.code for au in AUS]), st.sampled_from([1, 2, 3]))


@given(active_aus, sides)
def test_labels_of_aus_never_overlap_and_stay_beside_the_face(active: list[str], on: dict[str, int]) -> None:
    labels = place_labels(graph(active=active, sides=on), CENTRES)
    assert len(labels) == min(len(active), 10)
    for column in (-1, 1):
        heights = sorted(label.y for label in labels if label.column == column)
        assert all(9 <= y <= 119 for y in heights)
        assert all(b - a >= 25 for a, b in itertools.pairwise(heights))


def test_an_au_of_one_side_is_named_on_that_side_of_the_picture() -> None:
    on = {"AU12": graph_pb2.SIDE_LEFT, "AU15": graph_pb2.SIDE_RIGHT}
    labels = place_labels(graph(active=["AU12", "AU15", "AU1"], sides=on), CENTRES)
    columns = {label.au.au: label.column for label in labels}
    assert (columns["AU12"], columns["AU15"]) == (1, -1)


def test_an_au_of_both_sides_says_so_wherever_it_stands() -> None:
    answer = graph(active=["AU12", "AU15"], sides={"AU15": graph_pb2.SIDE_RIGHT})
    axes = Figure().add_axes((0, 0, 1, 1))
    draw_face(axes, answer, window(answer), "#D55E00")
    assert {"AU12 both", "AU15 right"} <= {text.get_text() for text in axes.texts}


def test_the_words_beside_the_face_do_not_overlap() -> None:
    answer = graph(active=[au.code for au in AUS], sides={"AU2": graph_pb2.SIDE_LEFT, "AU15": graph_pb2.SIDE_RIGHT})
    with mpl.rc_context(settings()):
        figure = Figure(figsize=(5.7, 3.4), dpi=150)
        axes = figure.add_axes((0, 0, 1, 1))
        draw_face(axes, answer, window(answer), "#D55E00")
        figure.canvas.draw()
        boxes = [text.get_window_extent() for text in axes.findobj(Text) if text.get_text()]
    assert len(boxes) == 3 * 10 + 2
    for a, b in itertools.combinations(boxes, 2):
        assert not a.overlaps(b)
    assert all(box.x0 >= 0 and box.x1 <= 5.7 * 150 for box in boxes)


def test_a_face_without_its_picture_or_an_active_au_is_still_drawn() -> None:
    answer = graph(active=[])
    bare = window(answer)
    bare.apex_jpeg = b""
    figure = Figure()
    axes = figure.add_axes((0, 0, 1, 1))
    draw_face(axes, answer, bare, "#D55E00")
    assert "no AU reached its threshold" in [text.get_text() for text in axes.texts]


def test_emotions_have_colours_of_their_own_that_stay() -> None:
    labels = ["negative", "positive", "surprise", "calm", "awe"]
    colours = emotion_colours(labels)
    assert len(set(colours.values())) == len(labels)
    assert emotion_colours(["surprise"])["surprise"] == colours["surprise"]


@pytest.mark.parametrize(
    ("seconds", "digits", "shown"),
    [(0, 0, "0:00"), (187, 0, "3:07"), (3723.4, 0, "1:02:03"), (59.999, 2, "1:00.00"), (-1.5, 1, "-0:01.5")],
)
def test_times_read_as_on_a_player(seconds: float, digits: int, shown: str) -> None:
    assert clock(seconds, digits) == shown
