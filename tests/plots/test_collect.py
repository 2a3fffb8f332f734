"""What is collected is what the network says, and the network is left as it was."""

import pytest
import torch
from torch.testing import assert_close

from selfdistill.errors import UserError
from selfdistill.metrics.accuracy import predict
from selfdistill.plots.collect import collect, first_per_class
from tests.helpers.figures import PLAIN, images
from tests.helpers.networks import Convolutional, Transformer


def hooks(model):
    return sum(len(each._forward_hooks) + len(each._forward_pre_hooks) for each in model.modules())


@pytest.fixture(params=[Convolutional, Transformer])
def model(request):
    torch.manual_seed(0)
    made = request.param().train()
    next(made.children()).eval()
    return made


def test_logits_embedding_and_features(model):
    pictures = images(size=16)
    shown = collect(model, pictures, PLAIN, taps=["stages"], batch_size=5)
    assert_close(shown.logits, predict(model, pictures, PLAIN)[0])
    assert torch.equal(shown.labels, pictures.labels)
    classifier = model.fc if isinstance(model, Convolutional) else model.head
    assert_close(classifier(shown.embedding), shown.logits)
    assert list(shown.features) == ["stage1", "stage2", "stage3"]
    assert all(len(each) == len(pictures) and not each.requires_grad for each in shown.features.values())
    assert torch.equal(shown.correct, shown.logits.argmax(dim=1) == pictures.labels)


def test_a_tap_by_path():
    model = Convolutional().eval()
    shown = collect(model, images(), PLAIN, taps=["layer2"])
    by_hand = model.layer2(model.layer1(model.stem(PLAIN.normalize(images().images))))
    assert_close(shown.features["layer2"], by_hand.detach())


def test_the_model_comes_back_as_it_was(model):
    modes = [each.training for each in model.modules()]
    weights = {key: value.clone() for key, value in model.state_dict().items()}
    collect(model, images(size=16), PLAIN, taps=["stages"])
    assert [each.training for each in model.modules()] == modes
    assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())
    assert hooks(model) == 0


def test_no_hook_stays_where_a_pass_fails():
    model = Convolutional()
    pictures = images(4)
    model.layer3.register_forward_pre_hook(refuse_odd)
    with pytest.raises(RuntimeError, match="on purpose"):
        collect(model, pictures, PLAIN, taps=["stages"], batch_size=3)
    assert hooks(model) == 1
    assert all(each.training for each in model.modules())


def refuse_odd(module, inputs):
    if len(inputs[0]) == 3:
        raise RuntimeError("on purpose")


def test_half_precision_comes_back_in_full():
    shown = collect(Convolutional("group").to(torch.bfloat16), images(), PLAIN, taps=["stage1"])
    assert {shown.logits.dtype, shown.embedding.dtype, shown.features["stage1"].dtype} == {torch.float32}


def test_errors():
    with pytest.raises(UserError, match="the set of images is empty; pass at least one image"):
        collect(Convolutional(), images(0), PLAIN)
    with pytest.raises(UserError, match="nothing to tap at 'stage9'; its stages are stage1"):
        collect(Convolutional(), images(), PLAIN, taps=["stage9"])


def test_some_of_each_class():
    labels = torch.tensor([1, 0, 1, 2, 1, 0])
    assert first_per_class(labels, 2).tolist() == [1, 5, 0, 2, 3]
    assert first_per_class(labels, 1, classes=[2, 1]).tolist() == [3, 0]
