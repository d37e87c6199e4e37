"""The detector's thresholds, in seconds and outer-eye distances, so that 25 and 200 frames/s need no retuning.

    |<------------------------- LOOK_BACK_S ------------------------->|
    | reference | grid, overlap | baseline | rise | apex ... wait |     t
    what one record rests on       what one judgement rests on

The detector's state after frame t follows from the stream's frames in (t - LOOK_BACK_S, t] alone. `CONSTANTS` proves it
when it is made: what a record looks back on and what a judgement looks back on add up to less.
"""

import hashlib
from dataclasses import asdict, dataclass
from typing import Final

from services.motion.convention import NUM_FACES, VERSION
from services.spotter.trees import TREES

LOOK_BACK_S: Final = 10.0
"""How much stream time a restart must replay."""


@dataclass(frozen=True)
class Constants:
    """Chosen on generated training videos, two of them (see docs/results.md) with real clips at hand."""

    # Records.
    grid_s: float = 1.0
    """A new reference is chosen whenever stream time passes a multiple of this."""
    reference_s: float = 2.0
    """It is chosen among the frames of this long before."""
    overlap_s: float = 0.1
    """Frames are followed from the old one and the new one for so long."""
    break_s: float = 0.4
    """After a longer gap a new one is made at once, lest what follows rests on what was long before."""
    nearest_s: float = 0.002
    """A frame nearer to the last one than this adds nothing."""
    baseline_s: float = 1.35
    """What a ROI's position is compared with: its median over this long before."""
    ahead_s: float = 0.38
    """How long after a frame its novelty is known."""
    closing: float = 0.1
    """Eyes whose opening shrank by this share are closing …"""
    closure: float = 0.35
    """… and by this one, blink."""
    blink_s: float = 0.5
    """Eyes that stay shut for longer do not blink …"""
    blink_fall_s: float = 0.13
    """… nor do those that close more slowly."""

    # Candidates.
    calm_s: float = 1.0
    """How restless a channel is, is how it moved in this long before."""
    usual_noise: float = 2.5
    """One that is noisier, times the noise floor, counts less, as much as it is noisier."""
    near_s: float = 0.12
    """Nor does a ROI count whose skin is not found again this long before or after."""
    farthest: float = 0.06
    """No ROI counts for more, however far it moves."""
    novelty: float = 0.0045
    """A candidate moves the face by this much along some action unit."""
    stands_out: float = 1.6
    """A brief one is newer by this factor …"""
    usual_s: float = 2.0
    """… than the calmest third of this long before it, …"""
    rising_s: float = 0.3
    """… its own rise left out."""
    saturation: float = 0.12
    """No ROI counts for more, so that one that was followed astray does not decide alone."""
    dominance_s: float = 0.1
    """An apex is the largest movement this long before and after it."""
    returns: float = 0.5
    """What ends this near to where it began, as a share of its size, is back at neutral."""
    wait_s: float = 3.3
    """An apex that has not decayed by then does not return to neutral."""
    rise_s: float = 1.5
    """An apex that did not rise within this long is drift."""
    decay: float = 0.35
    """What is left of a movement that counts as decayed; also how deep a valley parts two expressions."""
    held: float = 1.25
    """Peaks of one movement that is held differ by no more than this factor."""

    # Judgement.
    steady_s: float = 0.07
    """Positions are averaged over this long before they are judged."""
    likely: float = 0.8
    """A brief candidate of this likelihood is an expression …"""
    wary_likely: float = 0.9
    """… or of this, where some of the skin was hidden or a mouth talks, …"""
    talks: float = 6.0
    """… as one does that is so noisy, times the noise floor."""
    lasting_likely: float = 0.4
    """What does not come back at once is one of this likelihood: it is rarer, and mistaken for less."""
    likeness: float = 0.5
    """Action units explain this share (a cosine) of what is more than noise: generated videos, which likelihoods rest
    on, know fewer ways to move a face than people do."""
    noisiest: float = 6.0
    """A face that is noisier all over, times the noise floor, shows no brief expression that could be told: likelihoods
    were learned on calmer ones."""
    shared: float = 0.2
    """Of what overlaps an expression by more (intersection over union), only the first is published."""
    alone_s: float = 0.6
    """Around an expression, this long before and after it, …"""
    alone: float = 0.4
    """… movement of this share of its size …"""
    alone_share: float = 0.25
    """… fills no more than this share of the time: who talks moves on and on."""
    noise_floor: float = 0.0008
    """No channel is believed to be quieter."""
    noise_lag_s: float = 0.15
    """Noise is what a channel changes by within this long: the time in which a micro-expression comes."""
    misfit: float = 3.0
    """Skin whose brightness differs by this much, percent, …"""
    misfit_factor: float = 2.0
    """… and by this much more than usual, is hidden."""
    micro_s: float = 0.5
    """A micro-expression lasts no longer, from onset to offset."""
    shortest_s: float = 0.13
    """Nothing on a face is over sooner."""
    foot: float = 1.0
    """The foot of a flank lies this many 20-to-60 % rise times beyond its 20 % point (1.1 for a raised cosine, 0.5 for
    a straight line)."""
    margin_s: float = 0.1
    """Quiet begins this long before the onset and after the offset."""
    neutral_s: float = 0.4
    """The curve of a window shows so much before and after it."""
    longest_gap_s: float = 0.15
    """Frames further apart than this leave a hole in which anything could have happened."""
    head_turn_deg: float = 8.0
    """Turning the head by more meanwhile explains anything."""
    light: float = 0.06
    """Brightness that changed by more, as a share, can move anything."""
    jump: float = 0.04
    """A head that moves by more from one frame to the next was cut out anew, outer-eye distances."""
    selected: int = 8
    """Frames handed to the recognizer."""

    @property
    def record_s(self) -> float:
        """What the position of a ROI in one frame rests on."""
        return self.reference_s + self.grid_s + self.overlap_s + self.break_s

    @property
    def delay_s(self) -> float:
        """An apex is judged this long after it, or later, once the movement has decayed."""
        return self.ahead_s + self.dominance_s

    @property
    def rows_s(self) -> float:
        """How long rows are kept: a judgement looks back over its apex's rise."""
        return self.wait_s + self.rise_s + self.neutral_s

    @property
    def judgement_s(self) -> float:
        """What a judgement rests on: another candidate on the rise of a long one may take its place; a brief one is
        compared with what was usual, and that rests on a rise before it."""
        return max(self.wait_s + 2 * self.rise_s + self.dominance_s, self.delay_s + self.usual_s + self.rise_s)

    def __post_init__(self) -> None:
        rests_on_s = self.record_s + max(self.rows_s, self.judgement_s)
        if rests_on_s > LOOK_BACK_S:
            raise ValueError(f"the detector would rest on {rests_on_s} s, more than {LOOK_BACK_S} s")
        if self.rise_s < max(self.baseline_s, self.calm_s) + self.dominance_s:
            raise ValueError("a rise must see the whole baseline, and how calm channels were")


CONSTANTS: Final = Constants()


def _version() -> str:
    parts = (sorted(asdict(CONSTANTS).items()), LOOK_BACK_S, VERSION, NUM_FACES, TREES.digest)
    return "4-" + hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


DETECTOR_VERSION: Final = _version()
"""Changes with thresholds and trees; the leading number is raised by hand when other code changes what is found."""
