import torch
from torch import nn
from torch.testing import assert_close

from selfdistill.heads import discrimination_loss


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
