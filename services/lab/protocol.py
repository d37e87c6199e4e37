"""Who trains and who is tested: protocols as pure functions from clips to folds, and the check that none leaks.

Folds hold ids of clips. A person is `Clip.person`, which differs between data sets of different people whatever their
subjects are called, and is the same in data sets that share their people.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from sklearn.model_selection import GroupKFold, StratifiedKFold

from services.common.errors import Fatal
from services.lab.datasets.clip import Clip

Protocol = Literal["loso", "groupkfold", "stratifiedkfold", "leave-dataset-out", "zero-shot"]

PROTOCOLS: Final[tuple[Protocol, ...]] = ("loso", "groupkfold", "stratifiedkfold", "leave-dataset-out", "zero-shot")

FOLDS: Final = 5
"""Folds of the two k-fold protocols unless told otherwise."""


class Leak(Fatal):
    """Something tested was trained on, or is tested twice or never: the numbers would mean nothing."""


@dataclass(frozen=True)
class Fold:
    """name: who is tested. train, test: ids of clips, in the order of the data set."""

    name: str
    train: tuple[str, ...]
    test: tuple[str, ...]


def split(protocol: Protocol, clips: Sequence[Clip], classes: int, folds: int = FOLDS, seed: int = 0) -> list[Fold]:
    """The folds of a protocol, checked.

    loso: a fold a person. groupkfold: persons spread over `folds` by `seed`. stratifiedkfold: clips spread so that each
    fold has the classes in equal shares; a person may be on both sides, as the protocol says. leave-dataset-out: a fold
    a population. zero-shot: one fold that trains on nothing.
    Raises Fatal when there are too few to split, Leak when a fold would leak.
    """
    made = _SPLITTERS[protocol](clips, classes, folds, seed)
    check(made, clips, protocol)
    return made


def check(folds: Sequence[Fold], clips: Sequence[Clip], protocol: Protocol) -> None:
    """Raises Leak unless every clip is tested exactly once, nothing is on both sides of a fold, and neither is a person
    (loso, groupkfold) or a population (leave-dataset-out) where the protocol forbids it."""
    by_id = {clip.id: clip for clip in clips}
    tested = sorted(each for fold in folds for each in fold.test)
    if tested != sorted(by_id):
        twice = sorted({each for each in tested if tested.count(each) > 1})[:5]
        raise Leak("not every clip is tested exactly once", twice=twice, never=sorted(set(by_id) - set(tested))[:5])
    for fold in folds:
        _apart(fold, "clip", set(fold.train), set(fold.test))
        if protocol in ("loso", "groupkfold", "leave-dataset-out"):
            _apart(fold, "person", *({by_id[each].person for each in side} for side in (fold.train, fold.test)))
        if protocol == "leave-dataset-out":
            _apart(fold, "data set", *({by_id[each].population for each in side} for side in (fold.train, fold.test)))
        if not fold.train and protocol != "zero-shot":
            raise Fatal("nothing is left to train on", fold=fold.name, protocol=protocol)


def _apart(fold: Fold, what: str, train: set[str], test: set[str]) -> None:
    if both := sorted(train & test):
        raise Leak(f"the same {what} is trained on and tested", fold=fold.name, both=both[:5])


def _by(key: Callable[[Clip], str], clips: Sequence[Clip]) -> list[Fold]:
    """A fold for each value of `key`, in the order of their names."""
    return [_fold(name, clips, {clip.id for clip in clips if key(clip) == name}) for name in sorted({*map(key, clips)})]


def _fold(name: str, clips: Sequence[Clip], test: set[str]) -> Fold:
    ids = [clip.id for clip in clips]
    return Fold(name, tuple(each for each in ids if each not in test), tuple(each for each in ids if each in test))


def _loso(clips: Sequence[Clip], *_: int) -> list[Fold]:
    return _by(lambda clip: clip.person, clips)


def _leave_dataset_out(clips: Sequence[Clip], *_: int) -> list[Fold]:
    return _by(lambda clip: clip.population, clips)


def _zero_shot(clips: Sequence[Clip], *_: int) -> list[Fold]:
    return [Fold("all", (), tuple(clip.id for clip in clips))]


def _group_kfold(clips: Sequence[Clip], _: int, folds: int, seed: int) -> list[Fold]:
    people = [clip.person for clip in clips]
    if len(set(people)) < folds:
        raise Fatal("fewer persons than folds", persons=len(set(people)), folds=folds)
    splits = GroupKFold(folds, shuffle=True, random_state=seed).split(people, groups=people)
    return [_fold(f"{i + 1} of {folds}", clips, {clips[j].id for j in test}) for i, (_, test) in enumerate(splits)]


def _stratified_kfold(clips: Sequence[Clip], classes: int, folds: int, seed: int) -> list[Fold]:
    labels = [clip.label(classes) or "" for clip in clips]
    if fewest := [label for label in sorted(set(labels)) if labels.count(label) < folds]:
        raise Fatal("fewer clips of a class than folds", classes=fewest, folds=folds)
    splits = StratifiedKFold(folds, shuffle=True, random_state=seed).split(labels, labels)
    return [_fold(f"{i + 1} of {folds}", clips, {clips[j].id for j in test}) for i, (_, test) in enumerate(splits)]


_SPLITTERS: Final[Mapping[Protocol, Callable[[Sequence[Clip], int, int, int], list[Fold]]]] = {
    "loso": _loso,
    "groupkfold": _group_kfold,
    "stratifiedkfold": _stratified_kfold,
    "leave-dataset-out": _leave_dataset_out,
    "zero-shot": _zero_shot,
}
