"""How each mistake is answered."""

import pytest
import torch
from torch import nn

import selfdistill as sd
from selfdistill.errors import UserError
from tests.helpers.loops import IMAGES, LABELS, steps
from tests.helpers.networks import CLASSES, network


@pytest.mark.parametrize(
    ("wrap", "answer"),
    [
        (lambda model: torch.compile(model, backend="eager"), "compile the step, not the model"),
        (lambda model: nn.DataParallel(model), "wrap the teach, not the model"),
        (lambda model: model.state_dict(), "must be an nn.Module, but this is a OrderedDict"),
    ],
)
def test_wrapped_models_are_refused(wrap, answer):
    with pytest.raises(UserError, match=answer):
        sd.teach(wrap(network()), "drg()", IMAGES)


def test_models_compiled_in_place_before_are_refused():
    model = network()
    model.compile(backend="eager")
    with pytest.raises(UserError, match="compile the step"):
        sd.teach(model, "drg()", IMAGES)


def test_optimizer_over_the_model_alone_is_noticed():
    model = network()
    teach = sd.teach(model, "drg()", IMAGES)
    with pytest.raises(UserError, match=r"not the heads of drg\(\).*teach.parameters\(\), not model.parameters\(\)"):
        steps(teach, torch.optim.SGD(model.parameters(), lr=0.1), 3)


def test_a_small_step_of_the_heads_is_noticed_beside_a_large_weight():
    teach = sd.teach(network(), "drg()", IMAGES)
    large, *others = [each for term in teach.step.terms.values() for each in term.parameters()]
    with torch.no_grad():
        large.fill_(1e6)
    optimizer = torch.optim.SGD([*teach.student.parameters(), *others], lr=1e-3)
    assert len(steps(teach, optimizer, 3)) == 3


def test_no_head_no_complaint():
    model = network()
    teach = sd.teach(model, "dsr()", IMAGES)
    assert len(steps(teach, torch.optim.SGD(model.parameters(), lr=0.1), 3)) == 3


def closed():
    teach = sd.teach(network(), "drg()", IMAGES)
    teach.close()
    return teach


class Shared(nn.Module):
    """Logits by a matrix product: no module makes them."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.weight = nn.Parameter(torch.randn(CLASSES, 8))

    def forward(self, images):
        return self.body(images) @ self.weight.T


class Spatial(nn.Conv2d):
    def __init__(self):
        super().__init__(3, CLASSES, 1)


@pytest.mark.parametrize(
    ("make", "answer"),
    [
        (lambda: sd.teach(network(), "kd()", IMAGES), r"kd\(\) needs a teacher: pass networks=\{'teacher'"),
        (
            lambda: sd.teach(network(), "ce()", IMAGES, networks={"teacher": network()}),
            "no role for the network 'teacher'",
        ),
        (
            lambda: sd.teach(network(), "scd(warmup=3)", IMAGES),
            r"depends on the training progress.*epochs=…, steps_per_epoch=…",
        ),
        (
            lambda: sd.teach(network(), "drg(tap='layer9')", IMAGES),
            "nothing to tap at 'layer9'.*did you mean 'layer3' or 'layer2'",
        ),
        (
            lambda: sd.teach(network(), "drg(tap='stage7')", IMAGES),
            r"its stages are stage1 \(layer1\), stage2 \(layer2\)",
        ),
        (lambda: sd.teach(network(), "drg(head='gated')", IMAGES[:, :, :14, :14]), "gated head halves a map.*7x7"),
        (lambda: sd.teach(network("tokens"), "drg(head='gated')", IMAGES), "needs maps, but the tap gives tokens"),
        (
            lambda: sd.teach(network(), "drg()", IMAGES[0]),
            r"cannot take two rows .* float32 \[2, 16, 16\]",
        ),
        (
            lambda: sd.teach(network(), "drg()", IMAGES[:, :1]),
            r"cannot take two rows .* float32 \[2, 1, 16, 16\]",
        ),
        (lambda: sd.teach(network(), "ce()", IMAGES)(IMAGES), "needs labels besides inputs"),
        (lambda: sd.teach(network(), "scd()", IMAGES)(IMAGES[:1], LABELS[:1]), r"compares the rows.*needs 2.*has 1"),
        (lambda: closed()(IMAGES, LABELS), "this teach was closed"),
        (
            lambda: sd.teach(Shared(), "csd()", IMAGES),
            r"csd\(\) reads the embedding and the classifier.*pass classifier=",
        ),
        (
            lambda: sd.teach(Spatial(), "ce()", IMAGES)(IMAGES, LABELS),
            r"labels of pixels must be integers \[8, H, W\].*for one class per image, pool the model's logits to",
        ),
    ],
)
def test_mistakes_are_answered(make, answer):
    with pytest.raises(UserError, match=answer):
        make()
