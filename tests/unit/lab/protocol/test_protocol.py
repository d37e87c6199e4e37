"""Folds, and leaks that are caught."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.errors import Fatal
from services.lab.datasets.clip import Clip
from services.lab.protocol import PROTOCOLS, Fold, Leak, Protocol, check, split

LABELS = ("negative", "positive", "surprise")


def clip(dataset: str, subject: str, number: int, people: str | None = None) -> Clip:
    label = LABELS[number % 3]
    return Clip(dataset, subject, str(number), Path("x"), 30, 0, 1, 2, label, label, None, None, "here", (), people)


def make(*sets: str, subjects: int = 6, clips: int = 6) -> list[Clip]:
    """Subjects of every set are called 01, 02, …"""
    return [clip(name, f"{s:02d}", n) for name in sets for s in range(subjects) for n in range(clips)]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_clip_is_tested_once_and_never_trained_on(protocol: Protocol) -> None:
    clips = make("casme2", "samm")
    folds = split(protocol, clips, 3)
    assert sorted(each for fold in folds for each in fold.test) == sorted(clip.id for clip in clips)
    assert all(not set(fold.train) & set(fold.test) for fold in folds)
    assert protocol == "zero-shot" or all(len(fold.train) + len(fold.test) == len(clips) for fold in folds)


def test_loso_tests_one_person_at_a_time_whatever_sets_call_them() -> None:
    folds = split("loso", make("casme2", "samm"), 3)
    assert [fold.name for fold in folds] == [f"{name}/{s:02d}" for name in ("casme2", "samm") for s in range(6)]
    assert all(each.startswith(fold.name) for fold in folds for each in fold.test)
    assert "samm/01/0" in folds[1].train, "subject 01 of another data set is another person"


def test_sets_of_the_same_people_are_held_out_together() -> None:
    clips = [clip(name, f"{s:02d}", n, "samm") for name in ("samm", "samm-lv") for s in range(3) for n in range(3)]
    for fold in split("loso", clips, 3):
        assert {each.split("/")[0] for each in fold.test} == {"samm", "samm-lv"}
    with pytest.raises(Fatal, match="nothing is left"):
        split("leave-dataset-out", clips, 3)


@pytest.mark.parametrize("protocol", ["groupkfold", "stratifiedkfold"])
def test_seeds_repeat_and_differ(protocol: Protocol) -> None:
    clips = make("casme2", subjects=20)
    assert split(protocol, clips, 3, seed=1) == split(protocol, clips, 3, seed=1)
    assert split(protocol, clips, 3, seed=1) != split(protocol, clips, 3, seed=2)


def test_stratified_folds_have_the_classes_in_equal_shares() -> None:
    clips = make("casme2", subjects=10)
    label = {each.id: each.three_class for each in clips}
    for fold in split("stratifiedkfold", clips, 3):
        assert [sum(label[each] == name for each in fold.test) for name in LABELS] == [4, 4, 4]


def test_leave_dataset_out_tests_one_set_at_a_time() -> None:
    folds = split("leave-dataset-out", make("casme2", "samm", "smic"), 3)
    assert [fold.name for fold in folds] == ["casme2", "samm", "smic"]


@pytest.mark.parametrize("protocol", ["loso", "groupkfold", "leave-dataset-out"])
def test_too_few_to_split(protocol: Protocol) -> None:
    with pytest.raises(Fatal):
        split(protocol, make("casme2", subjects=1), 3)


def test_too_few_of_a_class_to_split() -> None:
    with pytest.raises(Fatal, match="fewer clips"):
        split("stratifiedkfold", make("casme2", subjects=1), 3)


@pytest.mark.parametrize("protocol", ["loso", "groupkfold", "leave-dataset-out"])
@given(data=st.data())
def test_a_planted_leak_is_caught(protocol: Protocol, data: st.DataObject) -> None:
    """Any tested clip of any fold, moved or copied into that fold's training side."""
    clips = make("casme2", "samm", subjects=6)
    folds = split(protocol, clips, 3)
    at = data.draw(st.integers(0, len(folds) - 1))
    leaked = data.draw(st.sampled_from(folds[at].test))
    copied = replace(folds[at], train=(*folds[at].train, leaked))
    with pytest.raises(Leak, match="same clip"):
        check([*folds[:at], copied, *folds[at + 1 :]], clips, protocol)
    moved = replace(copied, test=tuple(each for each in copied.test if each != leaked))
    with pytest.raises(Leak, match="exactly once"):
        check([*folds[:at], moved, *folds[at + 1 :]], clips, protocol)


def test_a_person_on_both_sides_is_caught_although_no_clip_is() -> None:
    clips = make("casme2", subjects=2)
    ids = [each.id for each in clips]
    halves = [Fold("even", tuple(ids[1::2]), tuple(ids[::2])), Fold("odd", tuple(ids[::2]), tuple(ids[1::2]))]
    with pytest.raises(Leak, match="same person"):
        check(halves, clips, "groupkfold")
    check(halves, clips, "stratifiedkfold")


def test_a_clip_that_is_tested_twice_or_never_is_caught() -> None:
    clips = make("casme2", subjects=3)
    folds = split("loso", clips, 3)
    with pytest.raises(Leak, match="exactly once"):
        check(folds[1:], clips, "loso")
    with pytest.raises(Leak, match="exactly once"):
        check([*folds, folds[0]], clips, "loso")
