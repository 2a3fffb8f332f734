import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

from selfdistill.functional import (
    Affine,
    affine_gap,
    affine_parts,
    category_contrast,
    direction_gap,
    preview_weights,
    weighted_kl,
)
from selfdistill.methods import pckd
from selfdistill.terms import ModelOutputs
from tests.helpers.step_contexts import build_context, clock, only, step_context

EXACT = {"rtol": 1e-6, "atol": 1e-9}


@pytest.fixture(autouse=True)
def _double(float64):
    pass


def built(width, teacher_width, **options):
    term = only(pckd(**options), "categories")
    teacher = {"teacher": {"embedding": (4, teacher_width)}}
    term.build(build_context(embedding=(4, width), logits=(4, 7), views=teacher))
    return term


def set_linear(layer, want, name):
    layer.weight = nn.Parameter(want[f"{name}_weight"].clone())
    layer.bias = nn.Parameter(want[f"{name}_bias"].clone())


def total(term, *parts):
    return sum(weight * part for weight, part in zip(term.weights, parts, strict=True))


def test_it_is_the_published_loss(reference):
    want = reference("pckd")
    names = ("logits", "features", "student_weight", "student_bias", "projected")
    logits, features, weight, bias, projected = (want[name].requires_grad_() for name in names)
    options = {"contrast": "beta", "classifier": "alpha", "near": "f", "kd": "delta", "temperature": "T"}
    given = {name: want[stored].item() for name, stored in options.items()}
    term = built(6, 6, contrast_temperature=want["con_temperature"].item(), **given)
    set_linear(term.heads.own, want, "embed_s_linear")
    set_linear(term.heads.theirs, want, "embed_t_linear")
    # stored image by image, read rotation by rotation
    student, known, guess = (
        each.view(5, 4, -1).transpose(0, 1).flatten(0, 1) for each in (features, want["teacher_features"], projected)
    )
    term.heads.align = nn.Identity()
    term.heads.align.forward = lambda rows: guess
    labels, ce = want["targets"], F.cross_entropy(logits, want["targets"], reduction="none")
    preview = preview_weights(ce, term.growth ** want["epoch"])
    assert_close(preview.detach(), want["preview"], **EXACT)
    classifiers = Affine(weight, bias), Affine(want["teacher_weight"], want["teacher_bias"])
    each, near = term.heads(student, known, *classifiers, labels.repeat(4), want["con_temperature"].item())
    soft = weighted_kl(logits, want["teacher_logits"], preview, want["T"].item())
    contrast = (preview.detach().repeat(4) * each).mean()
    loss = ce.mean() + total(term, contrast, affine_gap(*classifiers), near, soft)
    loss.backward()
    assert_close(loss.detach(), want["loss"], **EXACT)
    for name, value in zip(names, (logits, features, weight, bias, projected), strict=True):
        assert_close(value.grad, want[f"grad_{name}"], **EXACT)
    for layer, name in ((term.heads.own, "embed_s_linear"), (term.heads.theirs, "embed_t_linear")):
        assert_close(layer.weight.grad, want[f"grad_{name}_weight"], **EXACT)
        assert_close(layer.bias.grad, want[f"grad_{name}_bias"], **EXACT)


TURNS = ("quarter", "half", "three_quarters")


def step(width=3, teacher_width=3, rows=4, epoch=0, teacher=None):
    """A step of a linear student and a linear teacher, of any embeddings."""
    own, theirs = nn.Linear(width, 7), teacher or nn.Linear(teacher_width, 7)
    embedding, known = torch.randn(rows, width), torch.randn(rows, teacher_width)
    views = {name: ModelOutputs(torch.randn(rows, 7), torch.randn(rows, width), {}) for name in TURNS}
    turned = {f"teacher_{name}": torch.randn(rows, teacher_width) for name in TURNS}
    views |= {name: ModelOutputs(torch.randn(rows, 7), each, {}) for name, each in turned.items()}
    views["teacher"] = ModelOutputs(theirs(known), known, {})
    more = {"embedding": embedding, "classifier_weight": own.weight, "classifiers": {"teacher": theirs}}
    context = step_context(own(embedding), torch.tensor([0, 1, 1, 6]), views=views, clock=clock(epoch), **more)
    return context, own, theirs


