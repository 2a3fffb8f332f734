"""A network of 1-D convolutions gives the losses of the same network over maps of one column."""

from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from selfdistill.methods import REGISTRY
from tests.helpers.kinds import CLASSES, convolutions, floats
from tests.helpers.losses import losses

# cutmix, cutout and patch_swap draw another area for two sides than for one; sla and sskd turn images
OTHERS = {"cutmix", "cutout", "patch_swap", "sla", "sla_sd", "sskd", "pckd", "dot"}
METHODS = sorted({*REGISTRY} - OTHERS)


def of_signals():
    return convolutions(2, 1)


def of_columns():
    """The network of `of_signals` over [B, C, L, 1], with its weights."""
    own = of_signals()
    stages = [
        nn.Sequential(
            nn.Conv2d(width, out, (3, 1), stride=(1 + (k > 0), 1), padding=(1, 0)), nn.BatchNorm2d(out), nn.ReLU()
        )
        for k, (width, out) in enumerate(pairwise([2, 8, 12, 16]))
    ]
    model = nn.Sequential(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, CLASSES))
    shapes = {name: each.shape for name, each in model.state_dict().items()}
    model.load_state_dict({name: each.reshape(shapes[name]) for name, each in own.state_dict().items()})
    return model


@pytest.mark.parametrize("name", METHODS)
def test_losses_of_signals_are_those_of_columns(name):
    text = f"{name}(negatives=2)" if name == "crd" else f"{name}()"
    signals = floats(2, 64)()
    flat, columns = losses(text, of_signals, signals), losses(text, of_columns, signals[..., None])
    for one, other in zip(flat, columns, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            assert_close(one[name], other[name], rtol=1e-3, atol=1e-5)
    first = [torch.stack([*each[0].values()]) for each in (flat, columns)]
    assert_close(*first, rtol=1e-6, atol=1e-7)
