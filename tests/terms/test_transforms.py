import pytest
import torch

from selfdistill.errors import UserError
from selfdistill.terms.transforms import TRANSFORMS
from tests.contract.steps import images


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_transformations_differ_and_keep_the_shape(transform):
    found = [images(0), *(make(images(0)) for make in TRANSFORMS[transform])]
    assert {each.shape for each in found} == {(8, 3, 16, 16)}
    pairs = [(one, other) for k, one in enumerate(found) for other in found[:k]]
    assert not any(torch.equal(one, other) for one, other in pairs)


def test_only_squares_can_be_turned_by_a_quarter():
    with pytest.raises(UserError, match="images of 4x6 cannot be rotated by 90 degrees"):
        TRANSFORMS["rotation"][0](torch.zeros(2, 3, 4, 6))
    assert TRANSFORMS["half turn"][0](torch.zeros(2, 3, 4, 6)).shape == (2, 3, 4, 6)
