"""Multi-label classifiers with every method: three steps with a finite loss, or a refusal in words."""

import pytest
import torch

import selfdistill as sd
from selfdistill.errors import UserError
from selfdistill.methods import REGISTRY
from tests.helpers.kinds import CLASSES, ROWS, convolutions, draws, extra

REFUSED = [
    "adacos",
    "bake",
    "ckd",
    "corsd",
    "cosub",
    "csd",
    "cswt",
    "dlb",
    "dtskd",
    "elr",
    "mixskd",
    "mlkd",
    "ols",
    "patch_swap",
    "pckd",
]
REFUSED += ["ps_kd", "r_drop", "sd_dropout", "simkd", "sla", "sla_sd", "sskd", "uskd", "virtual_softmax", "zipf_ls"]
REFUSED += ["icsd", "pals"]


def tags():
    return (torch.rand(ROWS, CLASSES, generator=draws()) < 0.4).float()


def three_steps(text):
    torch.manual_seed(0)
    method, images = sd.methods.parse_method(text), torch.randn(ROWS, 3, 16, 16)
    networks, time = {role: convolutions(3) for role in method.teachers}, {"epochs": 4, "steps_per_epoch": 2}
    teach = sd.teach(convolutions(3), method, images, networks=networks, rows="tags", dataset_size=ROWS, **time)
    optimizer = torch.optim.SGD(teach.parameters(), lr=0.01)
    unknown = tags()
    unknown[0, 2], unknown[3] = -100, -100
    for labels in (tags(), unknown, tags().bool()):
        optimizer.zero_grad()
        loss = teach(images, labels, **extra(images))
        loss.backward()
        optimizer.step()
        assert loss.isfinite()


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_a_method_trains_tags_or_refuses_them(name):
    text = f"{name}(negatives=2)" if name == "crd" else f"{name}()"
    if sd.methods.parse_method(text).momentum_gap is not None:
        pytest.skip("not for one's own loop")
    if name not in REFUSED:
        three_steps(text)
    else:
        with pytest.raises(UserError, match="needs one class per example.*use a method that reads predictions"):
            three_steps(text)
