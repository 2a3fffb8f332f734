import torch

from selfdistill.functional import uniform


def draw(key, *shape):
    return uniform(torch.tensor(key), shape)


def test_numbers_are_even_and_independent():
    many = draw(3, 100_000)
    assert 0 <= many.min() < many.max() < 1
    assert abs(many.mean() - 0.5) < 0.005
    assert abs(12 * many.var() - 1) < 0.02
    counts = torch.histc(many, 20, 0, 1)
    assert (counts - 5000).abs().max() < 4 * 5000**0.5
    rows = torch.stack([many[1:], many[:-1], draw(4, 99_999), draw(3 + (1 << 32), 99_999)])
    assert (torch.corrcoef(rows) - torch.eye(4)).abs().max() < 0.02


def test_near_keys_draw_other_masks():
    masks = torch.stack([draw(key, 512) < 0.5 for key in range(200)]).double()
    apart = (masks @ masks.T + (1 - masks) @ (1 - masks).T) / 512  # share of equal entries
    assert (apart - 0.5)[~torch.eye(200, dtype=torch.bool)].abs().max() < 0.15


def test_a_larger_shape_begins_with_the_numbers_of_a_smaller_one():
    assert torch.equal(draw(9, 4, 3).flatten(), draw(9, 20)[:12])
