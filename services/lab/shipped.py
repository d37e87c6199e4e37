"""STAG with its weights as they are: what zero-shot scores."""

from collections.abc import Sequence

import numpy as np
import torch

from services.common.errors import Fatal
from services.common.settings import ModelSettings
from services.lab.recogniser import Motion, Prediction, Recogniser
from services.recognizer import weights
from services.recognizer.engine import LARGEST_FORWARD
from services.recognizer.stag.batch import collate


def shipped(settings: ModelSettings, classes: Sequence[str]) -> Recogniser:
    """Raises Fatal for weights that were never trained, or that know other classes."""
    loaded = weights.load(settings.model_weights)
    if not loaded.trained:
        raise Fatal("there are no trained weights to score: name some with MICROEX_MODEL_WEIGHTS")
    if loaded.config.classes != tuple(classes):
        raise Fatal("the weights know other classes", weights=list(loaded.config.classes), wanted=list(classes))
    network, thresholds = loaded.network(), np.array(loaded.thresholds)

    @torch.inference_mode()
    def predict(motions: Sequence[Motion]) -> Prediction:
        emotion, au = [], []
        for start in range(0, len(motions), LARGEST_FORWARD):
            output = network(collate([each.tensor for each in motions[start : start + LARGEST_FORWARD]]))
            emotion.append(output.emotion.softmax(-1).numpy())
            au.append(output.au.sigmoid().numpy())
        probability = np.concatenate(au)
        return Prediction(np.concatenate(emotion), probability, probability >= thresholds)

    return Recogniser("STAG, zero-shot", lambda *_: predict, f"the weights {loaded.digest()[:12]} as they are")
