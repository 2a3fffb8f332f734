"""Taps hand out what the model computes, in one layout, and only during a pass."""

import copy
import gc
import pickle
import weakref

import pytest
import torch
from torch import nn

from selfdistill.errors import UserError
from selfdistill.features import read_anatomy
from selfdistill.features.hooks import FeatureHooks
from tests.helpers.networks import CLASSES, network


def images(rows=2, seed=0):
    return torch.randn(rows, 3, 16, 16, generator=torch.Generator().manual_seed(seed))


def tapped(model, *names):
    return FeatureHooks(model, read_anatomy(model, images()), names)


def hooks(model):
    return sum(len(each._forward_hooks) + len(each._forward_pre_hooks) for each in model.modules())


class ChannelsLast(nn.Module):
    """Patches mixed by linear layers, as [B, H, W, D]."""

    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 6, 2, 2)
        self.mix, self.narrow = nn.Linear(6, 6), nn.Linear(24, 12)
        self.head = nn.Linear(12, CLASSES)

    def forward(self, images):
        fine = self.mix(self.patch(images).permute(0, 2, 3, 1))
        coarse = torch.cat([fine[:, i::2, j::2] for i in (0, 1) for j in (0, 1)], dim=3)
        return self.head(self.narrow(coarse).mean((1, 2)))


def test_features_are_those_of_the_pass():
    model = network().eval()
    taps = tapped(model, "stage1", "stage-1", "layer2.conv", "embedding")
    taps.record()
    logits = model(images(rows=3, seed=1))
    seen = taps.take()
    first = model.layer1(model.stem(images(rows=3, seed=1)))
    last = model.layer3(model.layer2(first))
    assert torch.equal(seen["stage1"], first)
    assert torch.equal(seen["stage-1"], last)
    assert torch.equal(seen["layer2.conv"], model.layer2.conv(first))
    assert torch.equal(seen["embedding"], last.mean((2, 3)))
    assert torch.equal(model.fc(seen["embedding"]), logits)


def test_channels_last_is_handed_out_channels_first():
    model = ChannelsLast()
    taps = tapped(model, "mix")
    taps.record()
    model(images())
    fine = model.mix(model.patch(images()).permute(0, 2, 3, 1))
    assert torch.equal(taps.take()["mix"], fine.permute(0, 3, 1, 2))


def test_tokens_stay_tokens():
    model = network("tokens")
    taps = tapped(model, "stage1", "stage3", "embedding")
    taps.record()
    model(images())
    seen = taps.take()
    assert {name: [*each.shape] for name, each in seen.items()} == {
        "stage1": [2, 16, 16],
        "stage3": [2, 16, 16],
        "embedding": [2, 16],
    }


def test_embedding_of_a_convolution_is_flat():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, CLASSES, 1), nn.Flatten())
    taps = tapped(model, "embedding")
    taps.record()
    logits = model(images())
    embedding = taps.take()["embedding"]
    assert embedding.shape == (2, 8)
    assert torch.equal(model[2](embedding.reshape(2, 8, 1, 1)).flatten(1), logits)


def test_gradient_flows_through_a_tap():
    model = network()
    taps = tapped(model, "stage1")
    taps.record()
    model(images())
    taps.take()["stage1"].sum().backward()
    assert model.layer1.conv.weight.grad is not None
    assert model.layer2.conv.weight.grad is None


def test_only_a_recorded_pass_is_seen():
    model = network()
    taps = tapped(model, "stage1")
    model(images())
    assert taps.take() == {}
    taps.record()
    model(images())
    assert set(taps.take()) == {"stage1"}
    model(images())
    assert taps.take() == {}


def test_no_tensor_outlives_the_pass():
    model = network()
    taps = tapped(model, "stage1", "embedding")
    taps.record()
    model(images())
    held = [weakref.ref(each) for each in taps.take().values()]
    gc.collect()
    assert len(held) == 2
    assert not any(each() is not None for each in held)


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 3, 3, padding=1), nn.Linear(3, CLASSES)

    def forward(self, images):
        return self.head(self.conv(self.conv(images)).mean((2, 3)))


def test_a_module_called_twice_shows_its_last_answer():
    model = Twice()
    taps = tapped(model, "conv")
    taps.record()
    model(images())
    assert torch.equal(taps.take()["conv"], model.conv(model.conv(images())))


@pytest.mark.parametrize(
    "again", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))], ids=["copy", "pickle"]
)
def test_a_copy_made_during_a_pass_is_not_listened_to(again):
    model = network()
    taps = tapped(model, "stage1", "embedding")
    taps.record()
    copied = again(model)
    copied(images())
    assert taps.take() == {}
    left = [
        hook for each in copied.modules() for hook in (*each._forward_hooks.values(), *each._forward_pre_hooks.values())
    ]
    assert [hook.recorded.features for hook in left] == [None, None]  # else every pass of it would be held


def test_close_takes_every_hook_off():
    model = network()
    taps = tapped(model, "stage1", "layer2", "embedding")
    assert hooks(model) == 3
    taps.close()
    assert hooks(model) == 0


def test_a_wrong_name_leaves_no_hook():
    model = network()
    with pytest.raises(UserError, match="nothing to tap at 'layer9'"):
        tapped(model, "stage1", "layer9")
    assert hooks(model) == 0


@pytest.mark.parametrize("kind", ["batch", "tokens"])
def test_a_compiled_step_sees_the_same(kind):
    model = network(kind)
    taps = tapped(model, "stage1", "stage-1", "embedding")

    def step(batch):
        taps.record()
        logits = model(batch)
        return logits, taps.take()

    logits, seen = step(images())
    torch._dynamo.reset()
    compiled_logits, compiled_seen = torch.compile(step, fullgraph=True, backend="eager")(images())
    assert torch.equal(compiled_logits, logits)
    assert set(compiled_seen) == {"stage1", "stage-1", "embedding"}
    assert all(torch.equal(compiled_seen[name], each) for name, each in seen.items())
