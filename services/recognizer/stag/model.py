"""STAG, "Spatio-temporal Evolving Structural Representation of Action Units for Micro-expression Recognition" (arXiv
2606.28083), from motion patches to an explained answer.

    motion patches ─ ROI encoder ─┬─ AUs of the frame ─ dynamic connectivity ─ E-GAT ─ pooled ─┐
                                  │                                                 ▲ by       ├ cross-attention ─ gated
                                  └─ frame tokens ─ temporal transformer ─ frame weights ──────┘ both ways        fusion
    refined ROI tokens ─┬─ AU graph ─ AU occurrence ─┬─ emotion
                        │                    fused ──┘
                        └─ AU intensity, each side of the face by itself

The paper names these parts and does not publish sizes, tables or weights; where it is silent the choice is ours.

Letters in shapes: B clips, K selected frames, R ROIs, A AUs, C classes, D features (`width`), H heads, P samples along
a side of a patch. Tables of ROIs and AUs, and which ROI shows which AU: `services.motion`.

Masks: a ROI that was not seen in a frame, and a frame that only pads its clip, never influence what is said of the
rest.
A still picture of motion is a clip with K = 1 at time 0 whose magnitude is unknown.
"""

import math
from typing import Final, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from services.motion.aus import AUS, incidence
from services.motion.rois import PATCH, ROIS, mirrored
from services.recognizer.stag.config import StagConfig

_MASKED: Final = -1e9  # finite, so that a row in which all is masked stays free of NaN
_LARGEST: Final = 10.0  # in RMS of the clip: one stray vector must not drown the face
_TIME_PERIODS_S: Final = tuple(0.1 * 2**i for i in range(7))  # 0.1 s to 6.4 s
_RARE: Final = -2.0  # logit at which AUs begin: most do not act


class StagInput(NamedTuple):
    """Clips of one batch."""

    motion: Tensor
    """[B, K, R, 3, P, P] float: u (to the picture's right), v (down) and strain since onset, as in
    `services.motion.tensor`."""
    times: Tensor
    """[B, K] float, seconds relative to the apex."""
    seen: Tensor
    """[B, K, R] bool: that ROI was seen in that frame."""
    present: Tensor
    """[B, K] bool: a frame of the clip, not padding."""
    magnitude_known: Tensor
    """[B] bool: the gain of the motion means something."""


class StagOutput(NamedTuple):
    """An answer and what explains it."""

    emotion: Tensor
    """[B, C] logits."""
    au: Tensor
    """[B, A] logits of occurrence."""
    intensity: Tensor
    """[B, A, 2], 0 to 1: fraction of the AU's full displacement on the subject's left and right. Where the magnitude is
    unknown, only left against right says something."""
    adjacency: Tensor
    """[B, K, R, R]: what each ROI (row) listens to; rows sum to 1."""
    frame_weights: Tensor
    """[B, K]: share of each frame in the answer; sums to 1, 0 for padding."""
    roi_weights: Tensor
    """[B, R]: share of each ROI in the answer; sums to 1, 0 for what was never seen."""
    au_edges: Tensor
    """[B, A, A], 0 to 1, symmetric, diagonal 0: how far two AUs acted together, before they heard each other."""
    au_rois: Tensor
    """[B, A, R]: which ROIs an AU was read from; sums to 1 over R, 0 where none of its ROIs was seen."""
    frame_au: Tensor
    """[B, K, A] logits of the AUs of each frame alone, which guide its connectivity."""


