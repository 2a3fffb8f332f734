"""What a state dict, a copy and a pickle hold."""

import copy
import io
import pickle

import torch

import selfdistill as sd
from tests.helpers.loops import ALL, IMAGES, LABELS, ROWS, sgd, steps
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
