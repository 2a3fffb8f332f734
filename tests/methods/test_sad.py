import numpy as np
import pytest
import torch
from torch.testing import assert_close

from selfdistill.errors import UserError
from selfdistill.methods import sad
from tests.helpers.random_features import padded, tokens
from tests.helpers.step_contexts import build_context, clock, only, step_context

EXACT = {"rtol": 1e-9, "atol": 1e-15}
SHAPES = {
    "stage1": (8, 6, 16, 16),
    "stage2": (8, 8, 8, 8),
    "stage3": (8, 10, 4, 4),
    "stage4": (8, 12, 2, 2),
}


def drawn(want):
    """The stages that the reference has: one stream, scaled."""
    stream = want["scale"].item() * torch.from_numpy(np.random.RandomState(int(want["seed"])).randn(20000))
    sizes = [int(np.prod(shape)) for shape in SHAPES.values()]
    cut = stream[: sum(sizes)].split(sizes)
    return {
        name: each.reshape(shape).clone().requires_grad_()
        for (name, shape), each in zip(SHAPES.items(), cut, strict=True)
    }


def built(stages, **options):
    term = only(sad(**options), "next_attention")
    term.build(build_context(**{name: tuple(each.shape) for name, each in stages.items()}))
    return term


def value(term, stages, at=None):
    rows = len(next(iter(stages.values())))
    logits = torch.zeros(rows, 3, dtype=torch.float64)
    return term.loss(step_context(logits, torch.zeros(rows).long(), features=stages, clock=at or clock()))


def test_the_librarys_form_is_the_published_loss(reference):
    want = reference("sad_selfkdlib")
    stages = drawn(want)
    term = built(stages, form="lib", weight=want["weight"].item())
    loss = term.weight * value(term, stages)
    loss.backward()
    assert_close(loss.detach(), want["loss_div"], **EXACT)
    for each, (own, deep) in zip(want["per_pair_unweighted"], term.matched, strict=True):
        assert_close(term.compare(stages[own], stages[deep]).detach(), each, **EXACT)
    assert_close(stages["stage1"].grad[::2, ::3], want["grad_feat1_of_every_3rd_channel_of_every_2nd_row"], **EXACT)
    assert_close(stages["stage2"].grad[:, ::2], want["grad_feat2_of_every_2nd_channel"], **EXACT)
    assert_close(stages["stage3"].grad, want["grad_feat3"], **EXACT)
    assert stages["stage4"].grad is None
    assert want["grad_feat4"].abs().max() == 0


def middle(low, high, share):
    return low + (high - low) * share


def loop_twice(grid):
    """A square list of lists at twice its sides, bilinear, without aligned corners."""
    n = len(grid)

    def at(i, j):
        (i0, si), (j0, sj) = ((int(x), x - int(x)) for x in (max(0.0, k / 2 - 0.25) for k in (i, j)))
        i1, j1 = min(i0 + 1, n - 1), min(j0 + 1, n - 1)
        return middle(middle(grid[i0][j0], grid[i0][j1], sj), middle(grid[i1][j0], grid[i1][j1], sj), si)

    return [[at(i, j) for j in range(2 * n)] for i in range(2 * n)]


def loop_share(grid):
    found = [np.exp(x) for row in grid for x in row]
    return [x / sum(found) for x in found]


def test_the_papers_form_is_the_plain_loop():
    own, deep = 0.5 * tokens(0, 3, 2, 4, 4), 0.5 * tokens(1, 3, 5, 2, 2)
    want = 0.0
    for one, other in zip(own, deep, strict=True):
        first = loop_share(one.square().sum(dim=0).tolist())
        second = loop_share(loop_twice(other.square().sum(dim=0).tolist()))
        want += sum((a - b) ** 2 for a, b in zip(first, second, strict=True)) / 16 / 3
    assert_close(only(sad(), "next_attention").compare(own, deep).item(), want, rtol=1e-9, atol=0)


