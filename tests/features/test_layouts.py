"""Layouts of activations, by the last layer with parameters."""

import pytest
import torch
from torch import nn

from selfdistill.features.layout import Layout, layout_of
from selfdistill.features.trace import ModuleCall


class LayerNorm2d(nn.LayerNorm):
    """A layer norm over the channels of a map, as timm names it."""


FIRST, LAST = Layout.CHANNELS_FIRST, Layout.CHANNELS_LAST
SIGNAL, TOKENS = Layout.SIGNAL, Layout.TOKENS
CONV, LINEAR, NORM = nn.Conv2d(3, 8, 1), nn.Linear(3, 8), nn.LayerNorm(8)
TABLE = [
    ("square map", (2, 8, 4, 4), CONV, FIRST),
    ("rectangular map", (2, 8, 4, 6), CONV, FIRST),
    ("map, H = D", (2, 8, 8, 6), CONV, FIRST),
    ("map, W = D", (2, 8, 6, 8), CONV, FIRST),
    ("map, H = W = D", (2, 8, 8, 8), CONV, FIRST),
    ("map after its norm, H = W = D", (2, 8, 8, 8), nn.BatchNorm2d(8), FIRST),
    ("map after a group norm, W = D", (2, 8, 6, 8), nn.GroupNorm(2, 8), FIRST),
    ("map after timm's layer norm, H = W = D", (2, 8, 8, 8), LayerNorm2d(8), FIRST),
    ("map before any layer", (2, 3, 4, 4), None, FIRST),
    ("concatenation of maps (DenseNet)", (2, 24, 4, 4), CONV, FIRST),
    ("concatenation of rectangular maps", (2, 24, 4, 6), CONV, FIRST),
    ("concatenation of maps after a linear layer", (2, 24, 4, 4), LINEAR, FIRST),
    ("map of a transposed convolution", (2, 8, 6, 8), nn.ConvTranspose2d(3, 8, 1), FIRST),
    ("NHWC", (2, 4, 4, 8), LINEAR, LAST),
    ("rectangular NHWC", (2, 4, 6, 8), LINEAR, LAST),
    ("NHWC, H = D", (2, 8, 6, 8), LINEAR, LAST),
    ("NHWC, H = W = D", (2, 8, 8, 8), NORM, LAST),
    ("concatenation of NHWC", (2, 4, 4, 24), LINEAR, LAST),
    ("volume", (2, 8, 4, 6, 6), nn.Conv3d(3, 8, 1), FIRST),
    ("volume, T = H = W = D", (2, 8, 8, 8, 8), nn.BatchNorm3d(8), FIRST),
    ("video NDHWC", (2, 4, 6, 6, 8), LINEAR, LAST),
    ("video NDHWC, T = D", (2, 8, 6, 6, 8), NORM, LAST),
    ("concatenation of volumes", (2, 24, 4, 6, 6), nn.Conv3d(3, 8, 1), FIRST),
    ("signal", (2, 8, 30), nn.Conv1d(3, 8, 1), SIGNAL),
    ("signal, L = D", (2, 8, 8), nn.Conv1d(3, 8, 1), SIGNAL),
    ("signal after its norm, L = D", (2, 8, 8), nn.BatchNorm1d(8), SIGNAL),
    ("concatenation of signals", (2, 24, 30), nn.Conv1d(3, 8, 1), SIGNAL),
    ("tokens", (2, 30, 8), LINEAR, TOKENS),
    ("tokens, N = D", (2, 8, 8), LINEAR, TOKENS),
    ("tokens after a norm, N = D", (2, 8, 8), NORM, TOKENS),
    ("embedded ids, N = D", (2, 8, 8), nn.Embedding(50, 8), TOKENS),
    ("tokens of patches", (2, 30, 8), CONV, TOKENS),
    ("outputs of an LSTM", (2, 30, 8), nn.LSTM(3, 8), TOKENS),
    ("outputs of an LSTM both ways, N = its hidden size", (2, 8, 16), nn.LSTM(3, 8, bidirectional=True), TOKENS),
    ("concatenation of tokens", (2, 30, 24), LINEAR, TOKENS),
    ("vector", (2, 8), LINEAR, Layout.VECTOR),
    ("a number per row", (2,), LINEAR, None),
    ("six dimensions", (2, 8, 3, 3, 3, 3), LINEAR, None),
    ("rectangle of unknown channels", (2, 12, 4, 6), LINEAR, None),
]  # fmt: skip


def call(shape, layer):
    output = torch.empty(shape, device="meta")
    return ModuleCall(0, "block", nn.Identity(), None, False, output, 0, output, 0, None, layer)


@pytest.mark.parametrize(("shape", "layer", "layout"), [pytest.param(*row, id=name) for name, *row in TABLE])
def test_the_layout_after_a_layer(shape, layer, layout):
    assert layout_of(call(shape, layer)) is layout


SHAPES = [(FIRST, 4), (LAST, 4), (FIRST, 5), (LAST, 5), (SIGNAL, 3), (TOKENS, 3), (Layout.VECTOR, 2)]


@pytest.mark.parametrize(("layout", "dims"), SHAPES)
def test_there_and_back(layout, dims):
    own = torch.randn(2, 3, 4, 5, 6)[(slice(None),) * dims + (0,) * (5 - dims)]
    canonical = layout.to_canonical(own)
    assert canonical.shape == layout.canonical_shape(own.shape)
    assert torch.equal(layout.from_canonical(canonical), own)


def test_a_signal_is_a_map_of_one_column():
    own = torch.randn(2, 8, 30)
    assert torch.equal(SIGNAL.to_canonical(own), own[..., None])
    assert SIGNAL.resolution(own.shape) == 30


def test_channels_last_is_handed_out_first():
    own = torch.randn(2, 4, 6, 6, 8)
    assert torch.equal(LAST.to_canonical(own), own.permute(0, 4, 1, 2, 3))
    assert LAST.resolution(own.shape) == 4 * 6 * 6
