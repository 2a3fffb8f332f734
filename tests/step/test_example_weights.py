"""Weights of examples: losses of labels against F.cross_entropy and plain loops in float64."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

import selfdistill as sd
from selfdistill.data.batch import Batch
from selfdistill.data.mixing import Mixing
from selfdistill.errors import UserError
from selfdistill.step.example_weights import relative_weights
from selfdistill.terms import label_loss
from tests.helpers.processes import forked, outcome

pytestmark = pytest.mark.usefixtures("float64")
CLASSES = 4


def made(rows=6, seed=0):
    draws = torch.Generator().manual_seed(seed)
    logits = torch.randn(rows, CLASSES, generator=draws, dtype=torch.float64)
    labels = torch.randint(CLASSES, (rows,), generator=draws)
    return logits, labels, torch.rand(rows, generator=draws, dtype=torch.float64) + 0.1


def batch(logits, labels, weights, mix=None):
    return Batch(torch.zeros(len(logits), 3, 2, 2), labels, None, mix, weights=weights)


def weighted_loss(logits, labels, weights, smoothing=0.0, mix=None):
    (scaled,) = relative_weights([batch(logits, labels, weights, mix)])
    return label_loss(logits, scaled, smoothing)


def test_class_weights_are_those_of_torch():
    logits, labels, _ = made()
    by_class = torch.tensor([1.0, 3.0, 0.5, 2.0])
    want = F.cross_entropy(logits, labels, weight=by_class)
    assert_close(weighted_loss(logits, labels, by_class[labels]), want)
    assert_close(weighted_loss(logits, labels, 7 * by_class[labels]), want)  # their scale does not count


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("mixed", [False, True])
def test_a_plain_loop(smoothing, mixed):
    logits, labels, weights = made()
    mix = Mixing(per="row").draw(torch.Size((6, 3, 2, 2)), torch.Generator().manual_seed(1)) if mixed else None
    sums = mass = 0.0
    for b in range(6):
        pairs = [(1.0, b)] if mix is None else zip(mix.shares[b].tolist(), mix.partners[b].tolist(), strict=True)
        for share, k in pairs:
            target = torch.full((CLASSES,), smoothing / CLASSES)
            target[labels[k]] += 1 - smoothing
            sums -= share * weights[k] * (target * logits[b].log_softmax(dim=0)).sum()
            mass += share * weights[k]
    assert_close(weighted_loss(logits, labels, weights, smoothing, mix), sums / mass, rtol=1e-6, atol=0)


def test_parts_give_the_loss_of_the_whole_batch():
    logits, labels, weights = made()
    parts = relative_weights([batch(logits[rows], labels[rows], weights[rows]) for rows in (slice(3), slice(3, 6))])
    found = torch.stack([label_loss(logits[:3], parts[0]), label_loss(logits[3:], parts[1])]).mean()
    assert_close(found, weighted_loss(logits, labels, weights))


def test_two_processes_give_the_loss_of_one(tmp_path):
    logits, labels, weights = made()

    def work(rank):
        torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/meet", rank=rank, world_size=2)
        rows = slice(3 * rank, 3 * rank + 3)
        loss = weighted_loss(logits[rows], labels[rows], weights[rows])
        torch.save(loss, tmp_path / f"{rank}.pt")
        torch.distributed.barrier()

    children = [forked(lambda rank=rank: work(rank)) for rank in range(2)]
    assert [outcome(each) for each in children] == [0, 0]
    found = torch.stack([torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]).mean()
    assert_close(found, weighted_loss(logits, labels, weights))


def network():
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, CLASSES))


def taught(method, weights, **options):
    torch.manual_seed(0)
    images = torch.randn(6, 3, 2, 2)
    teach = sd.teach(network(), method, images, **options)
    loss = teach(Batch(images, made()[1], weights=weights))
    return teach, loss


def test_a_custom_loop_weights_the_task_and_not_the_imitation():
    weights = made()[2]
    equal, _ = taught("max_entropy()", None)
    teach, _ = taught("max_entropy()", weights)
    assert_close(teach.losses["task"], weighted_loss(teach.logits, made()[1], weights))
    (other,) = set(teach.losses) - {"task"}
    assert_close(teach.losses[other], equal.losses[other])
    assert not torch.isclose(teach.losses["task"], equal.losses["task"])


@pytest.mark.parametrize("gamma", [0.0, 2.0])
def test_focal_loss(gamma):
    labels, weights = made()[1:]
    teach, loss = taught(f"focal(gamma={gamma})", weights)
    sums = 0.0
    for b in range(6):
        p = teach.logits[b].softmax(dim=0)[labels[b]]
        sums -= weights[b] * (1 - p) ** gamma * p.log()
    assert_close(loss.detach(), sums / weights.sum())


@pytest.mark.parametrize("method", ["label_smoothing()", "virtual_softmax()"])
def test_equal_weights_change_nothing(method):
    assert_close(taught(method, torch.full((6,), 3.0))[1], taught(method, None)[1])


def test_evaluation_weights_too():
    teach, _ = taught("ce()", None)
    teach.eval()
    images, weights = torch.randn(6, 3, 2, 2), made()[2]
    with torch.no_grad():
        loss = teach(Batch(images, made()[1], weights=weights))
    assert_close(loss, weighted_loss(teach.logits, made()[1], weights))


@pytest.mark.parametrize("method", ["cosub(form='bce')"])
def test_methods_whose_labels_are_not_weighted_are_refused(method):
    with pytest.raises(UserError, match=r"do not reach all losses of labels in cosub\(.*leave the weights out"):
        taught(method, made()[2])


@pytest.mark.parametrize(
    ("weights", "options", "why"),
    [
        (torch.ones(5), {}, r"weights must be 6 floats, one for each example, but are .*\[5\]"),
        (torch.ones(6, dtype=torch.long), {}, "weights must be 6 floats"),
        (torch.tensor([1.0, -1, 1, 1, 1, 1]), {}, "must be 0 or more and finite"),
        (torch.ones(6), {"task": F.cross_entropy}, "a custom task loss reads no weights"),
        (torch.ones(6), {"rows": "tags"}, "weights are of examples with one class, but the model classifies tags"),
    ],
)
def test_wrong_weights_are_refused(weights, options, why):
    images, labels = torch.randn(6, 3, 2, 2), made()[1]
    labels = F.one_hot(labels, CLASSES) if options.get("rows") == "tags" else labels
    teach = sd.teach(network(), "ce()", images, **options)
    with pytest.raises(UserError, match=why):
        teach(Batch(images, labels, weights=weights))
