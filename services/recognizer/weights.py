"""Weights on disk: one safetensors file that also says what they fit, and a digest that names them.

The file's metadata holds one entry `microex`, a JSON object: `version` (of the code that defines the network),
`convention` (of the ROI table, see `services.motion.convention`), `config` (`StagConfig`), `thresholds` (AU code to the
probability from which it counts as active), `trained`.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from services.common.errors import Fatal
from services.motion.aus import AUS
from services.motion.convention import VERSION as CONVENTION
from services.recognizer.stag.config import StagConfig
from services.recognizer.stag.model import Stag

NAME: Final = "stag"

VERSION: Final = "1"
"""Goes up whenever the network computes something else from the same weights."""

SHIPPED: Final = Path(__file__).with_name("stag.safetensors")
"""Where weights lie that ship with the package."""

DEFAULT_THRESHOLD: Final = 0.5


@dataclass(frozen=True)
class Weights:
    """A network's values with all that their meaning depends on.

    state: name of a parameter to its values; thresholds: [A] in the order of the AU table.
    """

    config: StagConfig
    state: Mapping[str, Tensor]
    thresholds: tuple[float, ...] = field(default=(DEFAULT_THRESHOLD,) * len(AUS))
    trained: bool = False

    def digest(self) -> str:
        """SHA-256 over version, configuration, thresholds, and the weights in the order of their names; hexadecimal."""
        about = {"config": self.config.to_dict(), "thresholds": self.thresholds, "trained": self.trained}
        digest = hashlib.sha256(json.dumps([VERSION, CONVENTION, about], sort_keys=True).encode())
        for name in sorted(self.state):
            values = self.state[name].detach().cpu().contiguous()
            digest.update(f"{name} {values.dtype} {list(values.shape)}\n".encode())
            digest.update(values.numpy().tobytes())
        return digest.hexdigest()

    def network(self) -> Stag:
        """The network with these weights, for answering. Raises Fatal when they do not fit their configuration."""
        network = Stag(self.config)
        try:
            network.load_state_dict(dict(self.state))
        except RuntimeError as error:
            raise Fatal("weights do not fit their configuration", error=str(error)) from error
        return network.eval()


def load(path: Path | None) -> Weights:
    """Weights from `path`, else those that ship, else random ones from the default configuration's seed.

    Raises Fatal for a file that is missing, broken, or of another version or convention.
    """
    if path is not None:
        return read(path)
    return read(SHIPPED) if SHIPPED.exists() else untrained(StagConfig())


def untrained(config: StagConfig) -> Weights:
    """Random weights from the configuration's seed; what they answer means nothing."""
    return Weights(config, Stag(config).state_dict())


def read(path: Path) -> Weights:
    """Weights from a file. Raises Fatal as `load` does."""
    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {})["microex"])
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no mapping
        _check_version(about, path)
        return Weights(
            StagConfig.from_dict(about["config"]),
            state,
            tuple(float(about["thresholds"].get(au.code, DEFAULT_THRESHOLD)) for au in AUS),
            bool(about["trained"]),
        )
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise Fatal("file holds no weights of ours", file=path.name, error=str(error)) from error


def _check_version(about: dict[str, Any], path: Path) -> None:
    want = {"version": VERSION, "convention": CONVENTION}
    got = {name: about[name] for name in want}
    if got != want:
        raise Fatal("weights are of another version", file=path.name, got=got, want=want)


def write(weights: Weights, path: Path) -> None:
    """To a file that `read` reads."""
    about = {
        "version": VERSION,
        "convention": CONVENTION,
        "config": weights.config.to_dict(),
        "thresholds": {au.code: value for au, value in zip(AUS, weights.thresholds, strict=True)},
        "trained": weights.trained,
    }
    state = {name: values.detach().cpu().contiguous() for name, values in weights.state.items()}
    save_file(state, path, {"microex": json.dumps(about, sort_keys=True)})