def test_a_step_reads_rotations_and_both_classifiers():
    context, own, theirs = step()
    term = built(3, 3, kd=0.5)
    features = torch.cat([context.embedding, *(context.views[name].embedding for name in TURNS)])
    targets = torch.cat([context.views[name].embedding for name in ("teacher", *(f"teacher_{each}" for each in TURNS))])
    classifiers = Affine(own.weight, own.bias), Affine(theirs.weight, theirs.bias)
    labels, teacher = context.batch.labels, context.views["teacher"].logits
    preview = preview_weights(F.cross_entropy(context.logits, labels, reduction="none"), 1.005)
    each, near = term.heads(features, targets, *classifiers, labels.repeat(4), 4.0)
    soft = weighted_kl(context.logits, teacher, preview, 4.0)
    want = total(term, (preview.repeat(4) * each).mean(), affine_gap(*classifiers), near, soft)
    assert_close(term.loss(context), want)
    (grad,) = torch.autograd.grad(only_classifiers(term, context), own.bias)
    assert_close(grad, 2 * (own.bias - theirs.bias) / (7 * 4))


def only_classifiers(term, context):
    term.weights = 0.0, 1.0, 0.0, 0.0
    return term.loss(context)


def test_a_student_with_the_teachers_classifier_alone_learns_nothing():
    context, own, _ = step()
    same = {**context.__dict__, "classifiers": {"teacher": own}}
    assert only_classifiers(built(3, 3), type(context)(**same)).abs() < 1e-12


def test_classifiers_of_two_widths_are_not_compared():
    context, *_ = step(width=3, teacher_width=5)
    term = built(3, 5)
    assert term.loss(context).isfinite()
    assert only_classifiers(term, context) == 0


def test_easy_images_count_whole_and_hard_ones_less_until_the_limit_has_grown():
    losses = torch.tensor([0.5, 1.0, 1.5])
    assert_close(preview_weights(losses, 1.005), torch.tensor([1.0, 1.0, torch.tensor(-2.25).exp()]))
    assert_close(preview_weights(losses, 1.6), torch.ones(3))


def test_the_contrast_is_a_loop_over_rows():
    one, other, labels = torch.randn(4, 3), torch.randn(4, 3), torch.tensor([0, 1, 0, 2])
    rows, twice, heat = torch.cat([one, other]), labels.repeat(2), 2.0
    want = torch.zeros(4)
    for i in range(8):
        others = [j for j in range(8) if j != i]
        total = sum(torch.exp(rows[i] @ rows[j] / heat) for j in others)
        alike = [j for j in others if twice[j] == twice[i]]
        want[i % 4] += sum(-torch.log(torch.exp(rows[i] @ rows[j] / heat) / total) for j in alike) / len(alike)
    assert_close(category_contrast(one, other, labels, heat), heat / 0.07 * want, rtol=1e-5, atol=0)


def test_gaps_ignore_lengths_and_pass_no_gradient_to_the_teacher():
    student, teacher = torch.randn(3, 4, requires_grad=True), torch.randn(3, 4, requires_grad=True)
    assert direction_gap(student, 3 * student).abs() < 1e-12
    direction_gap(student, teacher).backward()
    assert teacher.grad is None
    assert student.grad.abs().sum() > 0


def test_an_affine_map_is_read_by_applying_it():
    layer = nn.Linear(3, 5)
    weight, bias = affine_parts(layer, torch.zeros(2, 3))
    assert_close(weight, layer.weight)
    assert_close(bias, layer.bias)
    assert affine_gap(Affine(weight, bias), Affine(layer.weight, layer.bias)) < 1e-20
