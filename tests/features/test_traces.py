"""Reading leaves no trace in the model, and what was found holds none of it."""

import copy
import pickle

import pytest
import torch
from torch import nn

from selfdistill.errors import UserError
from selfdistill.features import read_anatomy
from tests.helpers.classifiers import PreActNet, images, plain, tm


def test_the_anatomy_is_plain_data():
    found = read_anatomy(PreActNet(), images())
    assert pickle.loads(pickle.dumps(found)) == found
    assert len(pickle.dumps(found)) < 20_000


def test_no_draw_is_used_up():
    noisy, random = plain(nn.Dropout(), nn.Flatten(), nn.Linear(16, 4)), torch.get_rng_state()
    read_anatomy(noisy, images())
    assert torch.equal(torch.get_rng_state(), random)


def test_the_model_is_untouched():
    model = tm("levit_128s", img_size=64)
    model.stages[0].eval()
    modes = [each.training for each in model.modules()]
    state = copy.deepcopy(model.state_dict())
    read_anatomy(model, images(64))
    assert [each.training for each in model.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert not any(each._forward_hooks or each._forward_pre_hooks for each in model.modules())
    assert all(each.grad is None for each in model.parameters())
    copy.deepcopy(model)  # levit caches its attention biases: with a graph behind them, this would raise


def test_a_model_that_cannot_be_copied_says_so():
    model = plain()
    model.cache = [model[0].weight * 2]
    with pytest.raises(UserError, match=r"Sequential cannot be copied.*before its first pass.*parametrizations"):
        read_anatomy(model, images())
