"""Every number the detector rests on, in seconds and outer-eye distances, so that 25 and 200 frames/s need no retuning.

    |<------------------------- LOOK_BACK_S ------------------------->|
    | reference  | grid | baseline |  rise   | apex ... wait |         t
    what one record rests on       what one judgement rests on

The detector's state after frame t follows from the stream's frames in (t - LOOK_BACK_S, t] alone. `CONSTANTS` proves it
when it is made: what a record looks back on and what a judgement looks back on add up to less.
"""

import hashlib
from dataclasses import asdict, dataclass
from typing import Final

from services.motion.convention import NUM_FACES, VERSION

LOOK_BACK_S: Final = 10.0
"""How much stream time a restart must replay."""


@dataclass(frozen=True)
class Constants:
    """Tuned on real conversation and on expressions planted into it; see tests/unit/spotter."""

    # Records.
    grid_s: float = 1.0
    """A new reference is chosen whenever stream time passes a multiple of this."""
    reference_s: float = 2.0
    """It is chosen among the frames of this long before."""
    baseline_s: float = 1.5
    """What a ROI's position is compared with: its median over this long before."""
    smooth_s: float = 0.05
    """A ROI's position is averaged over this long before; at 30 frames/s that is two frames."""

    # Candidates.
    novelty: float = 0.003
    """A candidate moves some ROI by this much, as the cheap flow sees it."""
    noise_factor: float = 5.0
    """… and by this many standard deviations of what it did before, along the very direction of the candidate."""
    saturation: float = 0.04
    """No ROI counts for more, so that one whose flow went astray does not decide alone."""
    dominance_s: float = 0.12
    """An apex is the largest movement this long before and after it."""
    delay_s: float = 0.5
    """An apex is judged this long after it, or later, once the movement has decayed."""
    wait_s: float = 2.5
    """An apex that has not decayed by then does not return to neutral."""
    rise_s: float = 1.8
    """An apex that did not rise within this long is drift."""
    decay: float = 0.4
    """What is left of a movement that counts as decayed; also how deep a valley parts two expressions."""
    held: float = 1.25
    """Peaks of one movement that is held differ by no more than this factor."""
    undecided: float = 0.5
    """What may be left of a movement, as the fine flow sees it, when the cheap one sees it decayed."""

    # Judgement.
    amplitude: float = 0.006
    """An expression moves some ROI by this much, as the fine flow sees it."""
    micro_s: float = 0.5
    """A micro-expression lasts no longer, from onset to offset."""
    shortest_s: float = 0.1
    """Nothing on a face is over sooner."""
    foot: float = 1.05
    """The foot of a flank lies this many 20-to-60 % rise times beyond its 20 % point (1.1 for a raised cosine, 0.5 for
    a straight line)."""
    margin_s: float = 0.1
    """Neutral is looked for this long before the onset and beyond."""
    neutral_s: float = 0.4
    """… and no further back than this."""
    longest_gap_s: float = 0.15
    """Frames further apart than this leave a hole in which anything could have happened."""
    fine_fps: float = 60.0
    """Fine flow is computed at most this often; at higher rates every second or third frame does."""
    closure: float = 0.35
    """An eye whose opening shrinks by this share blinks."""
    head_turn_deg: float = 6.0
    """Turning the head by more between neutral and apex explains anything."""
    stable_share: float = 0.6
    """Bone that moves by this share of the expression means that the head was not explained."""
    brightness: float = 0.06
    """Mean brightness changes by this share: the light changed, not the face."""
    occlusion: float = 0.2
    """Share of grey-level variance that neutral, moved by the flow, fails to explain: something else is in sight."""
    speech_share: float = 0.35
    """A mouth that is active for this share of the time around a candidate talks."""
    selected: int = 8
    """Frames handed to the recognizer."""

    @property
    def record_s(self) -> float:
        """What the position of a ROI in one frame rests on."""
        return self.grid_s + self.reference_s

    @property
    def rows_s(self) -> float:
        """How long rows are kept: a judgement looks back over its apex's rise."""
        return self.wait_s + self.rise_s + self.neutral_s

    @property
    def judgement_s(self) -> float:
        """What a judgement rests on: another candidate on the rise of its own may take its place."""
        return self.wait_s + 2 * self.rise_s + self.dominance_s

    def __post_init__(self) -> None:
        rests_on_s = self.record_s + max(self.rows_s, self.judgement_s)
        if rests_on_s > LOOK_BACK_S:
            raise ValueError(f"the detector would rest on {rests_on_s} s, more than {LOOK_BACK_S} s")
        if self.rise_s < self.baseline_s + self.dominance_s:
            raise ValueError("a rise must see the whole baseline")


CONSTANTS: Final = Constants()


def _version() -> str:
    parts = (sorted(asdict(CONSTANTS).items()), LOOK_BACK_S, VERSION, NUM_FACES)
    return "1-" + hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


DETECTOR_VERSION: Final = _version()
"""Changes with anything that changes what is found."""
