import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from selfdistill.errors import UserError
from selfdistill.functional import as_maps_of_one_size
from selfdistill.methods import at
from tests.helpers.random_features import build, drawn, loss, padded, tokens
from tests.helpers.step_contexts import only

EXACT = {"rtol": 1e-9, "atol": 1e-15}


def test_it_is_the_published_loss(reference):
    want = reference("at")
    own, theirs = drawn(want["seed"])
    term = build(only(at(weight=want["beta"].item(), power=want["p"].item()), "attention"), own, theirs)
    found = loss(term, own, theirs)
    found.backward()
    assert_close(found.detach(), want["loss_kd"], **EXACT)
    for name, stage in own.items():
        assert_close(term.compare(stage, theirs[name]).detach(), want["per_stage"][int(name[-1]) - 1], **EXACT)
        assert_close(stage.grad, want[f"grad_feat_s{name[-1]}"], **EXACT)
    assert term.weight == 1000


def test_it_is_the_loss_of_moonshine(reference):
    want = reference("moonshine")
    own = {f"stage{k}": want[f"feat{k}"].requires_grad_() for k in (1, 2, 3)}
    theirs = {f"stage{k}": want[f"teacher_feat{k}"] for k in (1, 2, 3)}
    logits = want["logits"].requires_grad_()
    term = build(only(at(), "attention"), own, theirs)
    total = F.cross_entropy(logits, want["targets"]) + term.weight * loss(term, own, theirs)
    total.backward()
    assert_close(total.detach(), want["loss"], **EXACT)
    assert_close(logits.grad, want["grad_logits"], **EXACT)
    for k in (1, 2, 3):
        assert_close(own[f"stage{k}"].grad, want[f"grad_feat{k}"], **EXACT)


def test_stages_are_paired_from_the_deepest_and_single_positions_left_out():
    own = {"stage1": tokens(0, 8, 2, 4, 4), "stage2": tokens(1, 8, 2, 2, 2), "stage3": tokens(2, 8, 2, 1, 1)}
    theirs = {"stage3": tokens(3, 8, 5, 2, 2), "stage2": tokens(4, 8, 5, 8, 8), "stage1": tokens(5, 8, 5, 8, 8)}
    term = build(only(at(), "attention"), own, theirs)
    assert term.matched == [("stage1", "stage2"), ("stage2", "stage3")]
    with pytest.raises(UserError, match="the student has 0 and the teacher 3"):
        build(only(at(), "attention"), {"stage3": own["stage3"]}, theirs)


def loop(student, teacher, power):
    """Maps of one size, by loops."""
    total, count = 0.0, 0
    for one, other in zip(student.detach(), teacher, strict=True):
        rows = [[sum(abs(x.item()) ** power for x in at) for at in each.flatten(1).T] for each in (one, other)]
        rows = [[x / sum(y * y for y in row) ** 0.5 for x in row] for row in rows]
        total += sum((a - b) ** 2 for a, b in zip(*rows, strict=True))
        count += len(rows[0])
    return total / count


@pytest.mark.parametrize("power", [1.0, 2.0, 3.0, 4.0])
def test_any_power_is_the_plain_loop(power):
    own, theirs = drawn(0)
    gap = only(at(power=power), "attention").compare(own["stage3"], theirs["stage3"])
    assert_close(gap.item(), loop(own["stage3"], theirs["stage3"], power), rtol=1e-9, atol=0)


def test_tokens_compare_with_tokens_and_with_maps():
    term, rows = only(at(), "attention"), tokens(0, 3, 16, 4)
    column, square = rows.transpose(1, 2)[..., None], rows.transpose(1, 2).reshape(3, 4, 4, 4)
    other = tokens(1, 3, 16, 5)
    assert_close(term.compare(rows, other), loop_free(column, other.transpose(1, 2)[..., None], term))
    assert_close(term.compare(rows, square), torch.zeros((), dtype=torch.float64))
    one, two = as_maps_of_one_size(rows, tokens(2, 3, 9, 4))
    assert one.shape == two.shape == (3, 4, 9, 1)


def loop_free(one, other, term):
    return (term.attention_map(one) - term.attention_map(other)).square().mean()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("fill", [0.0, 1e-30, 1e15])
def test_degenerate_images_stay_finite(dtype, fill):
    student, teacher = (tokens(seed, 4, 3, 4, 4).to(dtype) for seed in range(2))
    student[0], teacher[1] = fill, fill
    found = only(at(), "attention").compare(student.requires_grad_(), teacher)
    found.backward()
    assert found.isfinite()
    assert student.grad.isfinite().all()
    assert student.grad.abs().max() < 10


def test_no_gradient_reaches_the_teacher():
    own, theirs = drawn(0)
    theirs = {name: each.requires_grad_() for name, each in theirs.items()}
    loss(build(only(at(), "attention"), own, theirs), own, theirs).backward()
    assert all(each.grad is None for each in theirs.values())
    assert all(each.grad.abs().max() > 0 for each in own.values())


def test_volumes_are_compared_as_their_positions_in_a_row():
    student, teacher = tokens(0, 3, 4, 2, 3, 4), tokens(1, 3, 5, 2, 3, 4)
    compare = only(at(), "attention").compare
    assert_close(compare(student, teacher), compare(student.flatten(2)[..., None], teacher.flatten(2)[..., None]))


def test_absent_tokens_change_nothing():
    student, teacher = tokens(0, 3, 8, 4), tokens(1, 3, 8, 5)
    student[1, 6:], teacher[1, 6:] = 0.0, 0.0
    compare = only(at(), "attention").compare
    assert_close(compare(padded(student), padded(teacher)), compare(student, teacher), rtol=1e-12, atol=0)
    rows = [compare(student[k : k + 1, :there], teacher[k : k + 1, :there]) for k, there in enumerate((8, 6, 8))]
    assert_close(compare(student, teacher), sum(rows) / 3)
