"""One recogniser over all folds: each fold's answers are a file, so that a run that was killed goes on where it was.

A file holds for which question it is the answer (a hash over the samples of both sides, labels, seed and recogniser);
one for another question is not used.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed

from services.analyze.files import write_json
from services.lab.protocol import Fold
from services.lab.recogniser import Prediction, Recogniser, Sample
from services.lab.samples import digest


@dataclass(frozen=True)
class Answers:
    """What a recogniser answered on every clip: id to probabilities [C], AU probabilities [A] and activity [A].

    The latter two are None where it says nothing of AUs. reused: folds whose answers an earlier run had left.
    """

    emotion: Mapping[str, Sequence[float]]
    au: Mapping[str, Sequence[float]] | None
    active: Mapping[str, Sequence[bool]] | None
    reused: int


def run_folds(
    recogniser: Recogniser,
    folds: Sequence[Fold],
    samples: Sequence[Sample],
    seed: int,
    folder: Path,
    progress: Callable[[], None] = lambda: None,
    workers: int = 1,
) -> Answers:
    """Fit and ask in every fold. folder: where the folds' files are. progress: called after each fold. workers:
    processes that share the folds; answers do not depend on how many."""
    digests = {sample.id: digest(sample) for sample in samples}
    questions = [_question(recogniser, fold, digests, seed) for fold in folds]
    files = [folder / _slug(recogniser.name) / f"{number:03d}.json" for number in range(1, len(folds) + 1)]
    parts = [_read(file, question) for file, question in zip(files, questions, strict=True)]
    missing = [i for i, part in enumerate(parts) if part is None]
    for _ in range(len(folds) - len(missing)):
        progress()
    files[0].parent.mkdir(parents=True, exist_ok=True)
    by_id = {sample.id: sample for sample in samples}
    jobs = (delayed(_answer)(recogniser, folds[i], by_id, seed) for i in missing)
    for i, said in zip(missing, Parallel(workers, return_as="generator")(jobs), strict=True):
        parts[i] = part = _as_json(folds[i], questions[i], said)
        write_json(files[i], part)
        progress()
    whole = [part for part in parts if part is not None]
    reused = len(folds) - len(missing)
    return Answers(_joined(whole, "emotion") or {}, _joined(whole, "au"), _joined(whole, "active"), reused)


def _answer(recogniser: Recogniser, fold: Fold, by_id: Mapping[str, Sample], seed: int) -> Prediction:
    predict = recogniser.fit([by_id[each] for each in fold.train], seed)
    return predict([by_id[each].motion for each in fold.test])


def _question(recogniser: Recogniser, fold: Fold, digests: Mapping[str, str], seed: int) -> str:
    sides = [[digests[each] for each in side] for side in (fold.train, fold.test)]
    return hashlib.sha256(json.dumps([recogniser.name, recogniser.about, seed, fold.name, sides]).encode()).hexdigest()


def _as_json(fold: Fold, question: str, answer: Prediction) -> dict[str, Any]:
    if len(answer.emotion) != len(fold.test) or not np.isfinite(answer.emotion).all():
        raise ValueError(f"a recogniser must give a probability for each of {len(fold.test)} clips")
    values = {name: None if array is None else np.asarray(array).tolist() for name, array in answer._asdict().items()}
    return {"fold": fold.name, "question": question, "clips": list(fold.test)} | values


def _read(file: Path, question: str) -> dict[str, Any] | None:
    """The answers to this very question; None when they are not there or not whole."""
    try:
        kept = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return kept if isinstance(kept, dict) and kept.get("question") == question else None


def _joined(parts: Sequence[Mapping[str, Any]], name: str) -> dict[str, Any] | None:
    if any(part[name] is None for part in parts):
        return None
    return {clip: values for part in parts for clip, values in zip(part["clips"], part[name], strict=True)}


def _slug(name: str) -> str:
    return re.sub(r"\W+", "-", name.casefold()).strip("-")
