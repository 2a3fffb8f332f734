"""Dense classifiers with every method: two steps with a finite loss, or a refusal in words."""

import pytest
import torch

import selfdistill as sd
from selfdistill.errors import UserError
from selfdistill.methods import REGISTRY
from tests.helpers.kinds import UNet, pixel_labels, segformer

MODELS = {"U-Net": (UNet, (3, 16, 16)), "SegFormer": (segformer, (3, 64, 64))}
SEVERAL_VIEWS = [
    "cs_kd",
    "corsd",
    "ddgsd",
    "dlb",
    "kdcl",
    "pcl",
    "sla",
    "sla_sd",
    "sskd",
    "pckd",
    "ps_kd",
    "crd",
    "zipf_ls",
    "mlkd",
    "cswt",
    "aca",
    "elr",
    "dtskd",
]
REFUSED = (
    dict.fromkeys(
        ["mixup", "cutmix", "stkd", "mixskd", "patch_swap"], "mixes inputs, which have a label for each pixel"
    )
    | dict.fromkeys(SEVERAL_VIEWS, "whole examples or several views")
    | dict.fromkeys(["dks", "one", "okddip", "loth"], "a branch from .* classifies whole examples")
)


def two_steps(make, shape, text):
    torch.manual_seed(0)
    method, images = sd.methods.parse_method(text), torch.randn(4, *shape)
    networks, time = {role: make() for role in method.teachers}, {"epochs": 4, "steps_per_epoch": 2}
    model = make()
    teach = sd.teach(model, method, images, networks=networks, dataset_size=4, ignore_index=255, **time)
    optimizer = torch.optim.SGD(teach.parameters(), lr=0.01)
    labels = pixel_labels(4, *shape[1:])
    for known in (shape[2], shape[2] // 2):  # another number of labelled pixels at each step
        optimizer.zero_grad()
        labels[:, :, known:] = 255
        loss = teach(images, labels)
        loss.backward()
        optimizer.step()
        assert loss.isfinite()
    assert teach.close() is model


@pytest.mark.filterwarnings("ignore:.*get no gradient:UserWarning")
@pytest.mark.parametrize("name", sorted(REGISTRY))
@pytest.mark.parametrize("model", ["U-Net", pytest.param("SegFormer", marks=pytest.mark.slow)])
def test_a_method_trains_pixels_or_refuses_them(model, name):
    text = f"{name}(negatives=2)" if name == "crd" else f"{name}()"
    if sd.methods.parse_method(text).momentum_gap is not None:
        pytest.skip("not for one's own loop")
    if name not in REFUSED:
        two_steps(*MODELS[model], text)
    else:
        with pytest.raises(UserError, match=REFUSED[name]):
            two_steps(*MODELS[model], text)
