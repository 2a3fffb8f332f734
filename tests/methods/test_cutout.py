import pytest
import torch

from selfdistill.data.batch import Batch
from selfdistill.methods import cutout

ROWS, HEIGHT, WIDTH = 300, 16, 12


def erased(share, height=HEIGHT, width=WIDTH):
    """Where each image of ones lost a pixel. [B, H, W]."""
    images = torch.ones(ROWS, 3, height, width)
    plain = Batch(images, torch.zeros(ROWS, dtype=torch.long))
    at = cutout(share).erasing(plain, torch.Generator().manual_seed(0))
    assert torch.equal(images, torch.ones_like(images))  # the batch that came is whole
    assert torch.equal(at.inputs[:, 0], at.inputs[:, 2])
    assert set(at.inputs.unique().tolist()) <= {0.0, 1.0}
    return at.inputs[:, 0] == 0


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_a_rectangle_of_this_side_is_erased_at_a_place_of_each_images_own(share):
    gone = erased(share)
    sides = gone.any(dim=2).sum(dim=1), gone.any(dim=1).sum(dim=1)
    assert torch.equal(gone.sum(dim=(1, 2)), sides[0] * sides[1])
    assert (sides[0].max(), sides[1].max()) == (share * HEIGHT, share * WIDTH)
    inside = (sides[0] == share * HEIGHT) & (sides[1] == share * WIDTH)
    places = (HEIGHT - share * HEIGHT + 1) * (WIDTH - share * WIDTH + 1)  # of a square that no border cuts
    assert abs(inside.float().mean() - places / (HEIGHT * WIDTH)) < 0.08
    assert len(gone.flatten(1).unique(dim=0)) > 20


def test_the_square_may_leave_half_of_itself_outside():
    gone = erased(0.5)
    rows = gone.any(dim=2).sum(dim=1)
    assert rows.min() <= HEIGHT // 4 + 1
    assert gone.float().mean(dim=0).min() > 0  # every pixel is lost now and then


def test_nothing_and_everything():
    assert not erased(0.0).any()
    assert erased(1.0).any(dim=(1, 2)).all()


def test_a_share_is_a_share():
    with pytest.raises(Exception, match="share must be a number from 0 to 1"):
        cutout(1.5)
