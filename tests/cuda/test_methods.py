"""One training step of every method on a CUDA device: the losses and gradients of the CPU's, in each precision."""

import pytest
import torch
from torch.testing import assert_close

from selfdistill.data.batch import Batch
from selfdistill.methods import REGISTRY
from selfdistill.step import memory
from selfdistill.terms import Progress
from tests.contract.steps import IMAGES, ROWS, batch, clock, distil

METHODS = [f"{name}()" for name in REGISTRY]


def moved(made: Batch, device) -> Batch:
    """A batch with all its tensors on a device."""
    mix = made.mix and type(made.mix)(*(each if each is None else each.to(device) for each in made.mix))
    extra = {name: each.to(device) for name, each in made.extra.items()}
    return Batch(made.inputs.to(device), made.labels.to(device), made.index.to(device), mix, extra)


def step_on(device, text: str, precision: torch.dtype | None = None):
    """Losses by name and the student's gradient after one step."""
    distiller = distil(text).train().to(device)
    memories = memory.start(distiller.terms, distiller.training_info(ROWS, IMAGES))
    progress = Progress(*(each.to(device) for each in clock(0)))
    with torch.autocast(torch.device(device).type, precision or torch.bfloat16, enabled=precision is not None):
        losses = distiller(moved(batch(0, distiller.method), device), progress, memories).losses
    distiller.total(losses).backward()
    gradient = torch.cat([each.grad.flatten() for each in distiller.student.parameters() if each.grad is not None])
    return {name: loss.detach().cpu() for name, loss in losses.items()}, gradient.cpu()


@pytest.fixture
def exact(monkeypatch):
    """Float32 products in full, not in TF32."""
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


@pytest.mark.parametrize("text", METHODS)
def test_float32_is_the_cpus(text, exact):
    (want, gradient), (found, own) = step_on("cpu", text), step_on("cuda", text)
    assert_close(found, want, rtol=1e-3, atol=1e-4)
    assert (own - gradient).norm() <= 1e-2 * gradient.norm() + 1e-5


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16], ids=["fp16", "bf16"])
@pytest.mark.parametrize("text", METHODS)
def test_half_precision_is_near(text, precision):
    want, found = step_on("cpu", text)[0], step_on("cuda", text, precision)[0]
    for name, loss in found.items():
        assert loss.isfinite(), name
        assert_close(loss, want[name], rtol=0.15, atol=0.1, msg=lambda text, name=name: f"{name}: {text}")
