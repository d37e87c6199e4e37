"""The pure core of the recognizer: a list of ApexWindows to a list of AuGraphs. No clock, no network, no broker."""

from collections.abc import Sequence
from typing import Final

import torch

from microex.v1 import graph_pb2, window_pb2
from services.common.errors import Fatal, Poison
from services.common.settings import ModelSettings
from services.motion.tensor import MotionTensor
from services.recognizer import weights
from services.recognizer.answer import address, answer, read
from services.recognizer.stag.batch import collate
from services.recognizer.stag.model import StagOutput

LARGEST_FORWARD: Final = 64
"""Windows in one forward pass at the most; a longer list goes in several, so that memory stays bounded."""


class Engine:
    """STAG with its weights on one device. Answers of different batch sizes agree within 1e-4.

    Raises Fatal for weights that cannot be used, or a device that is not there.
    """

    def __init__(self, settings: ModelSettings) -> None:
        self.device = choose_device(settings.device)
        if settings.torch_threads:
            torch.set_num_threads(settings.torch_threads)
        loaded = weights.load(settings.model_weights)
        self._network = loaded.network().to(self.device)
        self._thresholds = loaded.thresholds
        self.classes = loaded.config.classes
        self.parameters = self._network.parameter_count()
        self.model = graph_pb2.Model(
            name=weights.NAME, version=weights.VERSION, digest=loaded.digest(), trained=loaded.trained
        )

    def recognise(self, windows: Sequence[window_pb2.ApexWindow]) -> list[graph_pb2.AuGraph]:
        """One answer a window, in order. Raises Poison for the first window that cannot be read."""
        answers = []
        for outcome in self.answers(windows):
            if isinstance(outcome, Poison):
                raise outcome
            answers.append(outcome)
        return answers

    def answers(self, windows: Sequence[window_pb2.ApexWindow]) -> list[graph_pb2.AuGraph | Poison]:
        """An answer for each window, in order, or what is wrong with it; a bad window does not touch the others.

        Raises Fatal when the network itself fails, which is no window's fault.
        """
        outcomes: list[graph_pb2.AuGraph | Poison] = []
        for start in range(0, len(windows), LARGEST_FORWARD):
            outcomes += self._one_forward(windows[start : start + LARGEST_FORWARD])
        return outcomes

    def _one_forward(self, windows: Sequence[window_pb2.ApexWindow]) -> list[graph_pb2.AuGraph | Poison]:
        contents = [_try_read(window) for window in windows]
        tensors = [tensor for tensor in contents if isinstance(tensor, MotionTensor)]
        outputs = iter(self._forward(tensors) if tensors else ())
        return [
            content
            if isinstance(content, Poison)
            else address(answer(next(outputs), content, self.classes, self._thresholds), window, self.model)
            for window, content in zip(windows, contents, strict=True)
        ]

    @torch.inference_mode()
    def _forward(self, tensors: list[MotionTensor]) -> list[StagOutput]:
        try:
            # TF32, cuDNN's default, would cost more than the 1e-4 that batch sizes may differ by.
            with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
                output = self._network(collate(tensors, self.device))
            output = StagOutput(*(values.float().cpu() for values in output))
        except RuntimeError as error:
            raise Fatal("the network failed", device=str(self.device), error=str(error)) from error
        return [StagOutput(*(values[i] for values in output)) for i in range(len(tensors))]


def _try_read(window: window_pb2.ApexWindow) -> MotionTensor | Poison:
    try:
        return read(window)
    except Poison as error:
        return error


def choose_device(name: str) -> torch.device:
    """ "cpu", "cuda" or "auto", a GPU where there is one. Raises Fatal for a GPU that is not there."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise Fatal("setting MICROEX_DEVICE is cuda, but torch finds no GPU")
    return torch.device(name)
