"""What speaks for a candidate and against it: the filter of a brief one's shape, the trees, and how they are fitted."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from microex.v1 import frame_pb2
from services.lab.metrics import Span
from services.lab.replant import Replay, plant
from services.lab.spotter_weights import Candidates, _write, fit, flanks_of, right
from services.motion import templates
from services.motion.rois import ROI_INDEX, ROIS, mirrored
from services.motion.templates import TEMPLATES
from services.spotter.constants import CONSTANTS
from services.spotter.detector import Detector
from services.spotter.judge import Verdict
from services.spotter.likelihood import (
    FOR,
    FREE,
    LASTING,
    LASTING_FREE,
    NAMES,
    feet,
    likelihood,
    row_of,
    spoke_against,
)
from services.spotter.matched import matched
from services.spotter.trees import TREES, Expression, Trees
from tests.unit.spotter.planting import Plant
from tests.unit.spotter.streams import planted

TIMES = np.arange(-45, 60) / 30
NOT_SHUT = np.zeros(len(TIMES), bool)
NOTHING = np.zeros((len(ROIS), 2), bool)


def movement(size: float, noise: float, seed: int = 0) -> np.ndarray:
    """[n, R, 2]: a smile that rises and falls within 0.4 s around 0, in noise."""
    course = np.clip(1 - np.abs(TIMES) / 0.2, 0, 1) ** 2
    smile = TEMPLATES[templates.NAMES.index(("AU12", "both"))]
    return size * course[:, None, None] * smile + np.random.default_rng(seed).normal(
        0, noise, (len(TIMES), *smile.shape)
    )


def test_the_filter_tells_more_than_the_apex_does() -> None:
    """Averaged over the movement, noise is less and the motion is not."""
    answers = [matched(TIMES, movement(0.02, 0.002, seed), 45, (-0.18, 0.18), NOT_SHUT, NOTHING) for seed in range(20)]
    by_apex = 0.02 * np.linalg.norm(TEMPLATES[templates.NAMES.index(("AU12", "both"))]) / 0.002
    assert np.median([answer.score for answer in answers]) > 1.3 * by_apex
    assert np.median([answer.likeness for answer in answers]) > 0.9
    noise = [matched(TIMES, movement(0, 0.002, seed), 45, (-0.18, 0.18), NOT_SHUT, NOTHING) for seed in range(20)]
    assert np.median([answer.score for answer in noise]) < 6 < np.median([answer.score for answer in answers])
    assert np.median([answer.chance for answer in noise]) > 2 * np.median([answer.chance for answer in answers])


def test_the_filter_ignores_what_stays_and_what_does_not_count() -> None:
    still = movement(0.02, 0.001) + 0.3
    answer = matched(TIMES, still, 45, (-0.18, 0.18), NOT_SHUT, NOTHING)
    same = matched(TIMES, movement(0.02, 0.001), 45, (-0.18, 0.18), NOT_SHUT, NOTHING)
    np.testing.assert_allclose(answer.pattern, same.pattern, atol=1e-6)
    ignored = NOTHING.copy()
    ignored[ROI_INDEX["lip_corner_left"]] = True
    pattern = matched(TIMES, still, 45, (-0.18, 0.18), NOT_SHUT, ignored).pattern
    assert not pattern[ROI_INDEX["lip_corner_left"]].any() and pattern[ROI_INDEX["lip_corner_right"]].any()


def test_without_frames_beside_it_there_is_no_chance() -> None:
    near = slice(37, 54)
    answer = matched(TIMES[near], movement(0.02, 0.001)[near], 8, (-0.18, 0.18), NOT_SHUT[near], NOTHING)
    assert answer.chance == 0 and answer.score > 0


@pytest.fixture(scope="module")
def smiles(neutral: frame_pb2.FaceFrame) -> list[Verdict]:
    """Verdicts on a face that smiles briefly."""
    detector = Detector(whole=True)
    stream = planted(neutral, 4, 30, [Plant("smile", 40, 44, 49, 0.4)])
    return [
        verdict
        for message in stream
        for verdict in detector.step(message).verdicts
        if verdict.brief and verdict.likelihood is not None
    ]


def test_all_that_is_weighed_is_measured_and_nothing_more(smiles: list[Verdict]) -> None:
    assert smiles[0].seen is not None
    assert TREES.names == NAMES
    [row] = row_of(smiles[0].seen)
    assert len(row) == len(NAMES) and np.isfinite(row).all()


def test_a_plain_expression_is_likely(smiles: list[Verdict]) -> None:
    [verdict] = [verdict for verdict in smiles if verdict.found is not None]
    assert verdict.seen is not None
    assert likelihood(row_of(verdict.seen)) == verdict.likelihood
    assert verdict.likelihood is not None and verdict.likelihood > CONSTANTS.likely


@pytest.mark.parametrize(("kind", "free"), [("brief", FREE), ("lasting", LASTING_FREE)])
def test_no_measure_speaks_the_wrong_way(kind: str, free: tuple[str, ...]) -> None:
    """Along each measure the shipped trees only rise, or only fall."""
    odds, typical = getattr(TREES, kind)
    for k, name in enumerate(TREES.names[: len(typical)]):
        if not name.startswith(free):
            rows = np.tile(typical, (80, 1))
            rows[:, k] += np.linspace(-6, 6, 80)
            steps = np.diff(odds(rows)) * (1 if name in FOR else -1)
            assert steps.min() >= -1e-9, name


def test_what_spoke_against_it_is_named(smiles: list[Verdict], monkeypatch: pytest.MonkeyPatch) -> None:
    seen = next(verdict.seen for verdict in smiles if verdict.found is not None)
    assert seen is not None
    for name, reason in (("turn_deg", "head"), ("filtered_score", "noise"), ("mouth", "speech"), ("curve 3", "shape")):
        at = TREES.names.index(name)
        for kind, now in (("brief", seen), ("lasting", replace(seen, matched=None))):
            typical = getattr(TREES, kind).typical
            if at < len(typical):

                def one_says(rows: np.ndarray, at: int = at, usual: float = typical[at]) -> np.ndarray:
                    return np.isclose(rows[:, at], usual).astype(float)

                monkeypatch.setattr(TREES, kind, Expression(one_says, typical))
                assert spoke_against(row_of(now)) == reason


def test_one_that_lasts_is_judged_by_its_measures_alone(neutral: frame_pb2.FaceFrame) -> None:
    detector = Detector(whole=True)
    stream = planted(neutral, 6, 30, [Plant("smile", 50, 62, 95, 0.5)])
    verdicts = [verdict for message in stream for verdict in detector.step(message).verdicts]
    [held] = [verdict for verdict in verdicts if verdict.found is not None]
    assert held.seen is not None and not held.brief
    assert row_of(held.seen).shape == (1, LASTING)
    assert likelihood(row_of(held.seen)) == held.likelihood
    assert held.likelihood is not None and held.likelihood > CONSTANTS.lasting_likely


@pytest.fixture(scope="module")
def made_up() -> Candidates:
    """An expression is what has a high score and a nose that goes up, on either side; or lasts while the head rests."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(1500, len(TREES.names)))
    at = {name: k for k, name in enumerate(TREES.names)}
    noses = rows[:, at["pattern nose_wing_left y"]] + rows[:, at["pattern nose_wing_right y"]]
    flanks = 0.2 + 0.04 * rows[:, [at["rise_s"], at["fall_s"]]].clip(-2, 2)
    flanks[rows[:, at["score"]] < noses] = np.nan
    frame_s, video, lasting = np.full(1500, 1 / 30), np.arange(1500) // 150, rows[:, :LASTING].copy()
    return Candidates(TREES.names, rows, flanks, frame_s, video, lasting, lasting[:, at["turn_deg"]] < 0)


