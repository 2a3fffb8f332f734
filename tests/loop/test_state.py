"""What a state dict, a copy and a pickle hold."""

import copy
import io
import pickle

import pytest
import torch

import selfdistill as sd
from tests.helpers.kinds import bert, texts
from tests.helpers.loops import ALL, IMAGES, LABELS, ROWS, sgd, steps
from tests.helpers.losses import optimizer_of, take_steps, teach
from tests.helpers.networks import CLASSES, network


def test_state_dict_carries_everything():
    one = sd.teach(network(), f"{ALL} + label_smoothing()", IMAGES)
    optimizer = sgd(one)
    steps(one, optimizer, 3)
    file = io.BytesIO()
    torch.save({"teach": one.state_dict(), "optimizer": optimizer.state_dict()}, file)
    want = steps(one, optimizer, 3, start=3)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    other = sd.teach(network(seed=8), f"{ALL} + label_smoothing()", IMAGES, seed=5)
    optimizer = sgd(other)
    other.load_state_dict(saved["teach"])
    optimizer.load_state_dict(saved["optimizer"])
    assert all(torch.equal(a, b) for a, b in zip(want, steps(other, optimizer, 3, start=3), strict=True))


@pytest.mark.parametrize("text", ["dsr()", "csd()", "cs_kd()", "drg() + dks()"])
def test_a_text_model_resumes_bitwise(text):
    whole = teach(text, bert, texts())
    optimizer = optimizer_of(whole)
    take_steps(whole, optimizer, texts(), 2)
    file = io.BytesIO()
    torch.save({"teach": whole.state_dict(), "optimizer": optimizer.state_dict()}, file)
    expected = take_steps(whole, optimizer, texts(), 2)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    other = teach(text, bert, texts(), seed=5)
    optimizer = optimizer_of(other)
    other.load_state_dict(saved["teach"])
    optimizer.load_state_dict(saved["optimizer"])
    found = take_steps(other, optimizer, texts(), 2)
    for one, again in zip(expected, found, strict=True):
        assert all(torch.equal(one[name], again[name]) for name in one | again)
    own = other.student.state_dict()
    assert all(torch.equal(each, own[name]) for name, each in whole.student.state_dict().items())


def test_mixing_is_drawn_inside_and_resumes():
    def run(count, state=None):
        teach = sd.teach(network(), "mixup()", IMAGES)
        if state:
            teach.load_state_dict(state)
        return [teach(IMAGES, LABELS) for _ in range(count)], teach

    first, teach = run(1)
    state = copy.deepcopy(teach.state_dict())
    second = teach(IMAGES, LABELS)
    again, _ = run(1, state)
    assert not torch.allclose(first[0], second)
    assert torch.equal(again[0], second)


def test_ema_copy_and_pickle_while_teaching():
    teach = sd.teach(network(), ALL, IMAGES)
    average = torch.optim.swa_utils.AveragedModel(teach.student)
    teach(IMAGES, LABELS).backward()
    average.update_parameters(teach.student)
    assert average(IMAGES).shape == (ROWS, CLASSES)
    torch.save(teach.student, io.BytesIO())
    pickle.dumps(teach.student)
