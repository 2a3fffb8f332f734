import pytest
import torch
from torch import nn
from torch.testing import assert_close

from selfdistill.functional import as_map
from selfdistill.heads import MapAlignment, discrimination_loss
from selfdistill.heads.discriminator import discriminator
from tests.helpers.random_features import padded, tokens


def test_an_adversarial_judge_learns_what_the_features_undo():
    judge = nn.Linear(4, 2)
    mixes, mixture = torch.randn(3, 4, 2, 2, requires_grad=True), torch.randn(3, 4, 2, 2)
    judged = {}
    for adversarial in (True, False):
        judge.zero_grad()
        value = discrimination_loss(judge, mixes, mixture, adversarial)
        (grad,) = torch.autograd.grad(value, mixes, retain_graph=True)
        value.backward()
        judged[adversarial] = value.detach(), grad, judge.weight.grad.clone()
    assert_close(judged[True][0], judged[False][0])
    assert_close(judged[True][1], -judged[False][1])
    assert_close(judged[True][2], judged[False][2])


@pytest.mark.parametrize("shape", [(4, 3, 2, 2), (4, 3, 2, 2, 2), (4, 8, 3), (4, 3)])
def test_features_of_every_kind_are_aligned_by_their_means(shape):
    ones, others = (tokens(seed, *shape) for seed in range(2))
    align = MapAlignment(1, 3, gap=0.0, discrimination=1.0, adversarial=False).double()
    means = [as_map(each).flatten(2).mean(dim=2) for each in (ones, others)]
    targets = torch.eye(2).double().repeat_interleave(4, dim=0)
    want = nn.functional.binary_cross_entropy_with_logits(align[0](torch.cat(means)), targets)
    assert_close(align([ones], [others]), want)


def test_absent_tokens_change_nothing():
    one, other = tokens(0, 4, 8, 3), tokens(1, 4, 8, 3)
    one[0, 5:], other[0, 5:] = 0.0, 0.0
    judge = discriminator(3).double()
    plain = discrimination_loss(judge, one, other, adversarial=False)
    assert_close(discrimination_loss(judge, padded(one), padded(other), adversarial=False), plain)
