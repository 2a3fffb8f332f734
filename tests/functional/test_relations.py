import math

import torch
from torch.testing import assert_close

from selfdistill.functional import angles, distances, gaussian_kernel, gram, neighbor_probabilities, offsets
from tests.helpers.random_features import tokens


def test_angles_and_distances_are_what_geometry_says():
    corners = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]]).double()
    cosines, lengths = angles(offsets(corners)), distances(offsets(corners))
    assert_close(cosines[0, 1, 2].item(), 0.0)
    assert_close(cosines[1, 0, 2].item(), 3 / 5)
    assert_close(cosines[2, 0, 1].item(), 4 / 5)
    assert_close(lengths, torch.tensor([[0.0, 3, 4], [3, 0, 5], [4, 5, 0]]).double() / 4)


def test_shares_are_the_plain_loop():
    rows = tokens(0, 4, 3)
    for i, row in enumerate(rows):
        close = [(1 + (row @ each).item() / (row.norm() * each.norm()).item()) / 2 for each in rows]
        assert_close(neighbor_probabilities(rows)[i], torch.tensor([x / sum(close) for x in close]).double())


def test_the_series_is_near_the_gaussian():
    rows = tokens(0, 5, 4)
    unit = rows / rows.norm(dim=1, keepdim=True)
    want = torch.tensor([[math.exp(-0.4 * (a - b).square().sum().item()) for a in unit] for b in unit]).double()
    assert_close(gaussian_kernel(rows, 0.4, order=30), want)
    assert (gaussian_kernel(rows, 0.4) - want).abs().max() < 0.05


def test_an_image_of_zeros_is_like_no_other():
    own = tokens(0, 6, 4, 4, 4).index_fill(0, torch.tensor([3]), 0.0)
    matrix = gram(own)
    assert matrix[3].abs().max() == 0
    assert_close(matrix[:3].norm(dim=1), torch.ones(3, dtype=torch.float64))