def test_stages_pair_with_the_next_and_one_position_is_left_out():
    stages = {"stage1": tokens(0, 2, 3, 4, 4), "stage2": tokens(1, 2, 3, 2, 2), "stage3": tokens(2, 2, 3, 1, 1)}
    assert built(stages).matched == [("stage1", "stage2")]
    with pytest.raises(UserError, match="found 1 of 2x2 positions or more"):
        built({"stage1": stages["stage1"], "stage3": stages["stage3"]})


def test_detached_unless_asked_otherwise():
    stages = {f"stage{k}": tokens(k, 2, 3, 4, 4).requires_grad_() for k in range(2)}
    value(built(stages), stages).backward()
    assert stages["stage1"].grad is None
    value(built(stages, detach=False), stages).backward()
    assert stages["stage1"].grad.abs().max() > 0


def test_it_starts_when_it_is_told_to():
    stages = {f"stage{k}": tokens(k, 2, 3, 4, 4) for k in range(2)}
    term, full = built(stages, start=5), value(built(stages), stages)
    assert term.uses_progress
    assert not built(stages).uses_progress
    assert full > 0
    assert value(term, stages, clock(epoch=4)) == 0
    assert_close(value(term, stages, clock(epoch=5)), full)


def test_tokens_are_a_column():
    own, deep = tokens(0, 2, 8, 3), tokens(1, 2, 8, 5)
    maps = [each.transpose(1, 2)[..., None] for each in (own, deep)]
    term = only(sad(), "next_attention")
    assert_close(term.compare(own, deep), term.compare(*maps))
    strength = [each.square().sum(dim=2).softmax(dim=1) for each in (own, deep)]
    assert_close(term.compare(own, deep), (strength[0] - strength[1]).square().mean())


@pytest.mark.parametrize("form", ["paper", "lib"])
@pytest.mark.parametrize("fill", [0.0, 1e15])
def test_degenerate_images_stay_finite(form, fill):
    own, deep = (tokens(seed, 3, 4, 4, 4).float() for seed in range(2))
    own[0], deep[1] = fill, fill
    found = only(sad(form=form), "next_attention").compare(own.requires_grad_(), deep)
    found.backward()
    assert found.isfinite()
    assert own.grad.isfinite().all()


def test_it_is_a_mean_over_images():
    own, deep = tokens(0, 4, 2, 4, 4), tokens(1, 4, 5, 2, 2)
    term = only(sad(), "next_attention")
    halves = [term.compare(own[rows], deep[rows]) for rows in (slice(2), slice(2, 4))]
    assert_close(term.compare(own, deep), sum(halves) / 2)


@pytest.mark.parametrize("form", ["paper", "lib"])
def test_absent_tokens_change_nothing(form):
    own, deep = 0.5 * tokens(0, 3, 8, 4), 0.5 * tokens(1, 3, 8, 5)
    own[1, 6:], deep[1, 6:] = 0.0, 0.0
    compare = only(sad(form=form), "next_attention").compare
    assert_close(compare(padded(own), padded(deep)), compare(own, deep), rtol=1e-12, atol=0)
    rows = [compare(own[k : k + 1, :there], deep[k : k + 1, :there]) for k, there in enumerate((8, 6, 8))]
    assert_close(compare(own, deep), sum(rows) / 3)


@pytest.mark.parametrize("form", ["paper", "lib"])
def test_a_signal_is_a_volume_with_two_sides_of_one(form):
    own, deep = 0.5 * tokens(0, 3, 2, 8, 1), 0.5 * tokens(1, 3, 5, 4, 1)
    compare = only(sad(form=form), "next_attention").compare
    assert_close(compare(own[..., None], deep[..., None]), compare(own, deep))


def test_attention_of_volumes_of_one_size_is_the_plain_loop():
    own, deep = 0.5 * tokens(0, 2, 3, 2, 2, 2), 0.5 * tokens(1, 2, 5, 2, 2, 2)
    want = 0.0
    for one, other in zip(own, deep, strict=True):
        first, second = (loop_share([each.square().sum(dim=0).flatten().tolist()]) for each in (one, other))
        want += sum((a - b) ** 2 for a, b in zip(first, second, strict=True)) / 8 / 2
    assert_close(only(sad(), "next_attention").compare(own, deep).item(), want, rtol=1e-9, atol=0)
