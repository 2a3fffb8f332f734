import pytest
import torch
from torch import Size
from torch.testing import assert_close

from selfdistill.functional import (
    as_map,
    as_maps_of_one_size,
    as_matching_maps,
    attention,
    channels,
    global_average_pool,
    has_positions,
    match_ndim,
    resize,
    resized_attention,
)
from tests.helpers.random_features import padded, tokens

SHAPES = {"map": (2, 3, 4, 5), "signal": (2, 3, 8, 1), "volume": (2, 3, 2, 4, 5), "tokens": (2, 8, 3), "vector": (2, 3)}


def positions(features):
    """Each row's positions, channel by channel. -> B lists of P lists of D."""
    return [each.flatten(1).T.tolist() for each in as_map(features)]


def test_tokens_are_pooled_as_maps_are():
    maps = torch.randn(2, 3, 4, 5)
    assert_close(global_average_pool(maps), global_average_pool(maps.flatten(2).transpose(1, 2)))


@pytest.mark.parametrize("kind", SHAPES)
def test_every_kind_has_channels_and_a_map(kind):
    assert channels(Size(SHAPES[kind])) == 3
    assert as_map(tokens(0, *SHAPES[kind])).shape[:2] == (2, 3)


@pytest.mark.parametrize("kind", SHAPES)
def test_the_mean_over_positions_is_the_plain_loop(kind):
    features = tokens(0, *SHAPES[kind])
    want = [[sum(column) / len(row) for column in zip(*row, strict=True)] for row in positions(features)]
    assert_close(global_average_pool(features), torch.tensor(want).double())


@pytest.mark.parametrize("power", [1.0, 2.0, 3.5])
@pytest.mark.parametrize("kind", SHAPES)
def test_attention_is_the_plain_loop(kind, power):
    features = tokens(0, *SHAPES[kind])
    want = [[sum(abs(f) ** power for f in position) for position in row] for row in positions(features)]
    assert_close(attention(features, power), torch.tensor(want).double())


def test_a_vector_is_its_own_mean_and_a_map_of_one_position():
    vector = tokens(0, 2, 3)
    assert global_average_pool(vector) is vector
    assert torch.equal(as_map(vector), vector.view(2, 3, 1, 1))


FOUND = {
    (8, 4, 2, 2): True,
    (8, 4, 4, 1): True,
    (8, 4, 3, 1): False,
    (8, 4, 1, 2, 2): True,
    (8, 4, 1, 3, 1): False,
    (8, 2, 4): True,
    (8, 1, 4): False,
    (8, 400): False,
}


@pytest.mark.parametrize("shape", FOUND)
def test_positions_to_compare(shape):
    assert has_positions(Size(shape)) == FOUND[shape]


@pytest.mark.parametrize("theirs", SHAPES)
@pytest.mark.parametrize("own", SHAPES)
def test_any_two_kinds_make_maps_of_one_size(own, theirs):
    one, other = as_maps_of_one_size(tokens(0, *SHAPES[own]), tokens(1, *SHAPES[theirs]))
    assert one.shape == other.shape
    assert one.dim() == (5 if own == theirs == "volume" else 4)


def test_volumes_shrink_to_the_smaller_side_each():
    one, other = as_maps_of_one_size(tokens(0, 2, 3, 2, 8, 4), tokens(1, 2, 5, 4, 4, 4))
    assert (one.shape, other.shape) == ((2, 3, 2, 4, 4), (2, 5, 2, 4, 4))
    assert_close(other[:, :, 0], tokens(1, 2, 5, 4, 4, 4)[:, :, :2].mean(dim=2))


def test_positions_keep_their_order_where_a_volume_meets_tokens():
    volume = tokens(0, 2, 3, 2, 4, 5)
    one, other = as_matching_maps(volume, tokens(1, 2, 7, 6))
    assert torch.equal(one, volume.reshape(2, 3, 40, 1))
    assert other.shape == (2, 6, 7, 1)


def test_features_of_several_kinds_become_volumes_beside_a_volume():
    made = match_ndim([tokens(k, *shape) for k, shape in enumerate(SHAPES.values())])
    assert [each.shape[2:] for each in made] == [(4, 5, 1), (8, 1, 1), (2, 4, 5), (8, 1, 1), (1, 1, 1)]
    assert [each.dim() for each in match_ndim([tokens(0, 2, 3), tokens(0, 2, 8, 3)])] == [4, 4]


@pytest.mark.parametrize("before", [False, True])
def test_resized_attention_of_a_volume_is_the_plain_loop(before):
    volume, size = tokens(0, 2, 3, 2, 4, 4), (4, 2, 3)
    resized = resize(volume, size) if before else resize(volume.square().sum(dim=1, keepdim=True), size)
    for row, found in zip(resized, resized_attention(volume, size, before), strict=True):
        places = row.flatten(1).T.tolist()
        powers = [sum(f * f for f in place) / 3 if before else place[0] for place in places]
        whole = torch.tensor(powers).exp().sum().item()
        want = [torch.tensor(each).exp().item() / whole for each in powers]
        assert_close(found, torch.tensor(want).double(), rtol=1e-5, atol=1e-7)  # exp in float32


def test_padded_positions_take_no_share_of_the_attention():
    features = tokens(0, 2, 8, 3)
    plain, more = (as_map(each) for each in (features, padded(features)))
    found = resized_attention(more, more.shape[2:], padded=True)
    assert_close(found[:, :8], resized_attention(plain, plain.shape[2:]))
    assert found[:, 8:].abs().max() == 0
    assert torch.equal(resized_attention(plain, (8, 1), padded=True), resized_attention(plain, (8, 1)))
    nothing = resized_attention(torch.zeros(1, 3, 4, 1), (4, 1), padded=True)
    assert nothing.tolist() == [[0.25] * 4]


def test_a_position_of_zeros_in_a_map_is_not_absent():
    maps = torch.zeros(1, 3, 2, 2)
    maps[0, :, 0, 0] = 1.0
    assert resized_attention(maps, (2, 2)).min() > 0
    assert global_average_pool(maps).tolist() == [[0.25] * 3]
