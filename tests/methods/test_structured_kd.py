import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from selfdistill.functional import node_cosines, pairwise_gap, pooled_nodes
from selfdistill.methods import structured_kd
from selfdistill.terms import ModelOutputs
from tests.helpers.random_features import padded, tokens
from tests.helpers.step_contexts import build_context, only, step_context

EXACT = {"rtol": 1e-9, "atol": 1e-12}


@pytest.fixture(autouse=True)
def _double(float64):
    pass


def at_pixels(maps):
    return maps.movedim(1, -1).flatten(0, -2)


def losses(logits, features, teacher_logits, teacher_features, **options):
    """The two terms of pixels that are all read, and of maps of a last stage."""
    made = structured_kd(**options)
    rows = len(at_pixels(logits))
    context = step_context(
        at_pixels(logits),
        torch.zeros(rows, dtype=torch.long),
        features={"stage2": features},
        views={"teacher": ModelOutputs(at_pixels(teacher_logits), None, {"stage3": teacher_features})},
    )
    stages = build_context(stage2=features.shape, views={"teacher": {"stage3": teacher_features.shape}})
    pairs = only(made, "pairs")
    pairs.build(stages)
    return only(made, "pixels").loss(context), pairs.loss(context)


def test_they_are_the_published_losses(reference):
    want = reference("structured_kd")
    logits, features = want["logits"].requires_grad_(), want["features"].requires_grad_()
    scale = want["pool_scale"].item()
    pixels, pairs = losses(logits, features, want["teacher_logits"], want["teacher_features"], scale=scale)
    pixels = len(logits) * pixels  # the published code sums over images
    (want["lambda_pi"] * pixels + want["lambda_pa"] * pairs).backward()
    assert_close(pixels.detach(), want["pixelwise"], **EXACT)
    assert_close(pairs.detach(), want["pairwise"], **EXACT)
    assert_close(logits.grad, want["grad_logits"], **EXACT)
    assert_close(features.grad, want["grad_features"], **EXACT)


def loop_over_pairs(own, theirs, scale):
    """The squared differences of cosines, pair by pair of windows, of which the last in a row may be cut."""

    def nodes(maps):
        height, width = (max(1, int(scale * side)) for side in maps.shape[1:])
        starts = [(y, x) for y in range(0, maps.shape[1], height) for x in range(0, maps.shape[2], width)]
        return [maps[:, y : y + height, x : x + width].amax(dim=(1, 2)) for y, x in starts]

    total = 0.0
    for one, other in zip(own, theirs, strict=True):
        pairs = [(i, j) for i in range(len(nodes(one))) for j in range(len(nodes(one)))]
        gaps = [(cosine(nodes(one), i, j) - cosine(nodes(other), i, j)) ** 2 for i, j in pairs]
        total += sum(gaps) / len(gaps) / len(own)
    return total


def cosine(nodes, i, j):
    return F.cosine_similarity(nodes[i], nodes[j], dim=0)


@pytest.mark.parametrize(("size", "scale"), [((4, 6), 0.5), ((5, 7), 0.5), ((5, 7), 0.3), ((3, 3), 0.0)])
def test_it_is_the_loop_over_pairs_of_windows(size, scale):
    own, theirs = tokens(0, 2, 4, *size), tokens(1, 2, 3, *size)
    assert_close(pairwise_gap(own, theirs, scale), loop_over_pairs(own, theirs, scale), rtol=1e-6, atol=1e-9)


def test_alike_features_have_no_gap_and_scales_cancel():
    maps = tokens(0, 2, 4, 6, 6)
    assert pairwise_gap(maps, maps, 0.5) == 0
    assert_close(pairwise_gap(100 * maps, maps, 0.5), torch.zeros(()), rtol=0, atol=1e-12)
    assert pairwise_gap(maps, tokens(1, 2, 4, 6, 6), 0.5) > 0


def test_the_pixels_cost_the_teachers_entropy_at_least():
    logits, theirs = tokens(0, 1, 3, 2, 2), tokens(1, 1, 3, 2, 2)
    maps = tokens(2, 1, 4, 4, 4)
    entropy = torch.distributions.Categorical(logits=at_pixels(theirs)).entropy().mean()
    assert_close(losses(theirs, maps, theirs, maps)[0], entropy)
    assert losses(logits, maps, theirs, maps)[0] > entropy


def test_the_lengths_of_nodes_have_no_gradient():
    nodes = tokens(0, 1, 3, 2).requires_grad_()
    node_cosines(nodes)[0, 0, 0].backward()  # the cosine with itself is 1 always
    assert_close(nodes.grad[0, :, 0], 2 * nodes.detach()[0, :, 0] / nodes.detach()[0, :, 0].square().sum())


def test_nodes_of_zeros_are_far_from_all_and_finite():
    nodes = torch.zeros(1, 3, 2, requires_grad=True)
    found = node_cosines(nodes)
    found.sum().backward()
    assert not found.any()
    assert nodes.grad.isfinite().all()


def test_tokens_are_nodes_and_absent_ones_do_not_count():
    own, theirs = tokens(0, 2, 5, 3), tokens(1, 2, 5, 4)
    assert_close(pairwise_gap(padded(own), padded(theirs), 0.5), pairwise_gap(own, theirs, 0.5))
    assert_close(pairwise_gap(own, theirs, 0.5), pairwise_gap(own, theirs, 0.1))
    as_windows = pairwise_gap(own.transpose(1, 2)[..., None], theirs.transpose(1, 2)[..., None], 0.0)
    assert_close(pairwise_gap(own, theirs, 0.5), as_windows)


def test_volumes_have_windows_too():
    assert pooled_nodes(tokens(0, 2, 3, 4, 6, 5), 0.5).shape == (2, 3, 2 * 2 * 3)


def test_only_the_last_stages_are_compared():
    term = only(structured_kd(), "pairs")
    deep = {"stage1": (2, 4, 8, 8), "stage2": (2, 8, 4, 4)}
    term.build(build_context(**deep, views={"teacher": {"stage1": (2, 4, 8, 8), "stage2": (2, 16, 4, 4)}}))
    assert term.matched == [("stage2", "stage2")]
    assert structured_kd(pixels=3.0).weights == {"task": 1.0, "pixels": 3.0, "pairs": 0.5}
