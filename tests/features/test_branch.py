"""What follows a tap, as a network of its own."""

import copy

import pytest
import torch
from torch.testing import assert_close

from selfdistill.errors import UserError
from selfdistill.features import read_anatomy
from selfdistill.features.branch import Branch
from selfdistill.features.hooks import FeatureHooks
from selfdistill.features.trace import trace_modules
from selfdistill.models import create
from selfdistill.terms import ModelOutputs
from tests.helpers.networks import CLASSES, network

ZOO = {
    "resnet8": 16,
    "vgg8": 32,
    "mobilenetv2": 32,
    "torchvision/resnet18": 64,
    "torchvision/swin_t": 64,
    "torchvision/densenet121": 64,
    "timm/convnext_atto": 64,
    "timm/vit_tiny_patch16_224": 64,
    "timm/mixer_s32_224": 64,
}


def cut(model, tap, images):
    found = read_anatomy(model, images)
    return Branch(model, trace_modules(model, images)[0], found, tap), found


def of_the_model_itself(tail, model):
    """The tail with the model's own weights in the place of new ones."""
    own = model.state_dict()
    kept = {key: own[key] for key in tail.network.state_dict()}
    tail.network.load_state_dict(kept)
    return tail


@pytest.mark.parametrize("name", ZOO)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_tail_with_the_models_weights_is_the_models_end(name):
    torch.manual_seed(0)
    model = create(name, 7, size=ZOO[name]).eval()
    images = torch.randn(3, 3, ZOO[name], ZOO[name])
    tail, found = cut(model, "stage-2", images)
    of_the_model_itself(tail, model).eval()
    taps = FeatureHooks(model, found, ["stage-2", "stage-1", "embedding"])
    taps.record()
    with torch.no_grad():
        logits, shown = model(images), taps.take()
        got = tail(ModelOutputs(logits, None, shown, images))
    taps.close()
    assert_close(got.logits, logits, rtol=1e-4, atol=1e-5)
    assert_close(got.embedding, shown["embedding"], rtol=1e-4, atol=1e-5)
    last = found.stages[-1].name
    assert list(got.features) == [last]
    assert_close(got.features[last], shown["stage-1"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["batch", "tokens"])
def test_it_is_drawn_anew_and_leaves_the_model_alone(kind):
    model = network(kind)
    before = copy.deepcopy(model.state_dict())
    tail, _ = cut(model, "stage-2", torch.randn(2, 3, 16, 16))
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    own = dict(model.named_parameters())
    weights = [name for name, each in tail.network.named_parameters() if each.requires_grad and each.dim() > 1]
    assert weights
    assert not any(torch.equal(own[name], dict(tail.network.named_parameters())[name]) for name in weights)


@pytest.mark.parametrize("kind", ["batch", "tokens"])
def test_every_trainable_parameter_gets_a_gradient_and_features_do(kind):
    tail, found = cut(network(kind), "stage1", torch.randn(2, 3, 16, 16))
    features = torch.randn(6, *found.stage("stage1").shape[1:], requires_grad=True)
    shown = tail(ModelOutputs(features, None, {"stage1": features}, torch.randn(6, 3, 16, 16)))
    assert shown.logits.shape == (6, CLASSES)
    assert list(shown.features) == ["stage2", "stage3"]
    shown.logits.sum().backward()
    assert features.grad.abs().sum() > 0
    assert all(each.grad is not None for each in tail.parameters() if each.requires_grad)
    assert tail.entry.features is None


def test_statistics_start_fresh():
    tail, _ = cut(network(), "stage1", torch.randn(2, 3, 16, 16))
    for module in tail.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            assert module.num_batches_tracked == 0
            assert torch.equal(module.running_mean, torch.zeros_like(module.running_mean))


def test_a_model_that_reads_what_was_replaced_is_refused():
    class Nosy(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.norm = torch.nn.Conv2d(3, 4, 3, 2, 1), torch.nn.BatchNorm2d(4)
            self.second, self.fc = torch.nn.Conv2d(4, 8, 3, 2, 1), torch.nn.Linear(8, 5)

        def forward(self, images):
            maps = torch.relu(self.second(self.norm(self.first(images))))
            return self.fc(maps.mean(dim=(2, 3)) * self.first.weight.sum())  # a stub's weight has no values

    model, images = Nosy(), torch.randn(2, 3, 16, 16)
    with pytest.raises(UserError, match=r"the layers behind 'norm' do not run by themselves: .*meta.*pass another tap"):
        cut(model, "norm", images)
