"""Soft labels without a trained teacher: class ranks, class centers, class means, a virtual teacher."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from selfdistill.functional.divergence import masked_kl, softmax_with_temperature, weighted_log
from selfdistill.functional.normalize import drop_label_column
from selfdistill.functional.ranking import zipf_weights


def confidence_weighted_ce(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute -P log p_y with P = p_y² + 1 - mean(p_y²), P without gradient. [B, C], [B] -> [].

    Yang et al., 2023 (https://arxiv.org/abs/2303.13005).

    >>> import torch
    >>> from selfdistill.functional import confidence_weighted_ce
    >>> confidence_weighted_ce(torch.zeros(1, 2), torch.tensor([0]))
    tensor(0.6931)
    """
    log_p = F.log_softmax(logits, dim=1).gather(1, labels[:, None])
    square = log_p.detach().exp().square()
    return -((square + 1 - square.mean()) * log_p).mean()


def mixed_confidence_ce(logits: Tensor, shares: Tensor) -> Tensor:
    """Compute `confidence_weighted_ce` of the two largest label shares, P = p² + share - mean(p²). [B, C] twice -> [].

    A label without a share has no loss. Yang et al., 2023 (https://arxiv.org/abs/2303.13005).

    >>> import torch
    >>> from selfdistill.functional import mixed_confidence_ce
    >>> mixed_confidence_ce(torch.zeros(1, 2), torch.tensor([[0.5, 0.5]]))
    tensor(0.6931)
    """
    share, labels = shares.topk(2, dim=1)
    log_p = F.log_softmax(logits, dim=1).gather(1, labels)
    square = log_p.detach().exp().square()
    weights = torch.where(share > 0, square + share - square.mean(dim=0), 0.0)
    return -weighted_log(weights, log_p).sum(dim=1).mean()


def prediction_trust(logits: Tensor) -> Tensor:
    """Compute 1 - entropy / log C of each row's prediction, without gradient: 0 for even rows. [B, C] -> [B].

    >>> import torch
    >>> from selfdistill.functional import prediction_trust
    >>> prediction_trust(torch.tensor([[90.0, 0.0], [0.0, 0.0]])).round(decimals=4)
    tensor([1., 0.])
    """
    log_p = F.log_softmax(logits.detach(), dim=1)
    return 1 + weighted_log(log_p.exp(), log_p).sum(dim=1) / math.log(logits.shape[1])


def self_corrected_ce(logits: Tensor, shares: Tensor, trust: Tensor) -> Tensor:
    """Compute cross-entropy with (1 - ε) · label shares + ε · p, with a gradient of both p. [B, C], [B, C], [B] -> [].

    `trust` holds ε; 1e-6 is added to p inside the logarithm. Wang et al., 2021 (https://arxiv.org/abs/2005.03788).

    >>> import torch
    >>> from selfdistill.functional import self_corrected_ce
    >>> self_corrected_ce(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]), torch.tensor([0.5]))
    tensor(0.6931)
    """
    p = logits.softmax(dim=1)
    target = (1 - trust)[:, None] * shares + trust[:, None] * p
    return -(target * (p + 1e-6).log()).sum(dim=1).mean()


def zipf_loss(logits: Tensor, ranks: Tensor, labels: Tensor) -> Tensor:
    """Compute the cross-entropy of the other classes with `zipf_weights` of their ranks. [B, C], [B, C], [B] -> [].

    Yang et al., 2023 (https://arxiv.org/abs/2303.13005).

    >>> import torch
    >>> from selfdistill.functional import zipf_loss
    >>> zipf_loss(torch.zeros(1, 3), torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([0]))
    tensor(0.6931)
    """
    log_p = F.log_softmax(drop_label_column(logits, labels), dim=1)
    return -weighted_log(zipf_weights(ranks, labels), log_p).sum(dim=1).mean()


def past_or_label(past: Tensor, labels: Tensor) -> Tensor:
    """Replace rows of zeros, which have no prediction yet, by the one-hot label. [B, C], [B] -> [B, C].

    >>> import torch
    >>> from selfdistill.functional import past_or_label
    >>> past_or_label(torch.tensor([[0.0, 0.0], [0.4, 0.6]]), torch.tensor([1, 0]))
    tensor([[0.0000, 1.0000],
            [0.4000, 0.6000]])
    """
    hard = F.one_hot(labels, past.shape[1]).to(past.dtype)
    return torch.where(past.sum(dim=1, keepdim=True) > 0, past, hard)