class Stag(nn.Module):
    """The network. Equal configurations begin with equal weights."""

    rois_of_side: Tensor

    def __init__(self, config: StagConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or StagConfig()
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(config.seed)
            self._build(config)

    def _build(self, config: StagConfig) -> None:
        width = config.width
        self.encoder = RoiEncoder(config)
        self.frame_aus = AuReader(config)
        self.connectivity = Connectivity(config)
        self.graph = nn.ModuleList(GraphLayer(config) for _ in range(config.graph_layers if config.graph else 0))
        self.frame_pool = Pool(width)
        self.temporal = nn.ModuleList(Block(config) for _ in range(config.time_layers if config.temporal else 0))
        self.frame_score = nn.Linear(width, 1, bias=False) if config.frame_attention else None
        self.roi_score = nn.Linear(width, 1, bias=False)
        self.roi_from_time = Block(config) if config.cross_attention else None
        self.time_from_roi = Block(config) if config.cross_attention else None
        self.fusion = GatedFusion(config)
        self.aus = AuReader(config)
        self.au_graph = AuInterplay(config)
        self.intensity = nn.Parameter(torch.randn(len(AUS), width) / math.sqrt(width))
        self.intensity_bias = nn.Parameter(torch.full((len(AUS),), _RARE))
        evidence = len(AUS) if config.au_evidence else 0
        self.emotion = nn.Sequential(
            nn.Linear(width + evidence, width),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(width, len(config.classes)),
        )
        self.fused_norm = nn.LayerNorm(width)
        self.register_buffer("rois_of_side", torch.from_numpy(_rois_of_side()), persistent=False)  # [2, R] bool

    def forward(self, clips: StagInput) -> StagOutput:
        """The answer for a batch of clips. Each clip needs a frame in which a ROI was seen."""
        seen = clips.seen & clips.present[..., None]  # [B, K, R]
        present = seen.any(-1)  # [B, K]; a frame in which nothing was seen says nothing
        ever_seen = seen.any(1)  # [B, R]

        nodes = self.encoder(clips, seen)  # [B, K, R, D]
        _, frame_features = self.frame_aus(nodes, seen)  # [B, K, A, D]
        frame_au = self.frame_aus.logits(frame_features)  # [B, K, A]
        adjacency = self.connectivity(nodes, frame_au.sigmoid(), seen)  # [B, K, R, R]

        # Over time: one token a frame.
        frames = self.frame_pool(nodes, seen)  # [B, K, D]
        for block in self.temporal:
            frames = block(frames, frames, _bias(present))
        score = self.frame_score(frames).squeeze(-1) if self.frame_score else torch.zeros_like(clips.times)
        frame_weights = masked_softmax(score, present)  # [B, K]

        # Over the face: one graph a frame, then one token a ROI.
        for layer in self.graph:
            nodes = layer(nodes, adjacency, seen)
        share = frame_weights[..., None] * seen  # [B, K, R]
        share = share / share.sum(1, keepdim=True).clamp_min(1e-9)
        rois = torch.einsum("bkr,bkrd->brd", share, nodes)  # [B, R, D]
        roi_weights = masked_softmax(self.roi_score(rois).squeeze(-1), ever_seen)  # [B, R]

        # Each branch refines the other; what weighs little is heard little.
        if self.roi_from_time and self.time_from_roi:
            refined = self.roi_from_time(rois, frames, _bias(present, frame_weights))
            frames = self.time_from_roi(frames, rois, _bias(ever_seen, roi_weights))
            rois = refined
        space = torch.einsum("br,brd->bd", roi_weights, rois)  # [B, D]
        time = torch.einsum("bk,bkd->bd", frame_weights, frames)  # [B, D]
        fused = self.fused_norm(self.fusion(space, time))  # [B, D]

        au_rois, au_features = self.aus(rois, ever_seen)  # [B, A, R], [B, A, D]
        au_features, au_edges = self.au_graph(au_features, self.aus.logits(au_features))
        au = self.aus.logits(au_features)  # [B, A]
        evidence = [fused, au.sigmoid()] if self.config.au_evidence else [fused]
        return StagOutput(
            emotion=self.emotion(torch.cat(evidence, -1)),
            au=au,
            intensity=self._intensity(rois, ever_seen),
            adjacency=adjacency,
            frame_weights=frame_weights,
            roi_weights=roi_weights,
            au_edges=au_edges,
            au_rois=au_rois,
            frame_au=frame_au,
        )

    def _intensity(self, rois: Tensor, ever_seen: Tensor) -> Tensor:
        """[B, A, 2]: each side of the face read by itself, the middle with both."""
        one_side = ever_seen[:, None] & self.rois_of_side  # [B, 2, R]
        _, features = self.aus(rois[:, None], one_side)  # [B, 2, A, D]
        logits: Tensor = (features * self.intensity).sum(-1) + self.intensity_bias
        return logits.sigmoid().transpose(1, 2)

    def parameter_count(self) -> int:
        """Number of trained values."""
        return sum(parameter.numel() for parameter in self.parameters())


class RoiEncoder(nn.Module):
    """Motion in a patch to a token; one encoder for all ROIs, which are told apart by an embedding.

    The clip's own scale is divided out, so that what a movement is does not depend on how large it is; the scale itself
    comes back as a feature where it is known.
    """

    right: Tensor
    flip: Tensor

    def __init__(self, config: StagConfig, channels: int = 32) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, channels, 3, stride=2, padding=1)
        self.project = nn.Linear(channels * (PATCH // 2) ** 2, config.width)
        self.roi = nn.Parameter(torch.randn(len(ROIS), config.width) * 0.1)
        self.scale = nn.Linear(2, config.width)
        self.no_scale = nn.Parameter(torch.randn(config.width) * 0.1)
        self.time = nn.Linear(2 * len(_TIME_PERIODS_S), config.width) if config.time_encoding else None
        self.dropout = nn.Dropout(config.dropout)
        right = [config.mirror and roi.side == "right" for roi in ROIS]
        self.register_buffer("right", torch.tensor(right)[:, None, None, None], persistent=False)
        self.register_buffer("flip", torch.tensor([-1.0, 1.0, 1.0])[:, None, None], persistent=False)

    def forward(self, clips: StagInput, seen: Tensor) -> Tensor:
        """Tokens [B, K, R, D]."""
        motion, log_scale = normalise(clips.motion, seen, clips.magnitude_known)
        motion = torch.where(self.right, motion.flip(-1) * self.flip, motion)  # mirrored: columns flip, u changes sign
        patches = F.gelu(self.patch(motion.flatten(0, 2)))  # [B*K*R, 32, P/2, P/2]
        tokens: Tensor = self.project(patches.flatten(1)).view(*seen.shape, -1) + self.roi  # [B, K, R, D]
        scale = torch.where(clips.magnitude_known[:, None], self.scale(log_scale), self.no_scale)  # [B, D]
        tokens = tokens + scale[:, None, None]
        if self.time is not None:
            tokens = tokens + self.time(time_encoding(clips.times))[:, :, None]
        dropped: Tensor = self.dropout(tokens)
        return dropped


class AuReader(nn.Module):
    """AUs from ROI features through the anatomical incidence: an AU attends to the ROIs that its muscle moves."""

    shows: Tensor

    def __init__(self, config: StagConfig) -> None:
        super().__init__()
        count, width = len(AUS), config.width
        self.norm = nn.LayerNorm(width)
        self.query = nn.Parameter(torch.randn(count, width) / math.sqrt(width))
        self.key = nn.Linear(width, width, bias=False)  # a bias would move all scores of an AU alike
        self.value = nn.Linear(width, width)
        self.weight = nn.Parameter(torch.randn(count, width) / math.sqrt(width))
        self.bias = nn.Parameter(torch.full((count,), _RARE))
        shows = incidence() > 0 if config.incidence else np.ones((count, len(ROIS)), bool)
        self.register_buffer("shows", torch.from_numpy(shows), persistent=False)  # [A, R]

    def forward(self, rois: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """rois: [..., R, D], seen: [..., R]. Returns attention [..., A, R] and AU features [..., A, D]."""
        rois = self.norm(rois)
        score = self.query @ self.key(rois).transpose(-1, -2) / math.sqrt(rois.shape[-1])  # [..., A, R]
        attention = masked_softmax(score, self.shows & seen[..., None, :])
        return attention, attention @ F.gelu(self.value(rois))

    def logits(self, features: Tensor) -> Tensor:
        """[..., A, D] to logits of occurrence [..., A]."""
        return (features * self.weight).sum(-1) + self.bias


class Connectivity(nn.Module):
    """AU-guided dynamic connectivity: one graph over the ROIs for each frame.

    logits = anatomy prior + AU-driven term + learned similarity; a softmax over what a ROI may listen to makes the
    rows. Every ROI may listen to itself, and to those seen.
    """

    prior: Tensor
    shows: Tensor

    def __init__(self, config: StagConfig) -> None:
        super().__init__()
        width = config.width
        self.anatomy = nn.Parameter(torch.tensor(2.0)) if config.anatomy else None
        self.au_gain = nn.Parameter(torch.ones(len(AUS))) if config.au_guidance else None
        self.norm = nn.LayerNorm(width) if config.similarity else None
        self.source = nn.Linear(width, width, bias=False) if config.similarity else None
        self.target = nn.Linear(width, width, bias=False) if config.similarity else None
        self.register_buffer("prior", torch.from_numpy(anatomy_prior()), persistent=False)  # [R, R]
        self.register_buffer("shows", torch.from_numpy(incidence()), persistent=False)  # [A, R]

    def forward(self, nodes: Tensor, au: Tensor, seen: Tensor) -> Tensor:
        """nodes: [B, K, R, D]; au: [B, K, A] probabilities; seen: [B, K, R]. Returns [B, K, R, R], rows sum to 1."""
        count = nodes.shape[-2]
        logits = nodes.new_zeros(*nodes.shape[:-1], count)  # [B, K, R, R]
        if self.anatomy is not None:
            logits = logits + self.anatomy * self.prior
        if self.au_gain is not None:
            acting = au * self.au_gain  # [B, K, A]
            logits = logits + torch.einsum("bka,ar,as->bkrs", acting, self.shows, self.shows)
        if self.norm and self.source and self.target:
            normed = self.norm(nodes)
            match = self.target(normed) @ self.source(normed).transpose(-1, -2)  # row listens to column
            logits = logits + match / math.sqrt(nodes.shape[-1])
        itself = torch.eye(count, dtype=torch.bool, device=nodes.device)
        return masked_softmax(logits, seen[..., None, :] | itself)


class GraphLayer(nn.Module):
    """E-GAT, the paper's enhanced graph attention network; here, what enhances it are scores biased by the edges.

    Scores as in Veličković et al., "Graph attention networks", ICLR 2018, plus the logarithm of the edge: attention is
    proportional to the edge times what the features say of it. Their attention ranks neighbours alike for every node
    (Brody et al., "How attentive are graph attention networks?", ICLR 2022); the edges undo that.
    """

    def __init__(self, config: StagConfig) -> None:
        super().__init__()
        width, self.heads, self.edge_bias = config.width, config.heads, config.edge_bias
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, width)
        self.listen = nn.Parameter(torch.randn(config.heads, width // config.heads) * 0.1)
        self.speak = nn.Parameter(torch.randn(config.heads, width // config.heads) * 0.1)
        self.out = nn.Linear(width, width)
        self.feed_forward = FeedForward(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, nodes: Tensor, adjacency: Tensor, seen: Tensor) -> Tensor:
        """nodes: [B, K, R, D]; adjacency: [B, K, R, R]; seen: [B, K, R]. Returns nodes [B, K, R, D]."""
        value = self.project(self.norm(nodes)).view(*nodes.shape[:-1], self.heads, -1)  # [B, K, R, H, D/H]
        listen = (value * self.listen).sum(-1).transpose(-1, -2)  # [B, K, H, R]
        speak = (value * self.speak).sum(-1).transpose(-1, -2)  # [B, K, H, R]
        score = F.leaky_relu(listen[..., :, None] + speak[..., None, :], 0.2)  # [B, K, H, R, R]
        if self.edge_bias:
            edges, edge = adjacency > 0, adjacency.clamp_min(1e-9).log()
        else:
            edges = seen[..., None, :] | torch.eye(seen.shape[-1], dtype=torch.bool, device=seen.device)
            edge = torch.zeros_like(adjacency)
        attention = masked_softmax(score + edge[..., None, :, :], edges[..., None, :, :])
        message = torch.einsum("bkhij,bkjhd->bkihd", self.dropout(attention), value).flatten(-2)  # [B, K, R, D]
        nodes = nodes + self.dropout(self.out(message))
        thought: Tensor = self.feed_forward(nodes)
        return nodes + thought


class Block(nn.Module):
    """A pre-norm transformer layer (Vaswani et al., "Attention is all you need", NeurIPS 2017) whose keys carry a bias.

    With itself as memory it is self-attention, with another sequence cross-attention.
    """

    def __init__(self, config: StagConfig) -> None:
        super().__init__()
        width, self.heads = config.width, config.heads
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.feed_forward = FeedForward(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, tokens: Tensor, memory: Tensor, bias: Tensor) -> Tensor:
        """tokens: [B, N, D]; memory: [B, M, D]; bias: [B, M], added to the scores. Returns tokens [B, N, D]."""
        source = self.norm(memory)

        def split(x: Tensor) -> Tensor:  # [B, ., D] to [B, H, ., D/H]
            return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)

        query, key, value = split(self.query(self.norm(tokens))), split(self.key(source)), split(self.value(source))
        heard = F.scaled_dot_product_attention(query, key, value, attn_mask=bias[:, None, None].to(query.dtype))
        tokens = tokens + self.dropout(self.out(heard.transpose(1, 2).flatten(-2)))
        thought: Tensor = self.feed_forward(tokens)
        return tokens + thought


class FeedForward(nn.Sequential):
    """The layer that thinks about each token by itself; [..., D] to [..., D]."""

    def __init__(self, config: StagConfig) -> None:
        width = config.width
        super().__init__(
            nn.LayerNorm(width),
            nn.Linear(width, 2 * width),
            nn.GELU(),
            nn.Linear(2 * width, width),
            nn.Dropout(config.dropout),
        )


class Pool(nn.Module):
    """Many tokens to one, by attention with one learned query; [..., R, D] to [..., D], 0 where nothing was seen."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.score = nn.Linear(width, 1, bias=False)
        self.value = nn.Linear(width, width)

    def forward(self, tokens: Tensor, seen: Tensor) -> Tensor:
        """tokens: [..., R, D]; seen: [..., R]."""
        tokens = self.norm(tokens)
        weights = masked_softmax(self.score(tokens).squeeze(-1), seen)
        return torch.einsum("...r,...rd->...d", weights, F.gelu(self.value(tokens)))


class GatedFusion(nn.Module):
    """gate * space + (1 - gate) * time, with a gate for each feature that sees both; off: their mean."""

    def __init__(self, config: StagConfig) -> None:
        super().__init__()
        self.gate = nn.Linear(2 * config.width, config.width) if config.gated_fusion else None

    def forward(self, space: Tensor, time: Tensor) -> Tensor:
        """[B, D] and [B, D] to [B, D]."""
        if self.gate is None:
            return (space + time) / 2
        gate: Tensor = self.gate(torch.cat([space, time], -1)).sigmoid()
        return gate * space + (1 - gate) * time


class AuInterplay(nn.Module):
    """AUs that act together tell each other what they know; an edge is p_a p_b times how well the two match."""

    others: Tensor

    def __init__(self, config: StagConfig) -> None:
        super().__init__()
        width = config.width
        self.match = nn.Linear(width, width, bias=False) if config.au_graph else None
        self.tell = nn.Linear(width, width, bias=False) if config.au_graph else None
        self.register_buffer("others", 1 - torch.eye(len(AUS)), persistent=False)

    def forward(self, features: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
        """features: [B, A, D]; logits: [B, A]. Returns features [B, A, D] and edges [B, A, A]."""
        p = logits.sigmoid()
        edges = p[:, :, None] * p[:, None, :] * self.others  # [B, A, A]
        if self.match is None or self.tell is None:
            return features, edges
        matched = self.match(features)  # [B, A, D]
        edges = edges * (matched @ matched.transpose(-1, -2) / math.sqrt(features.shape[-1])).sigmoid()
        return features + edges @ self.tell(features), edges


def normalise(motion: Tensor, seen: Tensor, magnitude_known: Tensor) -> tuple[Tensor, Tensor]:
    """Divide a clip by its own scale.

    u and v share one RMS, strain has its own. Where the magnitude is unknown each channel has its own: flow that was
    stored as a picture has lost the ratio of u to v as well.
    motion: [B, K, R, 3, P, P]; seen: [B, K, R]; magnitude_known: [B].
    Returns motion likewise, 0 where not seen, and the logarithm of the scale of flow and strain, [B, 2], about -2 to 2.
    """
    motion = torch.where(seen[..., None, None, None], motion, 0.0)
    samples = seen.sum((1, 2)).clamp_min(1) * motion.shape[-1] * motion.shape[-2]  # [B]
    power = motion.square().sum((1, 2, 4, 5)) / samples[:, None]  # [B, 3]
    flow, strain = power[:, :2].mean(1, keepdim=True), power[:, 2:]  # [B, 1]
    known = torch.cat([flow, flow, strain], 1)  # [B, 3]
    rms = (torch.where(magnitude_known[:, None], known, power) + 1e-12).sqrt()
    log_scale = (torch.cat([flow, strain], 1) + 1e-12).sqrt().log()  # e^-4, 2 % of the eye distance, is usual
    return (motion / rms[:, None, None, :, None, None]).clamp(-_LARGEST, _LARGEST), (log_scale + 4).clamp(-6, 6) / 2


def time_encoding(times: Tensor) -> Tensor:
    """Seconds relative to the apex [B, K] as sines and cosines of several periods, [B, K, 14]."""
    phase = times[..., None] * (2 * math.pi / times.new_tensor(_TIME_PERIODS_S))
    return torch.cat([phase.sin(), phase.cos()], -1)


def masked_softmax(logits: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the last dimension among what the mask allows; all 0 where it allows nothing."""
    return logits.masked_fill(~mask, _MASKED).softmax(-1) * mask


def anatomy_prior() -> NDArray[np.float32]:
    """How far two ROIs show the same AUs: [R, R] float32, 0 to 1, symmetric; 1 for a ROI and its twin.

    The cosine between their columns of the incidence.
    """
    shows = incidence()
    norm = np.linalg.norm(shows, axis=0)
    prior = (shows.T @ shows) / np.outer(norm, norm)
    prior[np.arange(len(ROIS)), mirrored()] = 1
    return prior.astype(np.float32)


def _rois_of_side() -> NDArray[np.bool_]:
    """[2, R]: ROIs of the subject's left (and middle), of the right (and middle)."""
    sides = np.array([roi.side for roi in ROIS])
    return np.stack([sides != "right", sides != "left"])


def _bias(allowed: Tensor, weights: Tensor | None = None) -> Tensor:
    """What is added to attention scores so that a key counts by its weight, and not at all where not allowed."""
    bias = torch.zeros_like(allowed, dtype=torch.float32) if weights is None else weights.clamp_min(1e-6).log()
    return bias.masked_fill(~allowed, _MASKED)
