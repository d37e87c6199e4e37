"""Focal losses: what is already right counts little, so that rare and hard cases lead.

Lin, Goyal, Girshick, He & Dollár, "Focal loss for dense object detection", ICCV 2017, eq. 5:

    FL(p_t) = -alpha_t (1 - p_t)^gamma log(p_t)

where p_t is the probability that the model gives to the truth. gamma = 0 is cross-entropy.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def focal_loss(logits: Tensor, target: Tensor, gamma: float = 2.0, alpha: Tensor | None = None) -> Tensor:
    """For one class of several.

    logits: [B, C]; target: [B] int64, the true class; alpha: [C], weight of each class (default 1).
    Returns the mean over the batch, a scalar.
    """
    log_p = F.log_softmax(logits, -1).gather(-1, target[:, None]).squeeze(-1)  # [B], log p_t
    loss = -((1 - log_p.exp()) ** gamma) * log_p
    return (loss if alpha is None else alpha[target] * loss).mean()


def focal_binary_loss(
    logits: Tensor, target: Tensor, gamma: float = 2.0, alpha: float = 0.5, mask: Tensor | None = None
) -> Tensor:
    """For labels that hold or not, each for itself, such as AU occurrence.

    logits, target: [..., A], target 0 or 1; alpha: weight of a 1, and 1 - alpha that of a 0; mask: [..., A] bool,
    which labels are known (default all). Returns the mean over known labels, a scalar; 0 when none is known.
    """
    sign = 2 * target - 1
    log_p = F.logsigmoid(sign * logits)  # log p_t
    # 1 - p_t by its own sigmoid: exact where p_t is nearly 1.
    loss = -(alpha * target + (1 - alpha) * (1 - target)) * torch.sigmoid(-sign * logits) ** gamma * log_p
    known = torch.ones_like(loss) if mask is None else mask.to(loss.dtype)
    return (loss * known).sum() / known.sum().clamp_min(1)
