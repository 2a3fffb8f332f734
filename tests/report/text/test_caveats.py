"""Caveats of a study: the input of trained weights."""

from selfdistill.report.text.caveats import _input

FACTS = {"mean": [0.5], "std": [0.25]}


def test_the_usual_input_is_not_told():
    assert [*_input(FACTS)] == [*_input({**FACTS, "normalization": "data", "crop_pct": 1.0})] == []


def test_trained_weights_and_crops_are_told():
    (found,) = _input({**FACTS, "normalization": "timm/x", "crop_pct": 0.875, "interpolation": "bilinear"})
    assert found == "Test images are normalized by timm/x (mean 0.5, std 0.25); center crop: crop_pct 0.875, bilinear."
    assert "the training images" in next(_input({**FACTS, "crop_pct": 0.5}))
