"""Attention maps: sums of squares by hand, stretched over the image."""

import numpy as np
import pytest
import torch

from selfdistill.errors import UserError
from selfdistill.plots.attention import attention_maps, cell_side, draw_attention, mosaic, overlaid
from tests.helpers.figures import draws, images


def test_squares_summed_over_channels_by_hand():
    maps = torch.randn(2, 3, 4, 4, generator=draws())
    found = attention_maps({"stage1": maps}, 4)["stage1"]
    for image, strength in zip(maps.tolist(), found, strict=True):
        by_hand = np.array([[sum(channel[y][x] ** 2 for channel in image) for x in range(4)] for y in range(4)])
        np.testing.assert_allclose(strength, (by_hand - by_hand.min()) / (by_hand.max() - by_hand.min()), atol=1e-6)


def test_a_map_is_stretched_over_the_image():
    maps = torch.zeros(1, 2, 2, 2)
    maps[0, :, 0, 1] = 3.0
    found = attention_maps({"stage1": maps}, 8)["stage1"][0]
    assert found.shape == (8, 8)
    assert found[0, 7] == 1
    assert found[7, 0] == 0
    assert np.unravel_index(found.argmax(), found.shape) == (0, 6)


def test_tokens_lie_in_a_square_behind_those_of_no_place():
    tokens = torch.zeros(1, 1 + 9, 5)
    tokens[0, 0], tokens[0, 1 + 3] = 100.0, 1.0  # the class's; row 1, column 0
    found = attention_maps({"stage1": tokens}, 3)["stage1"][0]
    assert np.argwhere(found == 1).tolist() == [[1, 0]]


def test_what_shows_no_place():
    assert attention_maps({"stage1": torch.ones(1, 2, 4, 4), "stage2": torch.ones(1, 2, 1, 1)}, 4).keys() == {"stage1"}
    assert not attention_maps({"even": torch.ones(1, 2, 4, 4)}, 4)["even"].any()
    with pytest.raises(UserError, match="stage4 has a single position, so there is no attention map"):
        attention_maps({"stage4": torch.ones(2, 3, 1, 1)}, 4)
    with pytest.raises(UserError, match="the 8 tokens of stage1 form no square; tap a stage with a feature map"):
        attention_maps({"stage1": torch.ones(1, 8, 4)}, 4)


def test_the_image_shines_through():
    pictures = images(1).images
    grey = pictures[0].double().mean(dim=0).numpy() / 255
    even = overlaid(pictures, np.zeros((1, 8, 8)))[0]
    np.testing.assert_allclose(even - even[:1, :1], 0.35 * (grey - grey[0, 0])[..., None] * np.ones(3), atol=1e-12)


def test_cells_of_a_mosaic():
    cells = np.arange(4).reshape(2, 2, 1, 1, 1) * np.ones((2, 2, 5, 5, 3))
    sheet = mosaic(cells)
    assert sheet.shape == (12, 12, 4)
    assert [sheet[2, 2, 0], sheet[2, 9, 0], sheet[9, 2, 0], sheet[9, 9, 0]] == [0, 1, 2, 3]
    assert not sheet[5:7, :, 3].any()


@pytest.mark.parametrize(("size", "cell"), [(8, 32), (32, 32), (20, 40), (64, 64)])
def test_a_cell_is_a_whole_multiple(size, cell):
    assert cell_side(torch.zeros(1, 3, size, size)) == cell


def test_the_picture_shows_each_method_over_the_same_images():
    pictures = images(3).images
    features = {"stage1": torch.randn(3, 2, 4, 4, generator=draws()), "stage2": torch.randn(3, 2, 2, 2)}
    found = attention_maps(features, 32)
    figure = draw_attention(pictures, {"ce()": found, "scd()": found}, ["cat", "dog", "emu"])
    for each in figure.axes:
        assert each.images[0].get_array().shape == (3 * 34 - 2, 3 * 34 - 2, 4)
        assert [label.get_text() for label in each.get_xticklabels()] == ["image", "stage1", "stage2"]
        assert [label.get_text() for label in each.get_yticklabels()] == ["cat", "dog", "emu"]
