"""Stages of a student and of a teacher, drawn as the reference files of at, nst and vid had them."""

import numpy as np
import torch

from selfdistill.terms import ModelOutputs
from tests.helpers.step_contexts import build_context, step_context

OWN = {"stage1": (864, (8, 6, 6, 6)), "stage2": (2592, (8, 8, 4, 4)), "stage3": (3616, (8, 10, 2, 2))}
THEIRS = {"stage1": (5168, (8, 9, 4, 4)), "stage2": (6320, (8, 12, 8, 8)), "stage3": (12464, (8, 14, 2, 2))}
LOGITS, LABELS = torch.zeros(8, 3, dtype=torch.float64), torch.arange(8) % 3


def drawn(seed):
    """The student's stages, with gradient, and the teacher's: each a slice of one stream."""
    stream = torch.from_numpy(np.random.RandomState(int(seed)).randn(13000))
    own, theirs = ({name: cut(stream, *at) for name, at in each.items()} for each in (OWN, THEIRS))
    return {name: each.requires_grad_() for name, each in own.items()}, theirs


def cut(stream, start, shape):
    return stream[start : start + int(np.prod(shape))].reshape(shape).clone()


def shapes(stages):
    return {name: tuple(each.shape) for name, each in stages.items()}


def build(term, own, theirs):
    torch.manual_seed(0)
    term.build(build_context(**shapes(own), views={"teacher": shapes(theirs)}))
    return term.double()


def loss(term, own, theirs, **more):
    """What a term finds between stages of a student and of a teacher."""
    views = {"teacher": ModelOutputs(LOGITS, None, theirs)}
    return term.loss(step_context(LOGITS, LABELS, features=own, views=views, **more))


def embedded(term, own, theirs):
    """What a term finds between embeddings of a student and of a teacher."""
    rows = len(own)
    views = {"teacher": ModelOutputs(torch.zeros(rows, 3), theirs, {})}
    return term.loss(step_context(torch.zeros(rows, 3), torch.zeros(rows).long(), embedding=own, views=views))


def tokens(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def padded(features, count=5):
    """Tokens with as many absent ones, which are zeros, behind them. [B, N, D] -> [B, N + count, D]."""
    return torch.cat([features, features.new_zeros(len(features), count, features.shape[2])], dim=1)


def copy_to_volumes(for_maps, for_volumes):
    """Copy the weights of a module for maps into the middle slice of a module for volumes."""
    own = for_maps.state_dict()
    for name, weight in for_volumes.state_dict().items():
        if weight.dim() == 5:
            weight.zero_()[..., weight.shape[-1] // 2] = own[name]
        else:
            weight.copy_(own[name])
    return for_volumes