def label_and_past(share: Tensor, labels: Tensor, past: Tensor) -> Tensor:
    """Mix the label, by a share [], with the past prediction; rows of zeros have none. [], [B], [B, C] -> [B, C].

    >>> import torch
    >>> from selfdistill.functional import label_and_past
    >>> label_and_past(torch.tensor(0.5), torch.tensor([1]), torch.tensor([[0.4, 0.6]]))
    tensor([[0.2000, 0.8000]])
    """
    return torch.lerp(
        past_or_label(past, labels), F.one_hot(labels, past.shape[1]).to(past.dtype), share.to(past.dtype)
    )


def zipf_kl(logits: Tensor, ranks: Tensor, labels: Tensor, keep: Tensor | None = None) -> Tensor:
    """Compute KL(q || p) over the other classes, q their `zipf_weights`. [B, C], [B, C], [B] -> [].

    The mean is over the rows that the boolean `keep` [B] keeps, and zero without any. Liang et al., 2022
    (https://arxiv.org/abs/2207.12980).

    >>> import torch
    >>> from selfdistill.functional import zipf_kl
    >>> zipf_kl(torch.zeros(1, 3), torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([0]))
    tensor(0.0201)
    """
    kept = torch.ones_like(labels, dtype=torch.bool) if keep is None else keep
    return masked_kl(kept, drop_label_column(logits, labels), zipf_weights(ranks, labels).log())


def class_mean_predictions(sums: Tensor) -> Tensor:
    """Divide sums of predictions by their counts; a class without any gets 1 / C. [C, C + 1] -> [C, C].

    The last column of `sums` holds the counts, as `class_sums` returns them. Zhang et al., 2021
    (https://arxiv.org/abs/2011.12562).

    >>> import torch
    >>> from selfdistill.functional import class_mean_predictions
    >>> class_mean_predictions(torch.tensor([[1.6, 0.4, 2.0], [0.0, 0.0, 0.0]]))
    tensor([[0.8000, 0.2000],
            [0.5000, 0.5000]])
    """
    total, counts = sums[:, :-1], sums[:, -1:]
    return torch.where(counts > 0, total / counts.clamp_min(1), 1 / len(sums))


def max_suppression(logits: Tensor) -> Tensor:
    """Compute the mean over rows of the largest logit minus the mean logit. [B, C] -> [].

    Zhou et al., 2025 (https://arxiv.org/abs/2502.15798).

    >>> import torch
    >>> from selfdistill.functional import max_suppression
    >>> max_suppression(torch.tensor([[4.0, 1.0, 1.0]]))
    tensor(2.)
    """
    return (logits.amax(dim=1) - logits.mean(dim=1)).mean()


def virtual_teacher(shares: Tensor, correct: float, temperature: float) -> Tensor:
    """Compute softmax(u / T), u = `correct` for the label and evenly spread elsewhere. [B, C] -> [B, C].

    `shares` are label probabilities: one-hot, or mixed. Yuan et al., 2020 (https://arxiv.org/abs/1909.11723).

    >>> import torch
    >>> from selfdistill.functional import virtual_teacher
    >>> virtual_teacher(torch.tensor([[1.0, 0.0]]), correct=1.0, temperature=1.0)
    tensor([[0.7311, 0.2689]])
    """
    rest = (1 - correct) / (shares.shape[1] - 1)
    return softmax_with_temperature(rest + (correct - rest) * shares, temperature)


def fuse_predictions(
    center: Tensor, own: Tensor, labels: Tensor, fusion: str, trust: float, temperature: float
) -> Tensor:
    """Fuse a class center's logits with a sample's own. [B, C], [B, C], [B] -> [B, C] probabilities.

    `fusion` is "logit" or "prob", with a weight of `trust` on the center, or "confidence", with one
    minus the sample's label probability. Zhong et al., 2024 (https://www.mdpi.com/2076-3417/14/16/7022).

    >>> import torch
    >>> from selfdistill.functional import fuse_predictions
    >>> fuse_predictions(torch.eye(2)[:1], torch.zeros(1, 2), torch.tensor([0]), "logit", trust=1.0, temperature=1.0)
    tensor([[0.7311, 0.2689]])
    """
    if fusion == "logit":
        return softmax_with_temperature(trust * center + (1 - trust) * own, temperature)
    weight = trust if fusion == "prob" else 1 - own.softmax(dim=1).gather(1, labels[:, None])  # [B, 1]
    soft, own_soft = softmax_with_temperature(center, temperature), softmax_with_temperature(own, temperature)
    return weight * soft + (1 - weight) * own_soft
