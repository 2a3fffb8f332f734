"""What follows a tap, as a network of its own."""

import copy
import pickle

import pytest
import torch
from torch.testing import assert_close

from selfdistill.data.batch import Batch
from selfdistill.errors import UserError
from selfdistill.features import read_anatomy
from selfdistill.features.branch import Branch, Stub
from selfdistill.features.hooks import FeatureHooks
from selfdistill.features.logits import logits_of
from selfdistill.features.trace import trace_modules
from selfdistill.inputs import call_model, token_mask
from selfdistill.methods import parse_method
from selfdistill.models import create
from selfdistill.step import Distiller
from selfdistill.terms import ModelOutputs, Progress
from tests.helpers.kinds import LABELS, bert, floats, texts, vit
from tests.helpers.losses import seeded
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


class Layer(torch.nn.Module):
    """A recurrent layer that returns its outputs beside its last states, as torch's do."""

    def __init__(self, width):
        super().__init__()
        self.lstm = torch.nn.LSTM(width, 12, batch_first=True)

    def forward(self, tokens):
        return self.lstm(tokens)


class Recurrent(torch.nn.Module):
    """Three recurrent layers; with `states`, the classifier reads the first one's last state too."""

    def __init__(self, states=False):
        super().__init__()
        self.embed, self.first = torch.nn.Embedding(50, 8), Layer(8)
        self.second, self.third, self.head = Layer(12), Layer(12), torch.nn.Linear(12, CLASSES)
        self.states = states

    def forward(self, ids):
        tokens, (hidden, _) = self.first(self.embed(ids))
        deep = self.third(self.second(tokens)[0])[0][:, -1]
        return self.head(deep + hidden[0] if self.states else deep)


IDS = texts()["input_ids"]
CUTS = {
    "tuples": (Recurrent, IDS, "first"),
    "ViT of transformers": (vit, {"pixel_values": floats(3, 16, 16)()}, "stage2"),
    "BERT": (bert, texts(), "stage2"),
}


@pytest.mark.parametrize("kind", CUTS)
def test_a_branch_of_structures_with_the_models_weights_is_the_models_end(kind):
    make, inputs, tap = CUTS[kind]
    model = seeded(make).eval()
    branch, found = cut(model, tap, inputs)
    of_the_model_itself(branch, model).eval()
    taps = FeatureHooks(model, found, [tap, "embedding"])
    taps.record(token_mask(inputs))
    with torch.no_grad():
        logits, shown = logits_of(call_model(model, inputs)), taps.take()
        got = branch(ModelOutputs(logits, None, shown, inputs))
    taps.close()
    assert_close(got.logits, logits, rtol=1e-4, atol=1e-5)
    assert_close(got.embedding, shown["embedding"], rtol=1e-4, atol=1e-5)


def test_the_input_of_a_branch_has_the_recorded_structure():
    branch, _ = cut(seeded(Recurrent), "first", IDS)
    given = torch.randn(8, 12, 12)
    branch.entry.features = given
    tokens, (hidden, cell) = branch.entry(IDS)
    assert tokens is given
    assert hidden.shape == cell.shape == (1, 2, 12)  # layers come first: no row of the batch
    assert hidden.abs().max() == 0


def test_states_that_a_branch_cannot_make_are_refused():
    with pytest.raises(UserError, match=r"the layers behind 'first' do not run by themselves: .*pass another tap"):
        cut(Recurrent(states=True), "first", IDS)


def test_a_stub_has_the_attributes_of_what_it_replaces():
    model = seeded(vit)
    branch, _ = cut(model, "stage2", {"pixel_values": floats(3, 16, 16)()})
    weight = branch.network.vit.embeddings.patch_embeddings.projection.weight
    assert (weight.device.type, weight.dtype) == ("meta", torch.float32)
    assert not any(name.startswith("vit.embeddings") for name, _ in branch.network.named_parameters())
    with pytest.raises(AttributeError, match="no attribute 'banana'"):
        branch.network.vit.embeddings.banana  # noqa: B018


class Traced(torch.nn.Module):
    """A network that begins with a graph, which brings its own `__deepcopy__`."""

    def __init__(self):
        super().__init__()
        self.stem = torch.fx.symbolic_trace(torch.nn.Sequential(torch.nn.Conv2d(3, 8, 1), torch.nn.ReLU()))
        widths = [(8, 8, 1), (8, 12, 2), (12, 16, 2)]
        self.layers = torch.nn.Sequential(*(torch.nn.Conv2d(own, out, 3, step, 1) for own, out, step in widths))
        self.head = torch.nn.Linear(16, CLASSES)

    def forward(self, images):
        return self.head(self.layers(self.stem(images)).mean(dim=(2, 3)))


COPIED = {
    "ViT of transformers": (vit, {"pixel_values": floats(3, 16, 16)()}),
    "BERT": (bert, texts()),
    "graph": (Traced, floats(3, 16, 16)()),
}


def stubs_of(distiller):
    branches = [each for each in distiller.modules() if isinstance(each, Branch)]
    return [(stub, branch) for branch in branches for stub in branch.modules() if isinstance(stub, Stub)]


def losses_of(distiller, inputs):
    zero = torch.zeros(())
    return distiller(Batch(inputs, LABELS), Progress(zero, zero, zero), {}).losses


@pytest.mark.parametrize(
    "again", [copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))], ids=["copy", "pickle"]
)
@pytest.mark.parametrize("kind", COPIED)
def test_a_distiller_with_branches_is_copied_and_pickled(kind, again):
    make, inputs = COPIED[kind]
    distiller = Distiller(seeded(make), parse_method("dks()"), inputs)
    other = again(distiller)
    assert len(stubs_of(other)) == len(stubs_of(distiller)) > 0
    assert all(stub._entry[0] is branch.entry for stub, branch in stubs_of(other))
    assert_close(losses_of(other, inputs), losses_of(distiller, inputs))
