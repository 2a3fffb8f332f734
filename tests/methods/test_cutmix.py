import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from selfdistill.data.batch import Batch
from selfdistill.methods import cutmix
from tests.helpers.step_contexts import only, step_context

ROWS, HEIGHT, WIDTH = 6, 32, 24


def batch():
    """Images of one value each, their row's number."""
    images = torch.arange(1.0, ROWS + 1)[:, None, None, None].expand(ROWS, 3, HEIGHT, WIDTH).clone()
    return Batch(images, torch.tensor([0, 1, 2, 3, 0, 1]))


def drawn(seed, **options):
    return cutmix(**{"chance": 1.0} | options).mixing(batch(), torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("seed", range(8))
def test_a_rectangle_of_the_partner_is_pasted(seed):
    at = drawn(seed)
    plain, region = batch().inputs, at.mix.region
    for b in range(ROWS):
        other = at.mix.partners[b, 1]
        for y in range(HEIGHT):
            for x in range(0, WIDTH, 5):
                assert at.inputs[b, 0, y, x] == plain[b if region[y, x] else other, 0, y, x]
    gone = ~region
    rows, columns = gone.any(dim=1), gone.any(dim=0)
    assert torch.equal(gone, rows[:, None] & columns[None, :])  # a product of two stretches
    for stretch in (rows, columns):
        assert (stretch.int().diff() == 1).sum() <= 1
        assert (stretch.int().diff() == -1).sum() <= 1


@pytest.mark.parametrize("seed", range(8))
def test_shares_are_the_areas(seed):
    at = drawn(seed)
    area = sum(not kept for row in at.mix.region.tolist() for kept in row) / (HEIGHT * WIDTH)
    assert_close(at.mix.shares, torch.tensor([[1 - area, area]]).expand(ROWS, 2))
    logits = torch.randn(ROWS, 4, generator=torch.Generator().manual_seed(seed))
    got = only(cutmix(), "task").loss(step_context(logits, at.labels, mix=at.mix))
    partner = at.labels[at.mix.partners[:, 1]]
    want = (1 - area) * F.cross_entropy(logits, at.labels) + area * F.cross_entropy(logits, partner)
    assert_close(got, want)


def test_a_rectangle_that_is_not_cut_is_as_large_as_the_share_drawn():
    whole = 0
    for seed in range(200):
        mixing, draws = cutmix(chance=1.0).mixing, torch.Generator().manual_seed(seed)
        share = mixing._shares(1, torch.Generator().manual_seed(seed))[0, 1].item()
        mix = mixing.draw(batch().inputs.shape, draws)
        area = mix.shares[0, 1].item()
        gone = ~mix.region
        sides = gone.any(dim=1).sum().item(), gone.any(dim=0).sum().item()
        wanted = round(HEIGHT * share**0.5), round(WIDTH * share**0.5)
        assert sides[0] <= wanted[0]
        assert sides[1] <= wanted[1]
        if sides == wanted:
            whole += 1
            assert area == pytest.approx(share, abs=(HEIGHT + WIDTH) / (HEIGHT * WIDTH))
    assert 20 < whole < 180


def test_a_batch_is_left_whole_as_often_as_asked():
    left = [torch.equal(drawn(seed, chance=0.5).inputs, batch().inputs) for seed in range(300)]
    assert 110 < sum(left) < 190
    at = next(drawn(seed, chance=0.5) for seed in range(300) if left[seed])
    assert_close(at.mix.shares, torch.tensor([[1.0, 0.0]]).expand(ROWS, 2))
    assert cutmix().mixing.chance == 0.5


def test_never_is_cross_entropy():
    at = drawn(0, chance=0.0)
    assert torch.equal(at.inputs, batch().inputs)
    logits = torch.randn(ROWS, 4)
    assert_close(
        only(cutmix(), "task").loss(step_context(logits, at.labels, mix=at.mix)), F.cross_entropy(logits, at.labels)
    )
