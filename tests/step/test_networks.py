"""Networks beside the student: averages, copies of the past, peers, teachers."""

import copy

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import selfdistill as sd
from selfdistill.errors import UserError
from selfdistill.method import Method
from selfdistill.method.networks import EMATeacher, LaggedStudent, PeerNetwork, Teacher, teacher_role
from selfdistill.step import Distiller
from selfdistill.step.networks import EMANetwork, FrozenNetwork, LaggedCopy
from selfdistill.terms import ForwardPass, LossTerm
from tests.contract.steps import Training, distil, images, parameters
from tests.helpers.networks import network


class Looking(LossTerm):
    """Looks at a network and owes it nothing."""

    def __init__(self, role, grad=False, taps=("stages", "embedding")):
        super().__init__()
        self.views = (ForwardPass(role, grad=grad, network=role, taps=taps),)

    def build(self, context):
        self.shapes = context.views[self.views[0].name]

    def loss(self, seen):
        self.shown = seen.views[self.views[0].name]
        return 0 * seen.logits.sum()


def test_an_average_is_the_plain_mean_at_first_and_then_decays():
    student = nn.Linear(2, 2)
    average = EMANetwork(student, 0.75, torch.zeros(1), ())
    seen = []
    for step in range(1, 9):
        student.weight.data.fill_(float(step))
        average.after_step()
        seen.append(average.network.weight[0, 0].item())
    want, value = [], 0.0
    for step in range(1, 9):
        keep = min(1 - 1 / step, 0.75)
        value = keep * value + (1 - keep) * step
        want.append(value)
    assert seen == pytest.approx(want)
    assert seen[2] == pytest.approx(2.0)  # (1 + 2 + 3) / 3


def test_an_average_follows_running_statistics_and_copies_counts():
    student = nn.BatchNorm1d(3)
    average = EMANetwork(student, 0.5, torch.zeros(1), ())
    for _ in range(3):
        student(torch.randn(5, 3) + 4)
        average.after_step()
    assert average.network.num_batches_tracked == 3
    assert not torch.equal(average.network.running_mean, student.running_mean)
    assert average.network.running_mean.mean() > 0.2


def test_the_past_is_renewed_every_so_many_steps():
    student = nn.Linear(2, 2)
    past = LaggedCopy(student, 3, torch.zeros(1), ())
    first, seen = student.weight[0, 0].item(), []
    for step in range(1, 8):
        student.weight.data.fill_(float(step))
        past.after_step()
        seen.append(past.network.weight[0, 0].item())
    assert seen == pytest.approx([first, first, 3, 3, 3, 6, 6])


def test_a_peer_is_another_draw_of_the_same_architecture_and_trains():
    method = Method({"look": Looking("peer1", grad=True)}, networks={"peer1": PeerNetwork()}, text="mine()")
    distiller = Distiller(network(), method, images(0))
    peer = distiller.networks["peer1"].network
    assert type(peer) is type(distiller.student)
    assert not torch.equal(peer.fc.weight, distiller.student.fc.weight)
    assert all(each.requires_grad for each in peer.parameters())
    assert list(distiller.terms["look"].shapes) == ["stage1", "stage2", "stage3", "embedding"]
    again = Distiller(network(), method, images(0))
    assert torch.equal(peer.fc.weight, again.networks["peer1"].network.fc.weight)


def test_a_term_sees_inside_a_teacher_without_gradient_and_the_teacher_stays_as_it_was():
    teacher = network(seed=9).train()
    teacher.layer1.eval()
    before = copy.deepcopy(teacher.state_dict())
    method = Method({"look": Looking("teacher")}, networks={"teacher": Teacher()}, text="mine()")
    distiller = Distiller(network(), method, images(0), networks={"teacher": teacher})
    Training(distiller).steps(2)
    shown = distiller.terms["look"].shown
    assert shown.features["stage2"].shape == (8, 12, 8, 8)
    assert shown.embedding.shape == (8, 16)
    assert not shown.features["stage2"].requires_grad
    distiller.close()
    assert all(torch.equal(value, before[key]) for key, value in teacher.state_dict().items())
    assert all(each.requires_grad for each in teacher.parameters())
    assert teacher.training
    assert not teacher.layer1.training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in teacher.modules())


def test_a_teacher_that_nobody_looks_into_may_be_of_any_kind():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(3, 5))

        def forward(self, shown):
            return shown.mean(dim=(2, 3)) @ self.weight

    distiller = Distiller(network(), sd.methods.kd(), images(0), networks={"teacher": Odd()})
    assert isinstance(distiller.networks["teacher"], FrozenNetwork)
    assert Training(distiller).steps(1).log[0]["teacher"] > 0


def test_what_an_argument_teacher_means():
    assert teacher_role("ema") == EMATeacher(decay=0.999)
    assert teacher_role("past") == LaggedStudent(every=100)
    assert teacher_role("runs/x") == Teacher("runs/x")
    assert teacher_role(None) == Teacher()


@pytest.mark.parametrize("teacher", ["ema", "past"])
def test_a_student_can_be_taught_by_its_own_average_or_past(teacher):
    distiller = distil(f"kd(teacher={teacher!r}, alpha=0.5)")
    before = parameters(distiller.networks["teacher"]).clone()
    Training(distiller).steps(3)
    moved = not torch.equal(parameters(distiller.networks["teacher"]), before)
    assert moved == (teacher == "ema")  # the past is renewed after a hundred steps


def test_two_terms_that_look_at_one_teacher_make_one_pass():
    calls = []
    teacher = network(seed=9)
    teacher.register_forward_hook(lambda *_: calls.append(1))
    method = sd.methods.kd() + Method({"look": Looking("teacher")}, networks={"teacher": Teacher()}, text="mine()")
    distiller = Distiller(network(), method, images(0), networks={"teacher": teacher})
    calls.clear()
    Training(distiller).steps(2)
    assert len(calls) == 2


def test_roles_that_contradict_are_refused_with_both_names():
    with pytest.raises(UserError, match=r"kd\(teacher='ema'\) and stkd\(.*different networks as teacher"):
        sd.methods.kd("ema") + sd.methods.stkd("runs/x")
    with pytest.raises(UserError, match=r"no role for the network 'tutor'"):
        Distiller(network(), sd.methods.ce(), images(0), networks={"tutor": network(seed=3)})


def test_the_plain_loop_follows_after_each_step_of_the_optimizer():
    method = Method({"look": Looking("average")}, networks={"average": EMATeacher(decay=0.5)}, text="mine()")
    student = network("group")
    teach = sd.teach(student, method, images(0))
    optimizer = torch.optim.SGD(teach.parameters(), lr=0.1)
    labels, mean = torch.arange(8) % 5, None
    for step in range(1, 4):
        optimizer.zero_grad()
        teach(images(step), labels).backward()
        optimizer.step()
        keep = min(1 - 1 / step, 0.5)
        now = parameters(student).clone()
        mean = now if mean is None else keep * mean + (1 - keep) * now
    assert int(teach.step.networks["average"].steps) == 2  # the last step is known to be done at the next call
    teach.close()
    assert_close(parameters(teach.step.networks["average"].network), mean)
