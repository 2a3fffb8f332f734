import pytest
import torch
from torch import Size, nn
from torch.testing import assert_close

from selfdistill.functional import as_map
from selfdistill.heads import AttentiveFusion, JoinedMaps, attentive_fusions
from tests.helpers.random_features import copy_to_volumes, tokens

EXACT = {"rtol": 1e-9, "atol": 1e-13}


def test_a_fusion_is_the_published_module(reference):
    want = reference("reviewkd_abf")
    own, deeper = want["x"].requires_grad_(), want["y"].requires_grad_()
    fusion = AttentiveFusion(5, 6, 4, fuse=True).double()
    named = {name.replace(".", "_"): name for name in fusion.state_dict()}
    given = {named[key.removeprefix("param_")]: each for key, each in want.items() if key.startswith("param_")}
    assert not fusion.load_state_dict(given, strict=False).unexpected_keys
    guess, residual = fusion(own, deeper, (4, 4))
    (guess * want["probe_weight"]).sum().backward()
    assert_close(guess.detach(), want["out_feature"], **EXACT)
    assert_close(residual.detach(), want["residual"], **EXACT)
    assert_close(own.grad, want["grad_x"], **EXACT)
    assert_close(deeper.grad, want["grad_y"], **EXACT)


def test_a_signal_is_a_volume_with_two_sides_of_one():
    fusion = AttentiveFusion(5, 6, 4, fuse=True).double()
    volumes = copy_to_volumes(fusion, AttentiveFusion(5, 6, 4, fuse=True, ndim=5).double())
    own, deeper = tokens(0, 3, 5, 8, 1), tokens(1, 3, 6, 4, 1)
    want, found = fusion(own, deeper, (16, 1)), volumes(own[..., None], deeper[..., None], (16, 1, 1))
    for one, other in zip(found, want, strict=True):
        assert_close(one, other[..., None])


def test_levels_are_fused_as_volumes_where_one_pair_is_of_volumes():
    level = ((8, 3, 2, 4, 4), (8, 5, 2, 4, 4)), ((8, 4, 9), (8, 6, 9)), ((8, 7), (8, 9))
    fusions = attentive_fusions([tuple(map(Size, pair)) for pair in level], 512)
    assert {type(each.conv1[0]) for each in fusions} == {nn.Conv3d}
    assert [each.conv1[0].weight.shape[:2] for each in fusions] == [(7, 3), (7, 9), (7, 7)]
    assert [each.conv2[0].out_channels for each in fusions] == [5, 9, 9]
    assert [each.att_conv is None for each in fusions] == [False, False, True]


def test_unlike_kinds_are_fused_as_columns():
    (fusion,) = attentive_fusions([(Size((8, 3, 2, 4, 4)), Size((8, 9, 5)))], 512)
    assert isinstance(fusion.conv1[0], nn.Conv2d)


@pytest.mark.parametrize("shape", [(6, 3, 4, 4), (6, 3, 2, 4, 4), (6, 8, 3), (6, 3)])
def test_features_of_one_shape_are_joined(shape):
    features = [tokens(seed, *shape) for seed in range(2)]
    join = JoinedMaps(2, Size(shape), classes=5).double()
    assert join(features).shape == (6, 5)
    joined = torch.cat([as_map(each) for each in features], dim=1)
    convolve, norm, relu, _, classify = join
    pooled = relu(norm(convolve(joined))).flatten(2).mean(dim=2)
    assert_close(join(features), classify(pooled))
