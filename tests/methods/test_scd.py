import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from selfdistill.errors import UserError
from selfdistill.functional import attention, cosine_similarity
from selfdistill.methods import scd
from tests.helpers.random_features import padded, tokens
from tests.helpers.step_contexts import build_context, clock, only, step_context

SHAPES = {"stage1": (5, 4, 8, 8), "stage2": (5, 6, 4, 4), "stage3": (5, 8, 2, 2)}


def features(seed=0, dtype=torch.float64):
    draws = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=draws, dtype=dtype) for name, shape in SHAPES.items()}


def built(**options):
    term = only(scd(**{"weight": 1.0, **options}), "similarity")
    term.build(build_context(**SHAPES, logits=(5, 10)))
    return term


def value(term, maps, at=None):
    logits, labels = torch.zeros(5, 10, dtype=torch.float64), torch.arange(5)
    return term.loss(step_context(logits, labels, features=maps, clock=at or clock()))


def loop_attention(image, power, centered):
    """[D, H, W] -> a list of H·W numbers, by loops."""
    width, height, breadth = image.shape
    found = [
        sum(abs(image[d, i, j].item()) ** power for d in range(width)) for i in range(height) for j in range(breadth)
    ]
    mean = sum(found) / len(found)
    return [each - mean for each in found] if centered else found


def loop_matrix(maps, power, centered, normalised):
    rows = [loop_attention(image, power, centered) for image in maps]
    unit = [[x / math.sqrt(sum(y * y for y in row)) for x in row] for row in rows]
    alike = [[sum(a * b for a, b in zip(one, other, strict=True)) for other in unit] for one in unit]
    if normalised:
        alike = [[x / math.sqrt(sum(y * y for y in row)) for x in row] for row in alike]
    return alike


def loop_loss(maps, pairs, **options):
    total = 0.0
    for shallow, deep in pairs:
        one, other = loop_matrix(maps[shallow], **options), loop_matrix(maps[deep], **options)
        gaps = [(a - b) ** 2 for r, s in zip(one, other, strict=True) for a, b in zip(r, s, strict=True)]
        total += sum(gaps) / len(one) ** 2
    return total


ADJACENT = [("stage1", "stage2"), ("stage2", "stage3")]
TO_LAST = [("stage1", "stage3"), ("stage2", "stage3")]


@pytest.mark.parametrize("pairs", ["adjacent", "last"])
@pytest.mark.parametrize("power", [1.0, 2.0, 4.0])
@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("normalised", [False, True])
def test_loss_is_the_plain_loop(pairs, power, centered, normalised):
    maps = features()
    options = {"power": power, "centered": centered, "normalised": normalised}
    want = loop_loss(maps, ADJACENT if pairs == "adjacent" else TO_LAST, **options)
    got = value(built(pairs=pairs, **options), maps)
    assert_close(got.item(), want, rtol=1e-9, atol=0)


def test_tokens_are_positions():
    tokens = torch.randn(3, 7, 4, dtype=torch.float64)
    want = torch.tensor([[sum(x.item() ** 2 for x in token) for token in image] for image in tokens]).double()
    assert_close(attention(tokens), want, rtol=1e-6, atol=0)


@given(st.integers(0, 2**31), st.integers(2, 7), st.integers(1, 9))
@settings(max_examples=40)
def test_similarity_is_symmetric_with_unit_diagonal(seed, rows, width):
    draws = torch.Generator().manual_seed(seed)
    matrix = cosine_similarity(torch.rand(rows, width, generator=draws, dtype=torch.float64) + 1e-3)
    assert_close(matrix, matrix.T)
    assert_close(matrix.diagonal(), torch.ones(rows, dtype=torch.float64))


@given(st.integers(0, 2**31), st.floats(1e-2, 1e3), st.integers(0, 4))
@settings(max_examples=40)
def test_one_images_features_can_be_rescaled(seed, scale, row):
    maps = features(seed)
    scaled = {name: each.clone() for name, each in maps.items()}
    scaled["stage2"][row] *= scale
    assert_close(value(built(), scaled), value(built(), maps), rtol=1e-9, atol=1e-12)


@given(st.permutations(range(5)))
@settings(max_examples=20)
def test_matrix_is_permuted_with_the_batch(order):
    maps, term = features()["stage1"], built()
    assert_close(term.matrix(maps[list(order)]), term.matrix(maps)[list(order)][:, list(order)])


