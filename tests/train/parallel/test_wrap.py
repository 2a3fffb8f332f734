"""Where networks are cut: into what is called, of middling size, and shares no weight with the rest."""

import pytest
import torch
from torch import nn

from selfdistill.models import create
from selfdistill.train.parallel.wrap import MIN_SHARE, find_blocks
from tests.helpers.networks import network

IMAGES = torch.zeros(2, 3, 32, 32)


def paths(made, found):
    named = {module: path for path, module in made.named_modules()}
    return [named[each] for each in found]


def test_blocks_are_residual_blocks_or_what_they_are_made_of():
    made = create("resnet20", 10, size=32)
    assert paths(made, find_blocks(made, IMAGES, "classifier"))[:3] == ["layer1", "layer2", "layer3.0"]
    made = create("torchvision/vit_b_16", 10, size=32)
    assert paths(made, find_blocks(made, IMAGES)) == [f"encoder.layers.encoder_layer_{k}" for k in range(12)]


@pytest.mark.parametrize("kind", ["group", "tokens"])
def test_the_spared_module_is_in_no_block_and_no_weight_in_two(kind):
    made = network(kind)
    head = next(path for path in ("fc", "head") if hasattr(made, path))
    found = find_blocks(made, torch.zeros(2, 3, 16, 16), head)
    weights = [id(each) for block in found for each in block.parameters()]
    assert len(weights) == len(set(weights))
    assert not {id(each) for each in getattr(made, head).parameters()} & set(weights)


class Odd(nn.Module):
    """Layers that share a weight, one that is large, one that is never called and one that is tiny."""

    def __init__(self):
        super().__init__()
        self.one, self.other, self.large = nn.Linear(48, 48), nn.Linear(48, 48), nn.Linear(48, 200)
        self.uncalled, self.tiny, self.head = nn.Linear(200, 10), nn.LayerNorm(48), nn.Linear(200, 10)
        self.other.weight = self.one.weight

    def forward(self, images):
        hidden = self.tiny(self.other(self.one(images.flatten(1))))
        large = self.large(hidden)
        return self.head(large) + nn.functional.linear(large, self.uncalled.weight)


def test_what_shares_weights_is_not_called_or_tiny_is_left_over():
    made = Odd()
    assert sum(each.numel() for each in made.tiny.parameters()) < MIN_SHARE * sum(
        each.numel() for each in made.parameters()
    )
    assert paths(made, find_blocks(made, torch.zeros(2, 3, 4, 4), "head")) == ["large"]
