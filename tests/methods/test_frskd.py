import pytest
import torch
from torch import nn
from torch.testing import assert_close

from selfdistill.errors import UserError
from selfdistill.methods import frskd
from selfdistill.methods.frskd import attention_map
from tests.helpers.step_contexts import build_context, only, step_context, total

EXACT = {"rtol": 1e-9, "atol": 1e-12}


class Given(nn.Module):
    """A pyramid that gives what it was given."""

    def __init__(self, refined, logits):
        super().__init__()
        self.refined, self.logits = refined, logits

    def forward(self, features, pool):
        return self.refined, self.logits


def test_it_is_the_published_loss(reference):
    """One of the maps is all zeros, and one has a single position."""
    want = reference("frskd")
    logits, taught = want["logits"].requires_grad_(), want["bifpn_logits"].requires_grad_()
    maps = [want[f"feat_{k}"].requires_grad_() for k in range(4)]
    refined = [want[f"bifpn_feat_{k}"].requires_grad_() for k in range(4)]
    made = frskd(want["alpha"].item(), want["beta"].item(), want["temperature"].item())
    term = only(made, "refinement")
    features = {f"stage{k + 1}": each for k, each in enumerate(maps)}
    term.stages, term.pyramid = list(features), Given(refined, taught)
    step = step_context(logits, want["targets"], features=features)
    loss = only(made, "task").loss(step) + total(term.loss(step))
    loss.backward()
    assert_close(loss.detach(), want["loss"], **EXACT)
    assert_close(logits.grad, want["grad_logits"], **EXACT)
    assert_close(taught.grad, want["grad_bifpn_logits"], **EXACT)
    for k in range(4):
        assert_close(maps[k].grad, want[f"grad_feat_{k}"], **EXACT)
        assert refined[k].grad is None
        assert want[f"grad_bifpn_feat_{k}"].abs().max() == 0


def test_each_part_is_the_published_one(reference):
    want = reference("frskd")
    features = {f"stage{k + 1}": want[f"feat_{k}"] for k in range(4)}
    for alpha, beta, part in ((1, 0, "loss_kd"), (0, 1, "loss_at")):
        term = only(frskd(alpha, beta), "refinement")
        term.stages = list(features)
        term.pyramid = Given([want[f"bifpn_feat_{k}"] for k in range(4)], want["bifpn_logits"])
        value = term.loss(step_context(want["logits"], want["targets"], features=features))
        assert_close(value["mimic"], want[part], **EXACT)


def test_tokens_are_positions_of_a_column():
    torch.manual_seed(0)
    tokens = {f"stage{k}": torch.randn(3, 16, 6, requires_grad=True) for k in (1, 2)}
    term = only(frskd(), "refinement")
    term.build(build_context(stage1=(3, 16, 6), stage2=(3, 16, 6), logits=(3, 5)))
    value = term.loss(step_context(torch.randn(3, 5), torch.arange(3), features=tokens))
    total(value).backward()
    assert all(each.grad.abs().max() > 0 for each in tokens.values())


def test_the_labels_of_the_pyramid_train_the_backbone_too():
    torch.manual_seed(0)
    maps = {f"stage{k}": torch.randn(4, 3, 16 // 2**k, 16 // 2**k, requires_grad=True) for k in (1, 2, 3)}
    term = only(frskd(), "refinement")
    term.build(build_context(logits=(4, 5), **{name: each.shape for name, each in maps.items()}))
    term.loss(step_context(torch.zeros(4, 5), torch.arange(4), features=maps))["learn"].backward()
    assert all(each.grad.abs().max() > 0 for each in maps.values())


@pytest.mark.parametrize("fill", [0.0, 1e-30])
def test_maps_of_zeros_stay_finite(fill):
    maps = torch.full((2, 3, 4, 4), fill, requires_grad=True)
    attention_map(maps).square().sum().backward()
    assert maps.grad.isfinite().all()


@pytest.mark.parametrize(
    "shapes", [[(4, 3, 4, 8, 8), (4, 5, 2, 4, 4)], [(4, 3, 2, 4, 4), (4, 9, 5)], [(4, 3, 4, 4), (4, 5)]]
)
def test_volumes_tokens_and_vectors_are_refined(shapes):
    torch.manual_seed(0)
    features = {f"stage{k}": torch.randn(shape, requires_grad=True) for k, shape in enumerate(shapes, start=1)}
    term = only(frskd(), "refinement")
    term.build(build_context(logits=(4, 5), **{name: each.shape for name, each in features.items()}))
    total(term.loss(step_context(torch.zeros(4, 5), torch.arange(4), features=features))).backward()
    assert all(each.grad.abs().max() > 0 for each in features.values())


def test_stages_without_positions_are_refused():
    with pytest.raises(UserError, match="no stage has any; use a model with maps"):
        only(frskd(), "refinement").build(build_context(logits=(4, 5), stage1=(4, 3), stage2=(4, 5, 1, 1)))
