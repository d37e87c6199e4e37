"""What defines a STAG network: its sizes and its parts, each of which can be switched off."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from services.common.errors import Fatal

THREE_CLASSES: Final = ("negative", "positive", "surprise")
"""Classes of the composite protocol of the Micro-Expression Grand Challenge (See et al., FG 2019)."""

FIVE_CLASSES: Final = ("disgust", "happiness", "repression", "surprise", "others")
"""Classes that CASME II is usually scored in."""


@dataclass(frozen=True)
class StagConfig:
    """Sizes and parts. Weights fit only the configuration that they were trained with."""

    classes: tuple[str, ...] = THREE_CLASSES
    """Emotion classes, in the order of the logits."""
    width: int = 96
    """D, features of a token."""
    heads: int = 4
    """Heads of every attention; divides the width."""
    graph_layers: int = 2
    """E-GAT layers."""
    time_layers: int = 2
    """Layers of the temporal transformer."""
    dropout: float = 0.1
    """Share of features dropped in training."""
    seed: int = 0
    """Of the initial weights."""

    mirror: bool = True
    """Show the subject's right side to the ROI encoder mirrored, so that it learns one side of the face only."""
    time_encoding: bool = True
    """Tell every token its time relative to the apex."""
    frame_attention: bool = True
    """Weigh the selected frames by attention; off: all alike."""
    incidence: bool = True
    """Read an AU from the ROIs that its muscle moves; off: from any ROI."""
    anatomy: bool = True
    """Connectivity: ROIs that share muscles hang together."""
    au_guidance: bool = True
    """Connectivity: an AU that acts ties the ROIs that it moves."""
    similarity: bool = True
    """Connectivity: ROIs whose features match hang together."""
    graph: bool = True
    """The E-GAT branch; off: ROI features go on as they are."""
    edge_bias: bool = True
    """Connectivity steers the attention of E-GAT; off: a plain GAT on the complete graph."""
    temporal: bool = True
    """The temporal transformer; off: frame tokens go on as they are."""
    cross_attention: bool = True
    """Each branch refines the other."""
    gated_fusion: bool = True
    """A learned gate mixes the branches; off: their mean."""
    au_graph: bool = True
    """AUs that act together exchange what they know."""
    au_evidence: bool = True
    """The emotion head also sees the AU probabilities."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self) | {"classes": list(self.classes)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "StagConfig":
        """The reverse. Raises Fatal for a name that is no field: such weights are of another version."""
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise Fatal("model configuration holds what this version does not know", unknown=unknown)
        return cls(**values | {"classes": tuple(values.get("classes", THREE_CLASSES))})
