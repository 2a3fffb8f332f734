import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.testing import assert_close

import selfdistill as sd
from selfdistill.errors import UserError
from selfdistill.methods import simkd
from selfdistill.terms import LinearClassifier, ModelOutputs
from tests.helpers.networks import CLASSES, network
from tests.helpers.step_contexts import build_context, only, step_context

EXACT = {"rtol": 1e-9, "atol": 1e-12}


@pytest.fixture(autouse=True)
def _double(float64):
    pass


def built(features, maps, reused, **options):
    term = only(simkd(**options), "task")
    own = {"stage-1": features.shape, "embedding": features.shape[:2], "logits": (len(features), len(reused.bias))}
    teacher = {"stage-1": maps.shape, "embedding": maps.shape[:2]}
    shapes = build_context(**own, views={"teacher": teacher})
    term.build(shapes._replace(classifiers={"teacher": lambda: reused}))
    return term


def shown(features, maps):
    teacher = ModelOutputs(torch.zeros(len(maps), 5), maps.mean(dim=(2, 3)), {"stage-1": maps})
    pooled, stages, views = features.mean(dim=(2, 3)), {"stage-1": features}, {"teacher": teacher}
    logits, labels = torch.zeros(len(maps), 5), torch.zeros(len(maps)).long()
    return step_context(logits, labels, embedding=pooled, features=stages, views=views)


def images(rows=8):
    return torch.randn(rows, 3, 16, 16)


def taught(text="simkd()", teacher=None, student=None):
    student, teacher = student or network().double(), teacher or network(seed=9).double()
    return sd.teach(student, text, images(), networks={"teacher": teacher}), student, teacher


def test_the_bottleneck_is_the_published_one(reference):
    want = reference("simkd")
    features, maps = want["features"].requires_grad_(), want["teacher_features"]
    reused = LinearClassifier(want["teacher_weight"], want["teacher_bias"])
    term = built(features, maps, reused, projector="bottleneck")
    layers = {f"transfer_{k}_{kind}": (term.convolve[k], kind) for k, kind in PARAMETERS}
    for name, (layer, kind) in layers.items():
        setattr(layer, kind, nn.Parameter(want[name].clone()))
    loss = term.stage_gap(shown(features, maps))
    loss.backward()
    assert_close(loss.detach(), want["loss"], **EXACT)
    for name, (layer, kind) in layers.items():
        assert_close(getattr(layer, kind).grad, want[f"grad_{name}"], **EXACT)
    assert_close(features.grad, want["grad_features"], **EXACT)
    guess = term.convolve(F.adaptive_avg_pool2d(features, 2)).detach()
    assert_close(guess, want["guess"], **EXACT)
    assert_close(guess.mean(dim=(2, 3)) @ reused.weight.T + reused.bias, want["logits"], **EXACT)


PARAMETERS = [(k, "weight") for k in (0, 1, 3, 4, 6, 7)] + [(k, "bias") for k in (1, 4, 7)]


def test_the_map_that_is_deployed_passes_no_gradient_beside_the_bottleneck():
    features, maps = torch.randn(4, 3, 4, 4, requires_grad=True), torch.randn(4, 6, 4, 4)
    term = built(features, maps, LinearClassifier(torch.randn(5, 6), torch.randn(5)), projector="bottleneck")
    step = shown(features, maps)
    whole = torch.autograd.grad(term.loss(step), [features, term.project.weight], retain_graph=True)
    alone = torch.autograd.grad(term.stage_gap(step), features)
    assert_close(whole[0], alone[0])
    assert whole[1].abs().sum() > 0


def test_the_loss_is_the_mean_squared_error_of_embeddings():
    features, maps = torch.randn(4, 3, 4, 4), torch.randn(4, 6, 4, 4)
    term = built(features, maps, LinearClassifier(torch.randn(5, 6), torch.randn(5)))
    want = sum(
        (sum(a * x for a, x in zip(row, f, strict=True)) - target[k]) ** 2 / 24
        for f, target in zip(features.mean(dim=(2, 3)).tolist(), maps.mean(dim=(2, 3)).tolist(), strict=True)
        for k, row in enumerate(term.project.weight.tolist())
    )
    assert_close(term.loss(shown(features, maps)).item(), want)


@pytest.mark.parametrize("projector", ["linear", "bottleneck"])
def test_the_deployed_student_is_the_teachers_classifier_on_the_mapped_embedding(projector):
    teach, student, teacher = taught(f"simkd(projector={projector!r})")
    found, at = [], images()
    teach(at, torch.arange(8) % CLASSES).backward()
    assert all(each.grad.abs().sum() == 0 for each in student.fc.parameters())
    assert student.get_parameter(next(iter(student.state_dict()))).grad.abs().sum() > 0
    assert all(each.grad is None for each in teacher.parameters())
    handle = student.fc.register_forward_pre_hook(lambda _, given: found.append(given[0]))
    student.eval()(at)
    handle.remove()
    want = teacher.fc(teach.step.terms["task"].project(found[0])).detach()
    assert_close(teach.deployed().eval()(at), want)
    assert not torch.allclose(student(at), want)
    assert_close(teach.close().eval()(at), want)


def test_a_student_without_bias_is_refused_before_training():
    student = network().double()
    student.fc = nn.Linear(student.fc.in_features, CLASSES, bias=False)
    answer = r"simkd\(\) writes the bias of 'fc' at the end, but that layer has none; make it with bias=True"
    with pytest.raises(UserError, match=answer):
        taught(student=student)


def test_a_teachers_classifier_without_bias_is_taken():
    teacher = network(seed=9).double()
    teacher.fc = nn.Linear(teacher.fc.in_features, CLASSES, bias=False)
    teach, student, _ = taught(teacher=teacher)
    teach.close()
    assert torch.equal(student.fc.bias, torch.zeros(CLASSES))


def test_a_teacher_of_other_classes_is_refused():
    teacher = network(seed=9).double()
    teacher.fc = nn.Linear(teacher.fc.in_features, CLASSES + 1)
    with pytest.raises(UserError, match=f"tells {CLASSES + 1} classes apart, but the student {CLASSES}; take a"):
        taught(teacher=teacher)


def test_a_teacher_without_a_linear_classifier_is_refused():
    teacher = network(seed=9).double()
    wide = teacher.fc.in_features
    teacher.fc = Cosine(wide)
    with pytest.raises(UserError, match="another network's classifier, but that of .* is not linear; take a network"):
        taught(teacher=teacher)


class Cosine(nn.Module):
    """A classifier of normalized embeddings."""

    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(CLASSES, width))

    def forward(self, embedding):
        return F.normalize(embedding) @ self.weight.T
