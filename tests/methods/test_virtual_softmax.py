import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

import selfdistill as sd
from selfdistill.functional import l2_norm
from selfdistill.methods import virtual_softmax
from tests.helpers.step_contexts import only, step_context


def value(embedding, weight, offset, labels, **options):
    step = step_context(embedding @ weight.T + offset, labels, embedding=embedding, classifier_weight=weight)
    return only(virtual_softmax(**options), "task").loss(step)


def test_with_the_bias_it_is_the_published_loss(reference):
    want = reference("virtual_softmax")
    parts = [want[key].requires_grad_() for key in ("embedding", "fc_weight", "fc_bias")]
    loss = value(*parts, want["targets"], bias=True)
    loss.backward()
    assert_close(loss.detach(), want["loss"], rtol=1e-9, atol=0)
    for part, key in zip(parts, ("embedding", "fc_weight", "fc_bias"), strict=True):
        assert_close(part.grad, want[f"grad_{key}"], rtol=1e-9, atol=1e-12)


def test_without_bias_it_is_the_papers_loss(reference):
    want = reference("virtual_softmax")
    bias = want["fc_bias"].requires_grad_()
    loss = value(want["embedding"], want["fc_weight"], bias, want["targets"])
    loss.backward()
    rows = []
    for x, y in zip(want["embedding"], want["targets"], strict=True):
        logits = [w @ x for w in want["fc_weight"]] + [want["fc_weight"][y].norm() * x.norm()]
        rows.append(F.cross_entropy(torch.stack(logits), y))
    assert_close(loss.detach(), torch.stack(rows).mean(), rtol=1e-12, atol=0)
    assert torch.equal(bias.grad, torch.zeros_like(bias))  # and not None


def test_the_virtual_class_is_never_less_than_the_true_one(reference):
    want = reference("virtual_softmax")
    true = (want["embedding"] @ want["fc_weight"].T).gather(1, want["targets"][:, None])[:, 0]
    assert (l2_norm(want["fc_weight"])[want["targets"]] * l2_norm(want["embedding"]) >= true).all()
    assert value(want["embedding"], want["fc_weight"], 0.0, want["targets"]) > torch.log(torch.tensor(2.0))


@pytest.mark.parametrize("fill", [0.0, 1e-30, 1e-8])
def test_rows_of_zeros_have_bounded_gradients(fill):
    embedding = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    weight = torch.randn(3, 6, generator=torch.Generator().manual_seed(1))
    embedding[0], weight[1] = fill, fill
    embedding.requires_grad_(), weight.requires_grad_()
    loss = value(embedding, weight, 0.0, torch.tensor([0, 1, 1, 2]))
    loss.backward()
    assert loss.isfinite()
    assert max(embedding.grad.abs().max(), weight.grad.abs().max()) < 10


@pytest.mark.parametrize("bias", [True, False])
def test_what_is_deployed_has_the_bias_that_was_trained(bias):
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, 3))
    images, labels = torch.randn(4, 3, 2, 2), torch.tensor([0, 1, 2, 0])
    teach = sd.teach(model, virtual_softmax(bias=bias), images)
    teach(images, labels).backward()
    assert (model[-1].bias.grad.abs().max() > 0) == bias
    before = model[-1].bias.detach().clone()
    assert before.abs().max() > 0
    deployed = teach.close()[-1].bias.detach()
    assert torch.equal(deployed, before if bias else torch.zeros(3))
