"""`microex evaluate recognition` without its command line: from data sets to a report.

    readers -> clips -> samples -> folds -> fit and answer in each -> report

The same for any recogniser: STAG, fine-tuned by `services.lab.train`, and the baselines.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from services.analyze.summary import versions
from services.common.errors import Fatal
from services.common.settings import AnalyzeSettings
from services.lab import train
from services.lab.baselines import baselines
from services.lab.datasets.clip import Clip
from services.lab.datasets.emotions import class_names
from services.lab.datasets.readers import read_clips
from services.lab.folds import run_folds
from services.lab.protocol import FOLDS, Fold, Protocol, split
from services.lab.recogniser import Predict, Recogniser, Sample
from services.lab.report import Trial, write_report
from services.lab.samples import Dropped, make_samples, motion_digest, with_aus
from services.lab.shipped import shipped

NO_BASELINES: Final = "zero-shot trains on nothing, so there is no baseline to compare with"
SHARED_PERSONS: Final = "stratifiedkfold puts clips of one person on both sides: scores are higher than for new persons"

Progress = Callable[[str, int, int], None]
"""Called after each step: what is done, steps done, steps in all."""


@dataclass(frozen=True)
class Question:
    """What is asked. datasets, roots: as `read_clips`; aus: CSV of AU codes; classes: 3 or 5; workers: processes
    that share the folds."""

    datasets: tuple[str, ...]
    roots: tuple[Path, ...]
    protocol: Protocol
    classes: int = 3
    init: train.Init = "shipped"
    aus: Path | None = None
    folds: int = FOLDS
    seed: int = 0
    workers: int = 1


def evaluate(
    question: Question, out: Path, settings: AnalyzeSettings, progress: Progress = lambda *_: None
) -> dict[str, Any]:
    """Writes the report into `out` and returns it. What an earlier run of the same left there is not done again.

    Raises Fatal for a question that makes no sense, Poison for data that cannot be read.
    """
    names = class_names(question.classes, question.datasets)
    recognisers, notes = _recognisers(question, names, settings)
    clips = read_clips(question.datasets, question.roots)
    if question.aus is not None:
        clips = with_aus(clips, question.aus, question.roots)
    done = iter(range(1, len(clips) + 1))
    samples, dropped = make_samples(
        clips, names, settings, out / "motion", lambda: progress("motion", next(done), len(clips))
    )
    usable = {sample.id for sample in samples}
    used = [clip for clip in clips if clip.id in usable]
    if not used:
        raise Fatal("no clip of these data sets can be used", left_out=dict(_reasons(dropped)))
    folds = split(question.protocol, used, question.classes, question.folds, question.seed)
    answers = []
    for recogniser in recognisers:
        steps = iter(range(1, len(folds) + 1))
        tick = _ticker(progress, recogniser.name, steps, len(folds))
        answers.append(
            (recogniser, run_folds(recogniser, folds, samples, question.seed, out / "folds", tick, question.workers))
        )
    facts = _facts(question, clips, samples, dropped, notes + _warnings(folds, samples))
    trial = Trial(samples, {clip.id: clip for clip in used}, names, folds, answers, question.seed, facts)
    return write_report(out, trial)


def _ticker(progress: Progress, name: str, steps: Any, total: int) -> Callable[[], None]:
    return lambda: progress(name, next(steps), total)


def _recognisers(
    question: Question, classes: tuple[str, ...], settings: AnalyzeSettings
) -> tuple[list[Recogniser], list[str]]:
    """Those to score, the one under test first, and what is to be said about the choice."""
    if question.protocol == "zero-shot":
        return [shipped(settings, classes)], [NO_BASELINES]
    notes = [SHARED_PERSONS] if question.protocol == "stratifiedkfold" else []
    return [_stag(question, classes, settings), *baselines(len(classes))], notes


def _stag(question: Question, classes: tuple[str, ...], settings: AnalyzeSettings) -> Recogniser:
    def fit(samples: Sequence[Sample], seed: int) -> Predict:
        return train.fit(samples, classes=classes, init=question.init, seed=seed, settings=settings)

    return Recogniser("STAG", fit, train.about(question.init, settings))


def _warnings(folds: Sequence[Fold], samples: Sequence[Sample]) -> list[str]:
    """Copies of one motion under two names, on both sides of a fold: no protocol knows of them, every reader should."""
    digests = {sample.id: motion_digest(sample) for sample in samples}
    both: set[str] = set()
    for fold in folds:
        both |= {digests[each] for each in fold.train} & {digests[each] for each in fold.test}
    return [f"{len(both)} clips are there under two names, once in training and once in test"] if both else []


def _facts(
    question: Question, clips: Sequence[Clip], samples: Sequence[Sample], dropped: Sequence[Dropped], notes: list[str]
) -> dict[str, Any]:
    return {
        "datasets": list(question.datasets),
        "protocol": question.protocol,
        "classes": question.classes,
        "init": question.init,
        "seed": question.seed,
        "persons": len({sample.person for sample in samples}),
        "notes": notes,
        "left_out": dict(_reasons(dropped)),
        "left_out_clips": [vars(each) for each in dropped],
        "repairs": [
            {"clip": clip.id, "source": clip.source, "repair": repair} for clip in clips for repair in clip.repairs
        ],
        "versions": versions(),
    }


def _reasons(dropped: Sequence[Dropped]) -> Counter[str]:
    return Counter(each.reason for each in dropped)
