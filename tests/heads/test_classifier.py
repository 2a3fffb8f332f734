from itertools import product

import pytest
import torch
from torch import Size
from torch.testing import assert_close

from selfdistill.errors import UserError
from selfdistill.functional import global_average_pool
from selfdistill.heads import ExitHead, HalvingPool, LightHead, TokenHead, make_head
from tests.helpers.random_features import copy_to_volumes, padded, tokens

SHAPES = {
    "map": (6, 3, 4, 5),
    "signal": (6, 3, 8, 1),
    "volume": (6, 3, 2, 4, 5),
    "one position": (6, 3, 1, 1, 1),
    "tokens": (6, 8, 3),
    "vector": (6, 3),
}


@pytest.mark.parametrize("kind", SHAPES)
def test_a_head_for_every_kind_of_features(kind):
    features = tokens(0, *SHAPES[kind]).requires_grad_()
    logits = make_head(features.shape, classes=5).double()(features)
    outputs = ExitHead(features.shape, width=7, classes=5).double()(features)
    assert (logits.shape, outputs.logits.shape, outputs.embedding.shape) == ((6, 5), (6, 5), (6, 7))
    for each in (logits, outputs.logits):
        (grad,) = torch.autograd.grad(each.square().sum(), features)
        assert grad.isfinite().all()
        assert grad.abs().max() > 0 or kind == "one position"  # of a batch norm that may have closed the ReLU


def loop_light_head(head, volume):
    """The light head's logits for a volume of 4x4x4, by plain loops."""
    (_, convolve, norm, _), classify = head.embed, head.classify
    width = volume.shape[1]
    halves = torch.zeros(len(volume), width, 2, 2, 2).double()
    for b, d, t, h, w in product(*map(range, halves.shape)):
        halves[b, d, t, h, w] = sum(
            volume[b, d, 2 * t + i, 2 * h + j, 2 * w + k].item() / 8 for i, j, k in product((0, 1), repeat=3)
        )
    conv = torch.zeros(len(volume), width).double()  # 3x3x3 with stride 2 sees the whole once, from its corner
    for b, out, d, t, h, w in product(range(len(volume)), range(width), range(width), (0, 1), (0, 1), (0, 1)):
        conv[b, out] += convolve.weight[out, d, t + 1, h + 1, w + 1] * halves[b, d, t, h, w]
    variance = conv.var(dim=0, unbiased=False)
    rows = ((conv - conv.mean(dim=0)) / (variance + norm.eps).sqrt() * norm.weight + norm.bias).clamp_min(0)
    return rows @ classify.weight.T + classify.bias


def test_the_light_head_of_a_volume_is_the_plain_loop():
    volume = tokens(0, 5, 3, 4, 4, 4)
    head = LightHead(volume.shape, classes=4).double()
    assert_close(head(volume), loop_light_head(head, volume))


@pytest.mark.parametrize("make", [lambda shape: LightHead(shape, 5), lambda shape: ExitHead(shape, 7, 5)])
def test_a_signal_is_a_volume_with_two_sides_of_one(make):
    signal = tokens(0, 6, 3, 9, 1)
    head = make(signal.shape).double()
    volumes = copy_to_volumes(head, make(signal[..., None].shape).double())
    one, other = head(signal), volumes(signal[..., None])
    assert_close(*(each if isinstance(each, torch.Tensor) else each.embedding for each in (one, other)))


def test_a_vector_is_one_token():
    vector = tokens(0, 6, 3)
    head, exit_head = TokenHead(3, 5).double(), ExitHead(Size((6, 3)), 7, 5).double()
    assert_close(head(vector), head(vector[:, None]))
    assert_close(exit_head(vector).embedding, exit_head(vector[:, None]).embedding)


@pytest.mark.parametrize("make", [lambda shape: make_head(shape, 5), lambda shape: ExitHead(shape, 7, 5)])
def test_absent_tokens_change_no_logits(make):
    features = tokens(0, 6, 8, 3)
    features[2, 5:] = 0.0
    head = make(features.shape).double()
    for each in head.parameters():
        each.data.add_(0.3)  # no bias is zero
    plain, more = (
        each if isinstance(each, torch.Tensor) else each.logits for each in map(head, (features, padded(features)))
    )
    assert_close(more, plain, rtol=1e-12, atol=1e-13)
    alone = head(features[2:3, :5])
    assert_close(plain[2:3], alone if isinstance(alone, torch.Tensor) else alone.logits)


def test_ordinary_tokens_are_normed_then_averaged_as_ever():
    features, head = torch.randn(4, 197, 24), TokenHead(24, 5)
    exit_head = ExitHead(features.shape, 7, 5)
    assert torch.equal(head(features), head.classify(head.norm(features).mean(dim=1)))
    assert torch.equal(exit_head(features).embedding, exit_head.embed(features).mean(dim=1))


def test_a_token_that_the_norm_makes_zero_is_not_absent():
    features, head = torch.ones(2, 4, 3), TokenHead(3, 5)
    features[:, 0] = torch.tensor([1.0, 2.0, 4.0])
    assert torch.equal(head(features), head.classify(head.norm(features).mean(dim=1)))
    assert not torch.allclose(head(features), head.classify(global_average_pool(head.norm(features))))


def test_sides_under_four_are_not_halved():
    pool = HalvingPool()
    assert pool(torch.zeros(1, 1, 4, 6)).shape == (1, 1, 2, 3)
    assert pool(torch.zeros(1, 1, 4, 6, 4)).shape == (1, 1, 2, 3, 2)
    for shape in ((1, 1, 3, 6), (1, 1, 8, 1), (1, 1, 3, 6, 6)):
        assert pool(torch.zeros(shape)).shape == shape


@pytest.mark.parametrize(("kind", "found"), [("volume", "volumes"), ("tokens", "tokens"), ("vector", "vectors")])
def test_the_gated_head_refuses_all_but_maps(kind, found):
    with pytest.raises(UserError, match=f"needs maps, but the tap gives {found}; pass head='light'"):
        make_head(Size(SHAPES[kind]), 5, "gated")


def test_the_gated_head_refuses_a_signal_by_its_sides():
    with pytest.raises(UserError, match="the tap gives 8x1; tap a stage with even sides or pass head='light'"):
        make_head(Size(SHAPES["signal"]), 5, "gated")


@pytest.mark.parametrize("kind", SHAPES)
def test_an_unknown_head_is_refused(kind):
    with pytest.raises(UserError, match="there is no head 'heavy'; there are 'light' and 'gated'"):
        make_head(Size(SHAPES[kind]), 5, "heavy")


def test_features_of_six_dimensions_are_refused():
    with pytest.raises(UserError, match="no head reads features of 6 dimensions"):
        make_head(Size((6, 3, 2, 2, 2, 2)), 5)
