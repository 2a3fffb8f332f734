"""The user's model is the user's: same object, keys, weights, modes; no trace after close."""

import copy
import pickle

import pytest
import torch

import selfdistill as sd
from selfdistill.errors import UserError
from selfdistill.methods import parse_method
from selfdistill.step import Distiller
from tests.contract.steps import EXPRESSIONS, Training, distil, images
from tests.helpers.kinds import AuxiliaryLogits
from tests.helpers.networks import network


def hooks(model):
    kinds = (
        "_forward_hooks",
        "_forward_pre_hooks",
        "_backward_hooks",
        "_backward_pre_hooks",
        "_state_dict_hooks",
    )
    return sum(len(getattr(module, kind)) for module in model.modules() for kind in kinds)


@pytest.mark.parametrize("kind", ["batch", "tokens"])
@pytest.mark.parametrize("text", EXPRESSIONS)
def test_model_is_untouched_by_making_a_distiller(text, kind):
    student = network(kind)
    student.get_submodule("blocks.0" if kind == "tokens" else "layer1").eval()
    before, modes = copy.deepcopy(student.state_dict()), [module.training for module in student.modules()]
    random = torch.get_rng_state()
    distiller = distil(text, kind, student)
    assert torch.equal(random, torch.get_rng_state())
    assert [module.training for module in student.modules()] == modes
    assert list(student.state_dict()) == list(before)
    assert all(torch.equal(value, before[name]) for name, value in student.state_dict().items())
    assert distiller.student is student


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_nothing_is_left_after_close(text):
    student = network()
    keys, kind, attributes = list(student.state_dict()), type(student), set(vars(student))
    training = Training(distil(text, student=student)).steps(2)
    closed = training.distiller.close()
    assert closed is student
    assert (list(closed.state_dict()), type(closed), set(vars(closed))) == (keys, kind, attributes)
    assert hooks(closed) == 0
    assert pickle.loads(pickle.dumps(closed)).fc.weight.shape == closed.fc.weight.shape


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_student_can_be_pickled_and_copied_while_it_is_taught(text):
    distiller = distil(text)
    copied = copy.deepcopy(distiller.student)
    pickled = pickle.loads(pickle.dumps(distiller.student))
    for each in (copied, pickled):
        assert torch.equal(each.eval()(images(1)), distiller.student.eval()(images(1)))


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_no_part_is_registered_twice(text):
    distiller = distil(text)
    names = [name for name, _ in distiller.named_parameters(remove_duplicate=False)]
    assert len(names) == len({id(each) for each in distiller.parameters()})


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_a_method_can_be_used_again(text):
    made = parse_method(text)
    networks = {role: network(seed=9) for role in made.teachers}
    one, other = (Distiller(network(), made, images(0), networks=networks) for _ in range(2))
    logs = [Training(each).steps(2).log for each in (one, other)]
    assert all(torch.equal(logs[0][step][name], logs[1][step][name]) for step in range(2) for name in logs[0][step])
    assert not {id(each) for each in one.terms.parameters()} & {id(each) for each in other.terms.parameters()}


@pytest.mark.parametrize(
    "text",
    [
        "scd(warmup=3) + kd()",  # the length of the training is missing
        "drg(tap='layer9') + kd()",
        "crd()",  # the size of the data set is missing
    ],
)
def test_nothing_is_left_after_a_refusal(text):
    student, teacher = network(), network(seed=9)
    with pytest.raises(UserError):
        sd.teach(student, text, images(0), networks={"teacher": teacher})
    assert hooks(student) == hooks(teacher) == 0
    assert teacher.training
    assert all(each.requires_grad for model in (student, teacher) for each in model.parameters())


def test_auxiliary_heads_are_not_left_frozen_after_a_refusal():
    student = AuxiliaryLogits()
    with pytest.raises(UserError, match="epochs="):
        sd.teach(student, "scd(warmup=3)", images(0), aux=0)
    assert all(each.requires_grad for each in student.parameters())
