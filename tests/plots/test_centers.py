"""Closed forms against autograd through the library's own step, and the plane after real training."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from selfdistill.errors import UserError
from selfdistill.loop.teach import teach
from selfdistill.methods import parse_method
from selfdistill.plots.centers import draw_centers, gradients, snapshots
from selfdistill.plots.centers.gradients import cross_entropy_gradient, kl_gradient
from selfdistill.plots.centers.network import PlanarNetwork
from selfdistill.plots.svg import svg
from tests.helpers.figures import draws

CLASSES, EACH = 3, 4
EXACT = {"rtol": 0, "atol": 1e-10}
METHODS = [
    "ce()",
    "cs_kd()",
    "cs_kd(weight=0.5, temperature=2.0)",
    "cs_kd(itself=False)",
    "csd(rate=0.0)",  # centers that stay where they are when the step looks at them
    "csd(rate=0.0, weight=3.0, trust=0.8, temperature=2.0)",
    'csd(rate=0.0, fusion="prob")',
    'csd(rate=0.0, fusion="confidence")',
    "cs_kd() + csd(rate=0.0)",
]


def batch(seed=0):
    """As many images of each class, class after class."""
    images = torch.randn(CLASSES * EACH, 3, 8, 8, generator=draws(seed))
    return images, torch.arange(CLASSES).repeat_interleave(EACH)


def shifted(images, by):
    """Each row's place taken by the one so many places on in its class."""
    return images.unflatten(0, (CLASSES, EACH)).roll(-by, dims=1).flatten(0, 1)


def by_autograd(text, partners):
    """Mean over partners of each image's gradient at the embedding, through a real step; and what it was taken at."""
    torch.manual_seed(0)
    network, (images, labels) = PlanarNetwork(CLASSES), batch()
    taught = teach(network, text, images)
    taught(batch(seed=1)[0], labels, peer=images)  # so that centers lie somewhere else
    memories = taught.memories[0]
    found, kept = [], []
    hook = network.classify.register_forward_pre_hook(lambda module, inputs: kept.append(inputs[0]))
    for by in partners:
        kept.clear()
        loss = taught(images, labels, peer=shifted(images, by), remember=False)
        found.append(len(labels) * torch.autograd.grad(loss, kept[0])[0])
    hook.remove()
    at = kept[0].detach(), labels, network.classify.weight.detach(), network.classify.bias.detach(), memories
    return torch.stack(found).mean(dim=0), at


@pytest.mark.parametrize("text", METHODS)
def test_closed_forms_are_autograds(text, float64):
    partners = range(1, EACH) if "itself=False" in text else range(EACH)
    want, at = by_autograd(text, partners)
    learn, mimic = gradients(parse_method(text), *at)
    assert_close(learn + mimic, want, **EXACT)
    assert want.norm(dim=1).min() > 1e-3
    assert bool(mimic.any()) == (text != "ce()")


SEEDS = st.integers(0, 10_000)


@settings(max_examples=25)
@given(SEEDS, st.floats(0.5, 8.0))
def test_formulas_on_any_numbers(seed, temperature):
    numbers = draws(seed)
    features, weight, bias = (
        torch.randn(shape, generator=numbers, dtype=torch.float64) for shape in ((5, 2), (4, 2), (4,))
    )
    labels = torch.randint(0, 4, (5,), generator=numbers)
    target = torch.rand(5, 4, generator=numbers, dtype=torch.float64)
    target /= target.sum(dim=1, keepdim=True)
    features.requires_grad_()
    logits = features @ weight.T + bias
    entropy = torch.nn.functional.cross_entropy(logits, labels, reduction="sum")
    want = torch.autograd.grad(entropy, features, retain_graph=True)[0]
    assert_close(cross_entropy_gradient(logits, labels, weight), want, **EXACT)
    gap = temperature**2 * (target * (target.log() - (logits / temperature).log_softmax(dim=1))).sum()
    assert_close(kl_gradient(logits, target, weight, temperature), torch.autograd.grad(gap, features)[0], **EXACT)


