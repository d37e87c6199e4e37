"""Scores of what the recognizer says of expressions whose truth is known."""

import pytest

from services.lab.recognised import Recognised, scores


def one(person: str, emotion: str, aus: tuple[str, ...] | None, said: tuple[float, ...], active: tuple[str, ...] = ()):
    return Recognised(person, emotion, aus, said, active)


SURE = {"negative": (0.9, 0.05, 0.05), "positive": (0.05, 0.9, 0.05), "surprise": (0.05, 0.05, 0.9)}


def test_all_right() -> None:
    found = [one(f"p{i}", emotion, None, SURE[emotion]) for i in range(4) for emotion in SURE]
    report = scores(found)
    assert report is not None
    assert report["uf1"] == 1
    assert report["n"] == 12
    assert report["calibration_error"] == pytest.approx(0.1)
    assert "au_f1" not in report and "true_aus" not in report, "nobody coded AUs"


def test_what_the_true_aus_would_say_is_set_beside_it() -> None:
    """A lone AU4 is seen in anger and, rarely, in joy: whoever knows the AU answers negative and is wrong about joy."""
    found = [one("a", "negative", ("AU4",), SURE["negative"]), one("b", "positive", ("AU4",), SURE["positive"])]
    report = scores(found)
    assert report is not None
    assert report["uf1"] == 1
    assert report["true_aus"]["n"] == 2
    assert report["true_aus"]["uf1"] == pytest.approx(1 / 3), "F1 of 2/3 for negative, 0 for positive"


def test_au_f1_counts_the_positive_class_of_those_coded_often() -> None:
    found = [one(f"p{i % 5}", "positive", ("AU12",), SURE["positive"], ("AU12",) if i % 2 else ()) for i in range(40)]
    found += [one("p9", "negative", ("AU4",), SURE["negative"], ("AU4", "AU12"))]
    report = scores(found)
    assert report is not None
    assert report["au_f1"]["counted"] == ["AU12"]
    assert report["au_f1"]["mean"] == pytest.approx(2 * 20 / (2 * 20 + 20 + 1))
    interval = report["au_f1"]["interval"]
    assert interval["low"] <= report["au_f1"]["mean"] <= interval["high"]


def test_nothing_to_score() -> None:
    assert scores([]) is None
