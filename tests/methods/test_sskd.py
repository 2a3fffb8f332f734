import torch
from torch import nn
from torch.testing import assert_close

from selfdistill.functional import top_ranked_mask
from selfdistill.methods import sskd
from selfdistill.terms import ModelOutputs
from selfdistill.terms.transforms import ROTATIONS, TEACHER_ROTATIONS
from tests.contract.steps import Training, distil
from tests.helpers.step_contexts import build_context, only, step_context

EXACT = {"rtol": 1e-9, "atol": 1e-12}


def split(rows):
    """Rows 4 · i + turn as one tensor a turn."""
    return [rows[turn::4] for turn in range(4)]


def shown(term, labels, student, student_rows, teacher, teacher_rows):
    """A step at which projections are what is given as embeddings."""
    term.project = term.project_teacher = nn.Identity()
    mine = [ModelOutputs(*each, {}) for each in zip(split(student), split(student_rows), strict=True)]
    known = [ModelOutputs(*each, {}) for each in zip(split(teacher), split(teacher_rows), strict=True)]
    turned = zip((*ROTATIONS, *TEACHER_ROTATIONS), (*mine[1:], *known[1:]), strict=True)
    views = {view.name: each for view, each in turned} | {"teacher": known[0]}
    return step_context(mine[0].logits, labels, embedding=mine[0].embedding, views=views)


def made(want, **weights):
    return sskd(
        temperature=want["kd_T"].item(),
        similar_temperature=want["ss_T"].item(),
        keep=want["ratio_tf"].item(),
        keep_similar=want["ratio_ss"].item(),
        **weights,
    )


def given_by(want):
    names = ("targets", "student_logits", "student_proj", "teacher_logits", "teacher_proj")
    return [want[name].requires_grad_(name.startswith("student")) for name in names]


def test_it_is_the_published_step(reference):
    want = reference("sskd")
    method = made(
        want,
        labels=want["ce_weight"].item(),
        upright=want["kd_weight"].item(),
        turned=want["tf_weight"].item(),
        similar=want["ss_weight"].item(),
    )
    term, tensors = only(method, "supervision"), given_by(want)
    step = shown(term, *tensors)
    loss = method.weights["task"] * only(method, "task").loss(step) + term.loss(step)["mimic"]
    loss.backward()
    assert_close(loss.detach(), want["loss"], **EXACT)
    assert_close(tensors[1].grad, want["grad_student_logits"], **EXACT)
    assert_close(tensors[2].grad, want["grad_student_proj"], **EXACT)


def test_each_part_is_the_published_one(reference):
    want = reference("sskd")
    for name, part in (("upright", "loss2_kd"), ("turned", "loss3_tf"), ("similar", "loss4_ss")):
        method = made(want, **({"upright": 0, "turned": 0, "similar": 0} | {name: 1}))
        term = only(method, "supervision")
        assert_close(term.loss(shown(term, *given_by(want)))["mimic"].detach(), want[part], **EXACT)


def test_the_rows_kept_are_the_published_ones(reference):
    want = reference("sskd")
    logits = want["teacher_logits"].view(7, 4, -1)[:, 1:].flatten(0, 1)
    keep = top_ranked_mask(logits, want["targets"].repeat_interleave(3), want["ratio_tf"].item())
    assert torch.equal(keep.nonzero()[:, 0], want["kept_tf"].sort().values)


def test_the_teachers_projection_learns_as_published(reference):
    want = reference("sskd_ssp_head")
    rows, term = want["proj"].requires_grad_(), only(sskd(), "supervision")
    blank = torch.zeros(28, 5, dtype=torch.float64)
    value = term.loss(shown(term, torch.arange(7) % 5, blank, blank, blank, rows))["learn"]
    value.backward()
    assert_close(value.detach(), want["loss"], **EXACT)
    assert_close(rows.grad, want["grad_proj"], **EXACT)


def test_the_teachers_projection_learns_from_its_own_part_alone():
    torch.manual_seed(0)
    term, labels = only(sskd(), "supervision"), torch.arange(4)
    step = shown(term, labels, *(torch.randn(16, 5) for _ in range(4)))
    term.build(build_context(embedding=(4, 5), logits=(4, 5), views={"teacher": {"embedding": (4, 5)}}))
    value = term.loss(step)
    mine, known = term.project[0].weight, term.project_teacher[0].weight
    own, other = torch.autograd.grad(value["learn"], (known, mine), allow_unused=True, retain_graph=True)
    assert own.abs().max() > 0
    assert other is None
    other, own = torch.autograd.grad(value["mimic"], (known, mine), allow_unused=True)
    assert own.abs().max() > 0
    assert other is None


def test_projections_of_zeros_stay_finite():
    term, zeros = only(sskd(), "supervision"), torch.zeros(16, 5).requires_grad_()
    value = term.loss(shown(term, torch.arange(4), zeros, zeros, zeros.detach(), zeros.detach()))
    value["mimic"].backward()
    assert zeros.grad.isfinite().all()


def test_the_student_turns_in_one_batch_and_the_teacher_stays_frozen():
    training, rows = Training(distil("sskd()")), []
    before = {key: each.clone() for key, each in training.distiller.networks["teacher"].state_dict().items()}
    handle = training.distiller.student.register_forward_pre_hook(lambda _, given: rows.append(len(given[0])))
    training.steps(1)
    handle.remove()
    assert rows == [32]
    after = training.distiller.networks["teacher"].state_dict()
    assert all(torch.equal(each, after[key]) for key, each in before.items())