@settings(max_examples=25)
@given(SEEDS, st.sampled_from(["logit", "prob"]))
def test_imitation_never_draws_away_from_the_center(seed, fusion):
    numbers = draws(seed)
    features, weight, bias, centers = (
        torch.randn(shape, generator=numbers, dtype=torch.float64) for shape in ((9, 2), (3, 2), (3,), (3, 2))
    )
    labels = torch.arange(9) % 3
    memory = {"center": (centers, torch.ones(3, 1))}
    _, mimic = gradients(parse_method(f'csd(fusion="{fusion}")'), features, labels, weight, bias, memory)
    assert (-mimic * (centers[labels] - features)).sum(dim=1).min() >= -1e-12


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("drg()", r"the gradient of drg\(\) has no closed form here \(term 'guidance'\); supported terms: "),
        ("csd(warmup=2.0)", "holds for a detached target without warm-up; drop both"),
        ("csd(detach=False)", "holds for a detached target without warm-up; drop both"),
        ("label_smoothing()", "holds for plain cross-entropy of plain images alone"),
        ("mixup()", "holds for plain cross-entropy of plain images alone"),
        ("control(csd())", "holds for plain cross-entropy of plain images alone"),
    ],
)
def test_what_has_no_closed_form_is_refused_before_training(text, says):
    with pytest.raises(UserError, match=says):
        snapshots(["ce()", text])


@pytest.mark.parametrize("options", [{"epochs": ()}, {"epochs": (0,)}, {"classes": 1}, {"classes": 11}])
def test_what_cannot_be_shown(options):
    with pytest.raises(UserError, match="classes cannot be drawn; use epochs from 1 and 2 to 10 classes"):
        snapshots(**options)


@pytest.fixture(scope="module")
def found():
    return snapshots(epochs=(1, 2), classes=3)


def test_moments_of_real_training(found):
    assert {text: [each.epoch for each in seen] for text, seen in found.items()} == {
        "ce()": [1, 2],
        "cs_kd()": [1, 2],
        "csd()": [1, 2],
    }
    for text, (first, second) in found.items():
        assert first.features.shape == first.task_gradient.shape == (len(first.labels), 2)
        assert first.labels.unique().tolist() == [0, 1, 2]
        assert not torch.equal(first.features, second.features)
        assert first.kept == (text == "csd()")
        means = [second.features[second.labels == k].mean(dim=0) for k in range(3)]
        assert torch.equal(second.centers, torch.stack(means)) == (text != "csd()")
        assert bool(second.distillation_gradient.any()) == (text != "ce()")
        assert 0 < second.within_class_variance < 1
    assert torch.equal(found["ce()"][0].arrows, -found["ce()"][0].task_gradient)


def test_the_same_seed_gives_the_same_bytes(found):
    again = snapshots(["ce()"], epochs=(1,), classes=3)
    assert torch.equal(again["ce()"][0].features, found["ce()"][0].features)
    assert svg(draw_centers(again), "a") == svg(draw_centers({"ce()": found["ce()"][:1]}), "a")


def test_the_picture_has_all_planes(found):
    figure = draw_centers(found)
    planes = figure.axes
    assert len(planes) == 6
    assert [each.get_ylabel() for each in planes] == ["epoch 1", "", "", "epoch 2", "", ""]
    assert planes[1].get_title(loc="left").startswith("cs_kd()\nvariance within ")
    (arrows,) = planes[4].collections
    assert len(arrows.U) == 3 * 8
    snapshot = found["cs_kd()"][1]
    row = int((snapshot.features - torch.tensor(arrows.XY[0])).norm(dim=1).argmin())
    wanted, drawn = snapshot.arrows[row], torch.tensor([arrows.U[0], arrows.V[0]])
    assert_close(drawn / drawn.norm(), wanted / wanted.norm())
    rings = [line for line in planes[5].get_lines() if line.get_marker() == "o" and line.get_markersize() > 5]
    assert torch.equal(torch.tensor(rings[0].get_xydata()), found["csd()"][1].centers)
