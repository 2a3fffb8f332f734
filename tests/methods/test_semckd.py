import pytest
import torch
from torch import nn
from torch.testing import assert_close

import selfdistill as sd
from selfdistill.errors import UserError
from selfdistill.heads import GramAttention
from selfdistill.methods import semckd
from tests.helpers.networks import CLASSES, network
from tests.helpers.random_features import build, drawn, loss
from tests.helpers.step_contexts import only

LAYERS = {"linear1": 0, "linear2": 2}


@pytest.fixture(autouse=True)
def _double(float64):
    pass


def parameters(term):
    """Our parameters by their names in the published code."""
    named = {}
    for kind, networks in (("query", term.attend.queries), ("key", term.attend.keys)):
        for k, rows in enumerate(networks):
            named |= {f"{kind}_{k}_{layer}": rows[at] for layer, at in LAYERS.items()}
    for k, convolve in enumerate(term.convolve):
        named |= {f"regressor{k // 2}{k % 2}_regressor_{at}": convolve[at] for at in (0, 1, 3, 4, 6)}
    return {f"{name}_{kind}": (layer, kind) for name, layer in named.items() for kind, _ in layer.named_parameters()}


def test_it_is_the_published_loss(reference):
    want = reference("semckd")
    own = {f"stage{k}": want[f"feat{k}"].requires_grad_() for k in (1, 2)}
    theirs = {f"stage{k}": want[f"teacher_feat{k}"] for k in (1, 2)}
    term = build(only(semckd(temperature=want["soft"].item()), "calibrated"), own, theirs)
    named = parameters(term)
    assert {*named} == {name for name in want if name.startswith(("query", "key", "regressor"))}
    for name, (layer, kind) in named.items():
        setattr(layer, kind, nn.Parameter(want[name].clone()))
    attention = term.attend([*own.values()], [*theirs.values()])
    assert_close(attention.detach(), want["attention"], rtol=1e-9, atol=0)
    found = loss(term, own, theirs)
    found.backward()
    assert_close(found.detach(), want["loss"], rtol=1e-9, atol=0)
    grads = {name: getattr(layer, kind).grad for name, (layer, kind) in named.items()}
    grads |= {f"feat{k}": own[f"stage{k}"].grad for k in (1, 2)}
    largest = max(want[f"grad_{name}"].abs().max() for name in grads).item()
    for name, grad in grads.items():
        assert_close(grad, want[f"grad_{name}"], rtol=1e-6, atol=1e-9 * largest)


def test_shares_sum_to_one_over_the_teachers_stages():
    own, theirs = drawn(3)
    term = build(only(semckd(), "calibrated"), own, theirs)
    shares = term.attend([*own.values()], [*theirs.values()])
    assert shares.shape == (8, 3, 3)
    assert_close(shares.sum(dim=2), torch.ones(8, 3))


def test_one_stage_of_the_teacher_is_regressed_by_all():
    own, theirs = drawn(3)
    alone = {"stage2": theirs["stage2"]}
    term = build(only(semckd(), "calibrated"), own, alone)
    want = sum(
        convolve.gap(each, alone["stage2"]).mean() for convolve, each in zip(term.convolve, own.values(), strict=True)
    )
    assert_close(loss(term, own, alone), want / 3)


def test_a_smaller_batch_is_one_with_rows_that_are_like_no_other():
    stages = [torch.randn(4, 6), torch.randn(4, 9)]
    attend = GramAttention(1, 1, 8, 1.0)
    absent = [torch.cat([each, torch.zeros(4, each.shape[1])]) for each in stages]
    small, whole = (attend([one], [other]) for one, other in (stages, absent))
    assert_close(small, whole[:4])


def test_a_larger_batch_than_the_example_is_refused():
    images = torch.randn(8, 3, 16, 16)
    teach = sd.teach(network(), "semckd()", images[:4], networks={"teacher": network(seed=9)})
    answer = "reads similarities of 4 examples, .*but this batch has 8; pass a whole batch as the example"
    with pytest.raises(UserError, match=answer):
        teach(images, torch.arange(8) % CLASSES)
