"""The core of the recognizer: windows in, graphs out, whatever stands beside a window in its batch."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from microex.v1 import graph_pb2, window_pb2
from services.common.errors import Fatal, Poison
from services.common.ids import prediction_id
from services.common.settings import ModelSettings
from services.motion.aus import AUS
from services.motion.rois import ROIS
from services.recognizer import weights
from services.recognizer.engine import Engine
from services.recognizer.stag.config import StagConfig
from tests.unit.recognizer.factories import motion, window

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(ModelSettings(device="cpu"))


def numbers(graph: graph_pb2.AuGraph) -> np.ndarray:
    """All probabilities and weights of an answer but those of its list of edges, which may swap places when equal."""
    return np.array(
        [
            *(c.probability for c in graph.emotion.probabilities),
            *(value for au in graph.aus for value in (au.probability, au.intensity)),
            *(roi.weight for roi in graph.rois),
            *(value for frame in graph.frames for value in (frame.weight, *frame.adjacency)),
        ]
    )


@st.composite
def varied_windows(draw: st.DrawFn) -> window_pb2.ApexWindow:
    frames = draw(st.integers(1, 12))
    number = draw(st.integers(0, 1000))
    seen = np.random.default_rng(number).random((frames, len(ROIS))) < draw(st.sampled_from([0.2, 0.9, 1.0]))
    seen[draw(st.integers(0, frames - 1)), draw(st.integers(0, len(ROIS) - 1))] = True
    scale = draw(st.sampled_from([0.0, 1e-3, 0.02, 5.0]))
    return window(number, tensor=motion(number, frames, seen, scale, draw(st.booleans())))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(varied_windows(), min_size=2, max_size=9))
def test_batch_size_does_not_matter(engine: Engine, windows: list[window_pb2.ApexWindow]) -> None:
    together = engine.recognise(windows)
    for graph, one in zip(together, windows, strict=True):
        (alone,) = engine.recognise([one])
        assert np.abs(numbers(graph) - numbers(alone)).max() < TOLERANCE
        by_name = {(e.source, e.target): e.weight for e in alone.edges}
        assert all(abs(by_name.get((e.source, e.target), e.weight) - e.weight) < TOLERANCE for e in graph.edges)


def test_a_long_list_goes_in_several_passes(engine: Engine) -> None:
    windows = [window(i, frames=2) for i in range(70)]
    graphs = engine.recognise(windows)
    assert [graph.window_id for graph in graphs] == [one.window_id for one in windows]
    np.testing.assert_allclose(numbers(graphs[-1]), numbers(engine.recognise(windows[-1:])[0]), atol=TOLERANCE)


def test_nothing_gives_nothing(engine: Engine) -> None:
    assert engine.recognise([]) == []


def test_an_answer_names_and_bounds_everything(engine: Engine) -> None:
    asked = window(3, frames=5)
    (graph,) = engine.recognise([asked])
    assert graph.prediction_id == prediction_id(asked.window_id, engine.model.digest)
    assert (graph.window_id, graph.stream, graph.onset, graph.apex, graph.offset) == (
        asked.window_id, asked.stream, asked.onset, asked.apex, asked.offset,
    )  # fmt: skip
    assert graph.model == engine.model and graph.kind == asked.kind and graph.fps == asked.fps
    assert graph.stages == asked.stages, "the core looks at no clock"
    probabilities = {c.label: c.probability for c in graph.emotion.probabilities}
    assert list(probabilities) == ["negative", "positive", "surprise"]
    assert sum(probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert graph.emotion.label == max(probabilities, key=probabilities.__getitem__)
    assert [au.au for au in graph.aus] == [au.code for au in AUS]
    assert all(0 <= au.probability <= 1 and 0 <= au.intensity <= 1 and au.side for au in graph.aus)
    assert [roi.name for roi in graph.rois] == [roi.name for roi in ROIS]
    assert [(roi.x, roi.y) for roi in graph.rois[:2]] == [(0, 1), (2, 3)]
    assert sum(roi.weight for roi in graph.rois) == pytest.approx(1, abs=1e-5)
    assert [frame.index for frame in graph.frames] == list(asked.motion.indices)
    assert sum(frame.weight for frame in graph.frames) == pytest.approx(1, abs=1e-5)
    for frame in graph.frames:
        rows = np.reshape(frame.adjacency, (len(ROIS), len(ROIS)))
        np.testing.assert_allclose(rows.sum(1), 1, atol=1e-5)
    names = {au.code for au in AUS} | {roi.name for roi in ROIS}
    assert {e.kind for e in graph.edges} >= {graph_pb2.Edge.KIND_ROI_ROI, graph_pb2.Edge.KIND_ROI_AU}
    assert all(e.source in names and e.target in names and 0 < e.weight <= 1 for e in graph.edges)


def test_edges_are_the_strongest_of_the_mean_graph(engine: Engine) -> None:
    (graph,) = engine.recognise([window(1)])
    mean = sum(f.weight * np.reshape(f.adjacency, (len(ROIS), len(ROIS))) for f in graph.frames)
    np.fill_diagonal(mean, 0)
    edges = [e for e in graph.edges if e.kind == graph_pb2.Edge.KIND_ROI_ROI]
    listener, speaker = np.unravel_index(mean.argmax(), mean.shape)
    assert (edges[0].source, edges[0].target) == (ROIS[speaker].name, ROIS[listener].name)
    assert edges[0].weight == pytest.approx(mean.max(), abs=1e-5)


def test_without_scale_there_is_no_intensity(engine: Engine) -> None:
    known, unknown = engine.recognise([window(1), window(1, tensor=motion(1, known=False))])
    assert all(au.HasField("intensity") for au in known.aus)
    assert not any(au.HasField("intensity") for au in unknown.aus)


def bad_windows() -> dict[str, window_pb2.ApexWindow]:
    broken = {name: window() for name in ("id", "stream", "data", "centres", "convention", "empty", "unseen", "nan")}
    broken["id"].window_id = ""
    broken["stream"].stream.track = "first"
    broken["data"].motion.data = broken["data"].motion.data[:-2]
    del broken["centres"].roi_centres[3:]
    broken["convention"].motion.convention = "0"
    broken["empty"] = window_pb2.ApexWindow()
    broken["unseen"] = window(tensor=motion(seen=np.zeros((8, len(ROIS)), bool)))
    broken["nan"].motion.data = b"\xff\xff" + broken["nan"].motion.data[2:]
    return broken


@pytest.mark.parametrize("fault", bad_windows())
def test_a_bad_window_leaves_its_neighbours_alone(engine: Engine, fault: str) -> None:
    good, bad = window(1), bad_windows()[fault]
    before, wrong, after = engine.answers([good, bad, window(2)])
    assert isinstance(wrong, Poison)
    assert isinstance(before, graph_pb2.AuGraph) and isinstance(after, graph_pb2.AuGraph)
    np.testing.assert_allclose(numbers(before), numbers(engine.recognise([good])[0]), atol=TOLERANCE)
    assert after.window_id == window(2).window_id
    with pytest.raises(Poison):
        engine.recognise([good, bad])


def test_weights_survive_the_disk(tmp_path: Path) -> None:
    config = StagConfig(width=32, heads=2, seed=7, temporal=False)
    made = replace(weights.untrained(config), thresholds=tuple(0.1 + 0.01 * i for i in range(len(AUS))), trained=True)
    weights.write(made, tmp_path / "w.safetensors")
    back = weights.read(tmp_path / "w.safetensors")
    assert (back.config, back.thresholds, back.trained) == (made.config, made.thresholds, True)
    assert back.digest() == made.digest()
    assert Engine(ModelSettings(model_weights=tmp_path / "w.safetensors")).model.trained


def test_the_digest_names_all_that_matters() -> None:
    base = weights.untrained(StagConfig(width=32, heads=2))
    name, values = next(iter(base.state.items()))
    others = [
        replace(base, config=replace(base.config, classes=("a", "b", "c"))),
        replace(base, state={**base.state, name: values + 1e-3}),
        replace(base, thresholds=(0.4, *base.thresholds[1:])),
        weights.untrained(StagConfig(width=32, heads=2, seed=1)),
    ]
    assert len({base.digest(), *(other.digest() for other in others)}) == 5
    shuffled = replace(base, state=dict(reversed(base.state.items())))
    assert shuffled.digest() == base.digest(), "the order of names is no difference"


def test_without_shipped_weights_the_answer_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(weights, "SHIPPED", tmp_path / "none.safetensors")
    first, again = Engine(ModelSettings(device="cpu")), Engine(ModelSettings(device="cpu"))
    assert not first.model.trained and first.model.digest == again.model.digest
    assert first.recognise([window()]) == again.recognise([window()])


def test_weights_of_another_kind_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    for content in (None, b"", b"no weights at all"):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(Fatal, match=r"w\.safetensors"):
            weights.read(path)
    made = weights.untrained(StagConfig(width=32, heads=2))
    weights.write(replace(made, state=dict(list(made.state.items())[1:])), path)
    with pytest.raises(Fatal, match="do not fit"):
        weights.read(path).network()


def test_thresholds_decide_what_is_active(tmp_path: Path) -> None:
    base = weights.untrained(StagConfig())
    for threshold, active in ((0.0, True), (1.0, False)):
        path = tmp_path / f"{active}.safetensors"
        weights.write(replace(base, thresholds=(threshold,) * len(AUS)), path)
        (graph,) = Engine(ModelSettings(model_weights=path)).recognise([window()])
        assert {au.active for au in graph.aus} == {active}
