"""Networks beside the student."""

import pytest

import selfdistill as sd
from selfdistill.errors import UserError
from tests.helpers.loops import IMAGES
from tests.helpers.networks import network


def test_the_student_cannot_be_its_own_teacher():
    model = network()
    with pytest.raises(UserError, match="the teacher shares weights with the student"):
        sd.teach(model, "kd()", IMAGES, networks={"teacher": model})
    assert all(each.requires_grad for each in model.parameters())


def test_a_teacher_comes_back_as_it_was():
    teacher = network(seed=3)
    teacher.layer1.eval()
    teacher.stem.requires_grad_(False)
    modes, trained = [m.training for m in teacher.modules()], [p.requires_grad for p in teacher.parameters()]
    teach = sd.teach(network(), "kd()", IMAGES, networks={"teacher": teacher})
    teach.train()
    assert not any(module.training for module in teacher.modules())
    teach.close()
    assert [m.training for m in teacher.modules()] == modes
    assert [p.requires_grad for p in teacher.parameters()] == trained
