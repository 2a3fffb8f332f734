import pytest
from torch import nn

from selfdistill.errors import UserError
from selfdistill.heads.layers import layers_for


def test_volumes_have_layers_of_three_sides_and_all_others_of_two():
    assert layers_for(5).conv is nn.Conv3d
    assert {layers_for(ndim).batch_norm for ndim in (2, 3, 4)} == {nn.BatchNorm2d}


@pytest.mark.parametrize("ndim", [1, 6])
def test_other_features_are_refused(ndim):
    with pytest.raises(UserError, match=rf"no head reads features of {ndim} dimensions; tap a map \[B, D, H, W\]"):
        layers_for(ndim)
