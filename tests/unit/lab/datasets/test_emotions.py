"""Emotion words and the classes that they fall into."""

import pytest

from services.common.errors import Fatal
from services.lab.datasets.emotions import FIVE_CLASSES, class_names, emotions, five_class, three_class


@pytest.mark.parametrize(
    ("word", "label"),
    [
        *(
            (word, "negative")
            for word in ("repression", "Anger", "contempt", "DISGUST", "fear", "sadness", "sad", "ne")
        ),
        *((word, "positive") for word in ("happiness", "happy", "happyiness", "po")),
        ("Surprise", "surprise"),
        ("Others", None),
        ("other", None),
        ("", None),
        ("anger/fear", "negative"),
        ("anger and surprise", None),
    ],
)
def test_three_classes_of_megc_2019(word: str, label: str | None) -> None:
    assert three_class(word) == label


def test_several_emotions_come_apart_under_their_usual_names() -> None:
    assert emotions("Happy, Sad; Other") == ("happiness", "sadness", "others")


@pytest.mark.parametrize("name", FIVE_CLASSES)
def test_five_classes_are_five(name: str) -> None:
    assert len(set(class_names(5, [name]))) == 5
    assert all(five_class(name, label) == label for label in FIVE_CLASSES[name])


def test_sets_with_the_same_five_classes_go_together() -> None:
    assert class_names(5, ["samm", "samm-lv"]) == FIVE_CLASSES["samm"]


@pytest.mark.parametrize("names", [["smic"], ["casme2", "samm"], ["flow-images"]])
def test_sets_without_five_common_classes_are_refused(names: list[str]) -> None:
    with pytest.raises(Fatal, match="--classes 3"):
        class_names(5, names)
