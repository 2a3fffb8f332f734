import json

import pytest
import torch
from torch import nn

from selfdistill import data, metrics
from selfdistill.errors import UserError
from selfdistill.features import read_anatomy
from selfdistill.metrics.accuracy import evaluate as plainly
from selfdistill.metrics.accuracy import predict
from selfdistill.metrics.catalog import of_task
from selfdistill.metrics.model import EvaluatedModel
from selfdistill.models import create
from tests.helpers.networks import network

SOURCE = "fake:classes=5,size=16,train=60,test=40"


@pytest.fixture(scope="module")
def splits():
    return data.load(SOURCE)


@pytest.fixture(scope="module")
def ood():
    return data.load("digits", size=16, limit=10)


def test_everything_is_measured_and_is_json(splits, ood):
    found = metrics.evaluate(network(), splits, metrics="all", ood=ood, batch_size=16)
    assert list(found) == of_task(list(metrics.METRICS), "classify")
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert {len(each) for name, each in found["corruption"].items() if name != "mean"} == {5}
    assert (found["outside"]["data"], found["outside"]["images"]) == ("digits", 359)
    assert len(found["classes"]) == 5
    assert set(found["fgsm"]) == set(found["pgd"]) == {"2/255", "8/255"}


@pytest.mark.parametrize("kind", ["group", "tokens"])
def test_other_kinds_of_networks_are_measured(splits, kind):
    found = metrics.evaluate(network(kind), splits, metrics=["knn", "recall", "spread", "fgsm"])
    assert 0 <= found["knn"]["knn"] <= 100
    assert found["spread"]["intra"] > 0


def test_basic_is_what_result_json_has_and_more(splits):
    model = network()
    found = metrics.evaluate(model, splits, batch_size=16)
    assert list(found) == ["accuracy", "calibration", "balance"]
    flat = found["accuracy"] | found["calibration"]
    want = plainly(model, splits.test, data.default_augmentation(splits), batch_size=16)
    assert {name: flat[name] for name in want} == want


def counted(model):
    """How many rows pass through a model from now on."""
    passed = []
    model.register_forward_hook(lambda module, inputs, output: passed.append(len(output)))
    return passed


def test_one_pass_over_the_test_set_for_all_that_read_predictions(splits):
    model = network()
    passed = counted(model)
    metrics.evaluate(model, splits, metrics=["accuracy", "calibration", "selective", "recall", "spread", "classes"])
    own = [rows for rows in passed if rows > 2]  # two at a time: the look at the model before
    assert own == [40]
    passed.clear()
    metrics.evaluate(model, splits, metrics=["knn", "recall"])
    assert sorted(rows for rows in passed if rows > 2) == [40, 60]


def test_the_embedding_is_what_the_classifier_takes_in(splits):
    model = network()
    found = []
    hook = model.fc.register_forward_pre_hook(lambda module, inputs: found.append(inputs[0].detach()))
    logits, labels = predict(model, splits.test, data.default_augmentation(splits))
    hook.remove()
    augment = data.default_augmentation(splits)
    read = read_anatomy(model, augment.normalize(splits.test.images[:2]))
    seen = EvaluatedModel(model, augment, torch.device("cpu"), 9, read).predictions(splits.test)
    torch.testing.assert_close(seen.embeddings, found[0])
    torch.testing.assert_close(seen.logits, logits)
    assert torch.equal(seen.labels, labels)


def test_the_model_is_left_as_it_was(splits, ood):
    model = network().train()
    model.layer2.eval()
    modes = [module.training for module in model.modules()]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    drawn = torch.get_rng_state()
    metrics.evaluate(model, splits, metrics="all", ood=ood)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert torch.equal(torch.get_rng_state(), drawn)


def test_hooks_go_away_when_a_pass_fails(splits):
    model = network()
    augment = data.default_augmentation(splits)
    read = read_anatomy(model, augment.normalize(splits.test.images[:2]))
    wide = data.Images(torch.zeros(2, 4, 16, 16, dtype=torch.uint8), torch.zeros(2).long())
    with pytest.raises(RuntimeError):
        EvaluatedModel(model, augment, torch.device("cpu"), 9, read).predictions(wide)
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_one_seed_one_result(splits):
    model = network()
    names = ["pgd", "corruption"]
    one, same = (metrics.evaluate(model, splits, metrics=names, epsilons=[4]) for _ in range(2))
    assert one == same
    assert list(one["pgd"]) == ["4/255"]


def test_on_start_hears_the_names(splits):
    started = []
    metrics.evaluate(network(), splits, metrics=["selective", "accuracy"], on_start=started.append)
    assert started == ["accuracy", "selective"]


def test_costs_by_hand(splits):
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 5))
    found = metrics.evaluate(model, splits, metrics="cost")["cost"]
    assert found["parameters"] == 769 * 5
    assert found["flops"] == 2 * 768 * 5
    assert found["pass_ms"] > 0
    assert found["pass_mib"] >= (768 + 5) * 4 / 2**20


class TwoHeads(nn.Module):
    """No one module makes the logits."""

    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.one, self.two = nn.Linear(4, 5), nn.Linear(4, 5)

    def forward(self, images):
        features = self.trunk(images)
        return (self.one(features) + self.two(features)) / 2


def test_all_is_all_that_is_possible(splits):
    found = metrics.evaluate(TwoHeads(), splits, metrics=["all"], epsilons=[2])
    assert {*of_task(list(metrics.METRICS), "classify")} - set(found) == {"recall", "knn", "spread", "outside"}
    named = metrics.evaluate(TwoHeads(), splits, metrics="spread", classifier="two")
    assert named["spread"]["intra"] > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"metrics": "pgdd"},
            r"there is no metric 'pgdd'; did you mean 'pgd'\? there are basic, all, accuracy, calibration",
        ),
        (
            {"metrics": ["basic", "ece"]},
            r"there is no metric 'ece'; there are basic, all, .*, outside, cost$",
        ),
        (
            {"metrics": ["all", "outside"]},
            r"the metric outside compares with images of other classes; name them: --",
        ),
        ({"epsilons": [2, 0]}, r"an epsilon is in units of 1/255, above 0 and at most 255, but one is 0"),
        ({"epsilons": [300]}, r"but one is 300"),
    ],
)
def test_mistakes_are_answered(splits, options, message):
    with pytest.raises(UserError, match=message):
        metrics.evaluate(network(), splits, **options)


def test_what_does_not_fit_is_answered(splits, ood):
    with pytest.raises(UserError, match=r"the metric spread reads the embedding, .* of TwoHeads; name it: --class"):
        metrics.evaluate(TwoHeads(), splits, metrics="spread")
    with pytest.raises(UserError, match=r"the model has 10 classes, but fake:.* has 5"):
        metrics.evaluate(create("resnet8", 10), splits)
    with pytest.raises(
        UserError, match=r"images of digits have 8 pixels a side, those of fake:.* 16; load them with s"
    ):
        metrics.evaluate(network(), splits, metrics="outside", ood=data.load("digits", limit=10))
