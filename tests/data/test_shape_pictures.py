import math

import pytest
import torch

from selfdistill.data.shape_pictures import (
    BAND,
    MOST,
    OUTLINES,
    SHAPES,
    Outlines,
    _distances,
    _draw_outlines,
    draw_pictures,
    visible_shapes,
)


@pytest.fixture(scope="module")
def drawn():
    return draw_pictures(300, 32, seed=0)


def outline(kind, center=(0.5, 0.5), radius=0.3, angle=0.0, stretch=1.0, size=200):
    """Distances of one shape. -> [S, S]."""
    values = ([radius], [angle], [stretch])
    place = torch.tensor([[list(center)]])
    shapes = Outlines(torch.tensor([[kind]]), torch.tensor([[True]]), place, *(torch.tensor([each]) for each in values))
    return _distances(shapes, 0, size)[0]


AREAS = {  # of radius 1
    "disk": math.pi,
    "ring": math.pi * (1 - 0.5**2),
    "square": 1.7**2,
    "triangle": 3 * math.sqrt(3) * 0.55**2,
    "cross": 4 * (2 * 0.33 - 0.33**2),
    "star": math.pi * (0.7**2 + 0.3**2 / 2),
}


@pytest.mark.parametrize("name", AREAS)
@pytest.mark.parametrize(("angle", "stretch"), [(0.0, 1.0), (0.7, 1.0), (2.0, 1.3)])
def test_shapes_have_their_areas_however_they_are_turned(name, angle, stretch):
    found = outline(SHAPES.index(name), angle=angle, stretch=stretch)
    assert float((found < 0).float().mean()) == pytest.approx(stretch * AREAS[name] * 0.3**2, rel=0.02)


def test_a_crescent_is_a_disk_without_another():
    places = (torch.arange(200) + 0.5) / 200 - 0.5
    y, x = places[:, None] / 0.3, places / 0.3
    inside = (x**2 + y**2 < 1) & ((x - 0.55) ** 2 + y**2 > 0.85**2)
    assert (outline(SHAPES.index("crescent")) < 0).equal(inside)


def test_a_shape_is_at_its_center():
    rows, columns = (outline(0, center=(0.25, 0.6), radius=0.1) < 0).nonzero().double().mean(dim=0)
    assert float(rows) == pytest.approx(0.25 * 200 - 0.5)
    assert float(columns) == pytest.approx(0.6 * 200 - 0.5)


def test_distances_are_in_pixels():
    line = outline(0)[100]
    assert line[100] == pytest.approx(-60, abs=1)
    assert line[0] == pytest.approx(40, abs=1)


def test_all_classes_are_drawn_about_alike(drawn):
    _, masks = drawn
    assert sorted(masks.unique().tolist()) == [-100, *range(len(SHAPES) + 1)]
    tags = visible_shapes(masks)
    assert 1.3 < float(tags.sum(dim=1).mean()) < MOST
    assert float(tags.mean(dim=0).max() / tags.mean(dim=0).min()) < 2


def test_outlines_have_no_label_and_are_narrow(drawn):
    _, masks = drawn
    unknown = (masks == -100).float().mean()
    assert 0.05 < float(unknown) < 0.3
    known = torch.where(masks == -100, torch.nan, masks.float())
    beside = known[:, :, 1:] - known[:, :, :-1]
    assert float((beside.nan_to_num() != 0).float().mean()) < 0.005  # two classes seldom touch


def test_a_pixel_belongs_to_the_uppermost_shape():
    _, masks = draw_pictures(40, 32, seed=3)
    shapes = _draw_outlines(40, torch.Generator().manual_seed(3))
    want, open_ = torch.zeros(40, 32, 32, dtype=torch.int16), torch.ones(40, 32, 32, dtype=torch.bool)
    for layer in reversed(range(MOST)):
        distance = _distances(shapes, layer, 32)
        kind = (shapes.kind[:, layer, None, None] + 1).expand(-1, 32, 32).short()
        for here, value in ((distance.abs() < BAND, torch.full_like(kind, -100)), (distance < 0, kind)):
            want = torch.where(here & open_, value, want)
            open_ &= ~here
    assert masks.equal(want)


def test_color_hints_at_the_class_and_does_not_tell_it(drawn):
    images, masks = drawn
    inside = masks > 0
    pixels, kinds = images.permute(0, 2, 3, 1)[inside].float(), masks[inside].long()
    means = torch.stack([pixels[kinds == k].mean(dim=0) for k in range(1, len(SHAPES) + 1)])
    right = (torch.cdist(pixels, means).argmin(dim=1) + 1 == kinds).float().mean()
    assert 0.25 < float(right) < 0.75


def test_the_background_has_any_color(drawn):
    images, masks = drawn
    assert float(images.permute(0, 2, 3, 1)[masks == 0].float().std(dim=0).min()) > 50  # of 255


def test_pictures_are_drawn_by_the_seed():
    one, again, other = (draw_pictures(5, 16, seed)[0] for seed in (1, 1, 2))
    assert one.equal(again)
    assert not one.equal(other)
    assert len(OUTLINES) == len(SHAPES)