@pytest.fixture(scope="module")
def learned(made_up: Candidates, tmp_path_factory: pytest.TempPathFactory) -> Trees:
    path = tmp_path_factory.mktemp("trees") / "trees.npz"
    _write(path, fit(made_up, right(made_up)))
    return Trees(path)


def test_trees_that_were_written_say_what_they_said(made_up: Candidates, tmp_path: Path,
                                                    monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    kept = list[HistGradientBoostingClassifier]()
    learn, answer, path = HistGradientBoostingClassifier.fit, right(made_up), tmp_path / "trees.npz"
    monkeypatch.setattr(HistGradientBoostingClassifier, "fit",
                        lambda self, *args: kept.append(self) or learn(self, *args))  # fmt: skip
    _write(path, fit(made_up, answer))
    trees, rows = Trees(path), made_up.rows
    np.testing.assert_allclose(trees.brief.odds(rows[:200]), kept[0].decision_function(rows[:200]), atol=1e-9)
    assert ((trees.brief.odds(rows) > 0) == answer).mean() > 0.85
    assert ((trees.lasting.odds(made_up.lasting) > 0) == made_up.held).mean() > 0.95
    assert trees.digest != TREES.digest


def test_feet_are_learned_from_expressions(made_up: Candidates, learned: Trees,
                                           monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    known = ~np.isnan(made_up.flanks[:, 0])
    told = np.stack([learned.rise(made_up.rows), learned.fall(made_up.rows)], 1)
    assert np.abs(told - made_up.flanks)[known].mean() < 0.01
    monkeypatch.setattr("services.spotter.likelihood.TREES", learned)
    assert feet(made_up.rows[:1]) == tuple(told[0].clip(0))


def test_an_expression_that_is_placed_wrong_is_none(made_up: Candidates) -> None:
    known = ~np.isnan(made_up.flanks[:, 0])
    assert (right(made_up) == known).mean() > 0.98
    astray = made_up.flanks.copy()
    astray[::7] *= 6
    answer = right(replace(made_up, flanks=astray))
    assert not answer[~known].any() and not answer[::7].any() and answer[known].mean() > 0.8


def test_whose_apex_it_is() -> None:
    micros = [Span(1.0, 1.4), Span(2.0, 2.3)]
    assert flanks_of(1.2, 0.1, micros) == pytest.approx((0.2, 0.1)), "the last frame begins 0.1 s before the end"
    assert flanks_of(1.95, 0.1, micros) == pytest.approx((-0.05, 0.25)), "a frame before the onset"
    assert np.isnan(flanks_of(1.6, 0.1, micros)).all()


def test_mirrored_faces_are_learned_alike(learned: Trees) -> None:
    twin = mirrored()
    rows = np.tile(learned.brief.typical, (2, 1))
    left = ROI_INDEX["nose_wing_left"]
    for row, roi in zip(rows, (left, twin[left]), strict=True):
        row[learned.names.index(f"pattern {ROIS[roi].name} y")] = -2.5
    one, other = learned.brief.odds(rows)
    assert one == pytest.approx(other, abs=0.4)


def test_what_was_seen_is_judged_the_same_again_and_planted_smiles_are_found(neutral: frame_pb2.FaceFrame) -> None:
    stream = list(planted(neutral, 12, 30, [Plant("smile", 40, 44, 49, 0.4)]))
    detector = Detector(whole=True)
    at_once = [verdict for message in stream for verdict in detector.step(message).verdicts]
    sights = Replay(whole=True).see(stream)
    again = Replay(whole=True).watch(sights)
    assert [(v.apex_us, v.reason, v.likelihood) for v in again] == [
        (v.apex_us, v.reason, v.likelihood) for v in at_once
    ]
    more = plant(np.random.default_rng(1), sights, [Span(1.2, 1.8)], "muscle", 0, (0.3, 0.4), 70)
    assert more.spans["micro"] and all(span.end < 1.2 or span.start > 1.8 for span in more.spans["micro"])
    found = [verdict.found for verdict in Replay(whole=True).watch(more.sights) if verdict.found is not None]
    spans = [Span(each.onset_us / 1e6, each.offset_us / 1e6 + 1 / 30) for each in found]
    first = int(sights[0].row["time_us"]) / 1e6
    met = sum(any(Span(m.start + first, m.end + first).iou(span) >= 0.5 for span in spans) for m in more.spans["micro"])
    assert met >= 0.6 * len(more.spans["micro"]), (more.spans["micro"], spans)
