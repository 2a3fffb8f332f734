"""Partly frozen students: a head on a frozen network, LoRA on a frozen transformer."""

import warnings

import pytest
import torch

import selfdistill as sd
from selfdistill.errors import UserError
from selfdistill.features import read_anatomy
from tests.helpers.kinds import CLASSES, LABELS, ImageAndTable, bert, extra, floats, lora, texts
from tests.helpers.losses import TIME, optimizer_of, seeded, take_steps, teach

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # of peft


def resnet():
    return sd.create("resnet8", CLASSES, size=16)


def probe():
    """A frozen network with a trainable classifier."""
    model = resnet()
    for name, each in model.named_parameters():
        each.requires_grad_(name.startswith("classifier"))
    return model


IMAGES = floats(3, 16, 16)()
KINDS = {"probe": (probe, IMAGES), "LoRA": (lora, texts())}
TEXTS = ["ce()", "kd()", "drg() + dsr()", "dks()", "csd()", "uskd()", "one()"]


def test_stages_of_a_frozen_network_are_those_of_a_trainable_one():
    assert read_anatomy(probe(), IMAGES).stages == read_anatomy(resnet(), IMAGES).stages


def test_stages_of_lora_are_those_of_its_base():
    found, base = read_anatomy(lora(), texts()).stages, read_anatomy(bert(), texts()).stages
    assert [each.path for each in found] == [f"base_model.model.{each.path}" for each in base]
    assert [each.shape for each in found] == [each.shape for each in base]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("kind", KINDS)
def test_frozen_weights_stay_bitwise(kind, text):
    make, inputs = KINDS[kind]
    taught = teach(text, make, inputs)
    before = {name: (each.detach().clone(), each.requires_grad) for name, each in taught.student.named_parameters()}
    take_steps(taught, optimizer_of(taught), inputs, 3)
    after = dict(taught.close().named_parameters())
    assert {name: each.requires_grad for name, each in after.items()} == {
        name: old for name, (_, old) in before.items()
    }
    changed = {name for name, (value, _) in before.items() if not torch.equal(after[name], value)}
    assert changed
    assert all(after[name].requires_grad for name in changed)


OUT_OF_REACH = ["scd()", "sad()", "byot()", "sp()", "at()", "nst()", "vid()", "fitnet()", "review_kd()"]
OUT_OF_REACH += ["rkd()", "pkt()", "cc()", "crd(negatives=2)"]


def first_step(text, make, inputs):
    method = sd.methods.parse_method(text)
    networks = {role: seeded(resnet, 9) for role in method.teachers}
    taught = sd.teach(seeded(make), method, inputs, networks=networks, **TIME)
    return taught(inputs, LABELS, **extra(inputs))


@pytest.mark.parametrize("text", OUT_OF_REACH)
def test_a_term_that_reaches_no_trainable_layer_is_told(text):
    with pytest.warns(UserWarning, match=r"reaches no trainable parameter of Sequential.*frozen; unfreeze") as told:
        first_step(text, probe, IMAGES)
    assert [each.filename for each in told] == [__file__]


@pytest.mark.parametrize("text", ["sla_sd()", "sla()", "kd()", "drg() + dsr()", "lightskd()", "codistillation()"])
def test_a_term_that_reaches_the_classifier_is_not(text):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first_step(text, probe, IMAGES)


def test_only_the_first_step_tells():
    taught = sd.teach(probe(), "scd()", IMAGES)
    with pytest.warns(UserWarning, match="'similarity' of scd"):
        taught(IMAGES, LABELS)
    taught(IMAGES, LABELS)


def test_a_frozen_table_beside_an_image_needs_no_word():
    model = ImageAndTable()
    model.table.requires_grad_(False)
    inputs = (IMAGES, floats(6)())
    sd.teach(model, "scd() + byot()", inputs)(inputs, LABELS).backward()


def test_a_student_without_any_trainable_parameter_is_refused():
    with pytest.raises(UserError, match=r"every parameter of Sequential is frozen .* call requires_grad_\(True\)"):
        sd.teach(resnet().requires_grad_(False), "ce()", IMAGES)
