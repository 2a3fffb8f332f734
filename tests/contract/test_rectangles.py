"""Every method on rectangular images."""

import pytest
import torch
from torch import nn

import selfdistill as sd
from selfdistill.errors import UserError
from selfdistill.features import read_anatomy
from selfdistill.methods import REGISTRY
from tests.helpers.loops import LABELS
from tests.helpers.networks import network

QUARTER_TURNS = {"sla", "sla_sd", "sskd", "pckd"}
IMAGES = torch.randn(8, 3, 16, 24, generator=torch.Generator().manual_seed(0))
EXTRA = {
    "index": torch.arange(8),
    "peer": IMAGES.flip(0),
    "twin": IMAGES.flip(3),
    "twin2": IMAGES.flip(2),
    "plain": IMAGES,
    "last": IMAGES,
    "last_labels": LABELS,
    "negatives": torch.arange(16).reshape(8, 2) % 8,
}


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_a_step_on_rectangles(name):
    text = f"{name}(negatives=2)" if name == "crd" else f"{name}()"
    method = sd.methods.parse_method(text)
    networks = {role: network(seed=3) for role in method.teachers}
    options = {"dataset_size": 8, "epochs": 4, "steps_per_epoch": 2}

    def step():
        try:
            teach = sd.teach(network(), method, IMAGES, networks=networks, **options)
        except UserError as error:
            if "replaces the optimizer" in str(error):
                pytest.skip("not for one's own loop")
            raise
        return teach(IMAGES, LABELS, **EXTRA)

    if name in QUARTER_TURNS:
        with pytest.raises(UserError, match="square|half turn"):
            step()
    else:
        loss = step()
        loss.backward()
        assert loss.isfinite()


class ChannelsFirstNorm(nn.LayerNorm):
    """A layer norm over the channels of a map, as convolutional networks of today have."""

    def forward(self, features):
        return super().forward(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class LayerNorm2d(ChannelsFirstNorm):
    pass


@pytest.mark.parametrize(("height", "width"), [(8, 8), (8, 12), (12, 8), (6, 8), (4, 16)])
@pytest.mark.parametrize("norm", [nn.BatchNorm2d, LayerNorm2d, nn.InstanceNorm2d])
def test_channels_are_found_whatever_the_shape_of_the_map(height, width, norm):
    block = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), norm(8), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), norm(8))
    model = nn.Sequential(block, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))
    found = read_anatomy(model, torch.randn(2, 3, height, width))
    assert [each.shape for each in found.stages] == [(2, 8, height, width)]


class ChannelsLast(nn.Module):
    """Linear layers over the last dimension, as Swin and MLP-Mixers over maps have."""

    def __init__(self, channels):
        super().__init__()
        self.embed = nn.Linear(3, channels)
        self.mix = nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, channels), nn.GELU())
        self.head = nn.Linear(channels, 5)

    def forward(self, images):
        return self.head(self.mix(self.embed(images.permute(0, 2, 3, 1))).mean(dim=(1, 2)))


@pytest.mark.parametrize(("height", "width"), [(8, 8), (8, 12), (12, 8), (6, 10)])
def test_channels_that_come_last_are_found(height, width):
    found = read_anatomy(ChannelsLast(8), torch.randn(2, 3, height, width))
    assert [each.shape for each in found.stages] == [(2, 8, height, width)]
