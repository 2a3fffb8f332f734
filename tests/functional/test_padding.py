import pytest
import torch
from torch.testing import assert_close

from selfdistill.functional import (
    attention,
    center_attention,
    cosine_similarity,
    global_average_pool,
    gram,
    keep_absent,
    present,
    present_share,
)
from tests.helpers.random_features import padded, tokens


def ragged():
    """Three rows of five tokens, of which five, two and none are present."""
    drawn = tokens(0, 3, 5, 4)
    drawn[1, 2:], drawn[2] = 0.0, 0.0
    return drawn


def test_a_token_of_zeros_is_absent():
    assert present(ragged()).squeeze(2).sum(dim=1).tolist() == [5, 2, 0]
    assert present(ragged()).shape == (3, 5, 1)
    assert_close(present_share(ragged()).flatten(), torch.tensor([1.0, 0.4, 0.2]).double())


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 2, 2), (3, 4, 2, 2, 2)])
def test_other_features_are_all_present(shape):
    assert present_share(torch.zeros(shape)).tolist() == [[1.0]] * 3
    assert keep_absent(torch.ones(shape), torch.zeros(shape)).min() == 1


def test_values_of_absent_tokens_are_zeros_and_pass_no_gradient():
    source, values = ragged(), tokens(1, 3, 5, 2).requires_grad_()
    kept = keep_absent(values, source)
    kept.sum().backward()
    for b in range(3):
        for n in range(5):
            there = bool((source[b, n] != 0).any())
            assert torch.equal(kept[b, n], values[b, n] if there else torch.zeros(2).double())
            assert torch.equal(values.grad[b, n], torch.full((2,), float(there)).double())


def test_the_mean_is_over_the_tokens_present():
    features, values = ragged(), tokens(1, 3, 5, 2)
    assert_close(global_average_pool(features)[1], features[1, :2].mean(dim=0))
    assert global_average_pool(features)[2].tolist() == [0.0] * 4
    assert_close(global_average_pool(values, source=features)[1], values[1, :2].mean(dim=0))
    assert global_average_pool(values, source=features)[2].tolist() == [0.0] * 2


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_ordinary_tokens_have_their_plain_mean(dtype):
    features, same = (torch.randn(4, 301, 7).to(dtype).requires_grad_() for _ in range(2))
    same.data.copy_(features.data)
    for one in (global_average_pool(features), global_average_pool(features, source=features.detach())):
        other = same.mean(dim=1)
        assert torch.equal(one, other)
        found, want = torch.autograd.grad(one.square().sum(), features), torch.autograd.grad(other.square().sum(), same)
        assert torch.equal(found[0], want[0])


def test_a_token_made_zero_by_a_layer_still_counts():
    source = ragged()
    made = torch.zeros(3, 5, 2).double()
    made[0, 0] = 5.0
    assert_close(global_average_pool(made, source=source)[0], torch.ones(2).double())


PIECES = {
    "pool": global_average_pool,
    "gram": gram,
    "similarity": lambda each: cosine_similarity(attention(each)),
    "centered": lambda each: cosine_similarity(center_attention(attention(each), each)),
}


@pytest.mark.parametrize("piece", PIECES)
def test_absent_tokens_change_nothing(piece):
    features = ragged()
    assert_close(PIECES[piece](padded(features)), PIECES[piece](features), rtol=1e-12, atol=1e-14)


def test_absent_tokens_get_no_attention():
    assert attention(padded(ragged()))[:, 5:].abs().max() == 0
    assert center_attention(attention(padded(ragged())), padded(ragged()))[:, 5:].abs().max() == 0
