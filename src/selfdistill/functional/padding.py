"""Padding among tokens [B, N, D]: a token of zeros is absent."""

import torch
from torch import Tensor


def present(tokens: Tensor) -> Tensor:
    """Return True for each token that is not all zeros, without gradient. [B, N, D] -> [B, N, 1].

    >>> from selfdistill.functional import present
    >>> present(torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])).flatten()
    tensor([ True, False])
    """
    return (tokens.detach() != 0).any(dim=2, keepdim=True)


def present_share(features: Tensor) -> Tensor:
    """Compute the share of each row's tokens that are present, at least 1 / N; 1 for other features. -> [B, 1].

    A mean over all tokens of values that are zero at absent ones, divided by it, is the mean over the present ones.

    >>> from selfdistill.functional import present_share
    >>> present_share(torch.tensor([[[1.0, 0.0], [0.0, 0.0]]]))
    tensor([[0.5000]])
    """
    if features.dim() != 3:
        return features.new_ones(len(features), 1)
    return present(features).to(features.dtype).mean(dim=1).clamp_min(1 / features.shape[1])


def keep_absent(values: Tensor, features: Tensor) -> Tensor:
    """Set values made from tokens to zero at absent tokens; return those of other features unchanged.

    [B, N, E], made from [B, N, D] -> [B, N, E].

    >>> from selfdistill.functional import keep_absent
    >>> tokens = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])
    >>> keep_absent(tokens + 1, tokens)[0]
    tensor([[2., 1.],
            [0., 0.]])
    """
    return torch.where(present(features), values, 0.0) if features.dim() == 3 else values
