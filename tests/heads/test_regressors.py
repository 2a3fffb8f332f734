import pytest
import torch
from torch import nn
from torch.testing import assert_close

from selfdistill.heads import GaussianRegressor, regressor
from tests.helpers.random_features import copy_to_volumes, padded, tokens

KINDS = {"map": (8, 3, 4, 4), "volume": (8, 3, 2, 4, 4), "tokens": (8, 9, 3), "vector": (8, 3)}


def test_only_without_relu_can_a_guess_be_negative():
    maps, shapes = tokens(0, 8, 3, 4, 4).float(), ((8, 3, 4, 4), (8, 5, 4, 4))
    assert regressor(*shapes)(maps).min() == 0
    assert regressor(*shapes, relu=False)(maps).min() < 0


@pytest.mark.parametrize("wanted", [(2, 4, 4), (4, 8, 8), (1, 2, 2), (2, 3, 3)])
def test_each_side_of_a_volume_becomes_the_wanted_one(wanted):
    volume = tokens(0, 8, 3, 2, 4, 4)
    fit = regressor(volume.shape, (8, 5, *wanted)).double()
    assert isinstance(fit.conv, nn.ConvTranspose3d if wanted == (4, 8, 8) else nn.Conv3d)
    assert fit(volume).shape == (8, 5, *wanted)


@pytest.mark.parametrize("wanted", [4, 8, 5])
def test_a_signal_is_a_volume_with_two_sides_of_one(wanted):
    signal = tokens(0, 6, 3, 8, 1)
    fit = regressor(signal.shape, (6, 5, wanted, 1)).double()
    volumes = copy_to_volumes(fit, regressor(signal[..., None].shape, (6, 5, wanted, 1, 1)).double())
    assert_close(volumes(signal[..., None]), fit(signal)[..., None])


@pytest.mark.parametrize("theirs", KINDS)
@pytest.mark.parametrize("own", KINDS)
def test_a_gaussian_between_any_two_kinds(own, theirs):
    student, teacher = tokens(0, *KINDS[own]).requires_grad_(), tokens(1, *KINDS[theirs])
    found = GaussianRegressor(student.shape, teacher.shape, 5.0).double()(student, teacher)
    found.backward()
    assert found.isfinite()
    assert student.grad.abs().max() > 0


def test_a_gaussian_of_volumes_is_the_plain_loop():
    student, teacher = tokens(0, 2, 3, 2, 2, 2), tokens(1, 2, 4, 2, 2, 2)
    guess = GaussianRegressor(student.shape, teacher.shape, 0.7).double()
    guess.log_scale.data.copy_(tokens(2, 4))
    layers = [each.weight.flatten(1) for each in guess.regressor if isinstance(each, nn.Conv3d)]
    variance = guess.log_scale.exp().log1p() + 1e-5
    terms = []
    for one, other in zip(student, teacher, strict=True):
        for f, t in zip(one.flatten(1).T, other.flatten(1).T, strict=True):
            mean = layers[2] @ (layers[1] @ (layers[0] @ f).relu()).relu()
            terms += [(mean[c] - t[c]) ** 2 / variance[c] / 2 + variance[c].log() / 2 for c in range(4)]
    assert_close(guess(student, teacher), sum(terms) / len(terms))


def test_absent_tokens_change_no_likelihood():
    student, teacher = tokens(0, 8, 9, 3), tokens(1, 8, 9, 4)
    student[1, 6:], teacher[1, 6:] = 0.0, 0.0
    guess = GaussianRegressor(student.shape, teacher.shape, 0.7).double()
    assert_close(guess(padded(student), padded(teacher)), guess(student, teacher), rtol=1e-12, atol=0)
    ordinary = torch.cat([student[:1], student[2:]]), torch.cat([teacher[:1], teacher[2:]])
    short = guess(student[1:2, :6], teacher[1:2, :6])
    assert_close(guess(student, teacher), (7 * guess(*ordinary) + short) / 8)
