import torch
from torch import nn

from selfdistill.train.persist.best import Best


def network(value):
    made = nn.Linear(1, 1)
    nn.init.constant_(made.weight, value)
    return made


def test_the_first_of_the_best_is_kept():
    best = Best()
    for epoch, top1 in enumerate([10.0, 30.0, 30.0, 20.0], 1):
        best.offer(epoch, top1, network(float(epoch)))
    assert (best.epoch, best.score, best.weights["weight"].item()) == (2, 30.0, 2.0)


def test_an_epoch_that_got_nothing_right_is_better_than_none():
    best = Best()
    best.offer(1, 0.0, network(1.0))
    assert best.epoch == 1


def test_what_is_kept_does_not_change_with_the_network():
    best, trained = Best(), network(1.0)
    best.offer(1, 10.0, trained)
    with torch.no_grad():
        trained.weight.fill_(7)
    assert best.weights["weight"].item() == 1.0
    again = Best()
    again.load_state_dict(best.state_dict())
    assert again.state_dict() == best.state_dict()