def test_zero_when_stages_coincide():
    same = features()["stage1"]
    assert value(built(), dict.fromkeys(SHAPES, same)).item() == 0.0


@pytest.mark.parametrize("pairs", ["adjacent", "last"])
def test_no_gradient_reaches_the_deeper_side(pairs):
    maps = {name: each.requires_grad_() for name, each in features().items()}
    value(built(pairs=pairs), maps).backward()
    assert maps["stage3"].grad is None
    assert maps["stage1"].grad.abs().max() > 0
    first_pair_only = built(pairs=pairs)
    first_pair_only.matched = first_pair_only.matched[:1]
    maps = {name: each.requires_grad_() for name, each in features().items()}
    value(first_pair_only, maps).backward()
    assert maps[first_pair_only.matched[0][1]].grad is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("fill", [0.0, 1e-30, 1e15])
def test_degenerate_rows_stay_finite(dtype, fill):
    maps = features(dtype=dtype)
    for each in maps.values():
        each[0] = fill
        each[2] = each[1]  # a duplicate
    maps = {name: each.requires_grad_() for name, each in maps.items()}
    loss = value(built(), maps)
    loss.backward()
    assert loss.isfinite()
    for each in (maps["stage1"], maps["stage2"]):
        assert each.grad.isfinite().all()
        assert each.grad.abs().max() < 1e4


def test_warmup_grows_with_the_epochs():
    term, maps = built(warmup=4), features()
    full = value(built(), maps)
    assert term.uses_progress
    assert value(term, maps, clock(epochs=20, progress=0.0)).item() == 0.0
    assert_close(value(term, maps, clock(epochs=20, progress=0.1)), full / 2)  # 2 of 4 epochs
    assert_close(value(term, maps, clock(epochs=20, progress=0.9)), full)


def test_one_stage_is_not_enough():
    with pytest.raises(UserError, match="compares stages with one another, but found 1"):
        only(scd(), "similarity").build(build_context(stage1=(2, 4, 8, 8)))


def test_gradient_check():
    term = built()
    maps = {name: each[:, :2].contiguous().requires_grad_() for name, each in features().items()}
    shallow, deep = maps["stage2"], maps["stage3"].detach()
    term.matched = [("stage2", "stage3")]
    assert torch.autograd.gradcheck(lambda f: value(term, {"stage2": f, "stage3": deep}), shallow)


def test_the_default_weight():
    assert only(scd(), "similarity").weight == 3.0


BOUNDS = [
    ({"normalised": True}, 300.0, "normalised=True"),
    ({"centered": True}, 1.0, "centered=True"),
    ({"pairs": "last"}, 2.0, "pairs='last'"),
    ({"pairs": "last", "centered": True}, 1.0, "centered=True"),
    ({"centered": True, "normalised": True}, 300.0, "normalised=True"),
]


@pytest.mark.parametrize(("options", "most", "name"), BOUNDS)
def test_options_bound_the_weight(options, most, name):
    assert only(scd(weight=most, **options), "similarity").weight == most
    with pytest.raises(
        UserError,
        match=rf"scd: with {name} weight must be {most:g} or less, but is {1.5 * most:g}; .*: pass weight={most:g}",
    ):
        scd(weight=1.5 * most, **options)


def test_without_options_any_weight_fits():
    assert only(scd(weight=1000.0), "similarity").weight == 1000.0


def test_the_default_with_an_option_says_which_weight_fits():
    with pytest.raises(UserError, match="weight must be 1 or less, but is 3"):
        scd(centered=True)


@pytest.mark.parametrize("options", [{}, {"centered": True, "weight": 1.0}])
def test_absent_tokens_change_nothing(options):
    features, term = tokens(0, 4, 8, 3), only(scd(**options), "similarity")
    features[1, 6:] = 0.0
    assert_close(term.matrix(padded(features)), term.matrix(features), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("options", [{}, {"centered": True, "weight": 1.0}])
def test_a_volume_is_its_positions_in_a_row(options):
    volume, term = tokens(0, 4, 3, 2, 4, 4), only(scd(**options), "similarity")
    assert_close(term.matrix(volume), term.matrix(volume.flatten(2)[..., None]))
