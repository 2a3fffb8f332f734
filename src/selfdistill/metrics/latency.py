"""Inference cost of the deployed network: parameters, FLOPs, latency, memory."""

import time
from collections.abc import Callable
from statistics import median

import torch

from selfdistill.data.images import Images
from selfdistill.data.kinds import AnyImages, example_inputs
from selfdistill.inputs import to_device
from selfdistill.metrics.context import EvaluationContext
from selfdistill.metrics.cost import flops, parameters, peak_bytes
from selfdistill.metrics.model import EvaluatedModel, eval_mode

WARM_UP, PASSES = 3, 20


@torch.no_grad()
def inference_cost(model: EvaluatedModel, images: AnyImages) -> dict[str, float]:
    """Count parameters; for a pass of one image FLOPs (multiply and add count two), median ms, peak MiB.

    MiB are the peak of the activations that are alive at once.

    >>> from selfdistill import data, models
    >>> splits, net = data.load("fake:size=8,test=8"), models.create("resnet8", 10, size=8)
    >>> model = EvaluatedModel(net, data.default_augmentation(splits), torch.device("cpu"))
    >>> inference_cost(model, splits.test)["parameters"]
    78042
    """
    work = _pass_of_one(model, images)
    with eval_mode(model.model):
        seconds = [_seconds(work) for _ in range(WARM_UP + PASSES)][WARM_UP:]
        return {
            "parameters": parameters(model.model),
            "flops": flops(work),
            "pass_ms": 1000 * median(seconds),
            "pass_mib": peak_bytes(work) / 2**20,
        }


def _pass_of_one(model: EvaluatedModel, images: AnyImages) -> Callable[[], torch.Tensor]:
    """Return a pass of the first example; that of an image includes its normalization."""
    if isinstance(images, Images):
        pixels = images.images[:1].to(model.device)
        return lambda: model.logits(pixels)
    inputs = to_device(example_inputs(images, 1, model.augment), model.device)
    return lambda: model.outputs(inputs)


def _seconds(work: Callable[[], torch.Tensor]) -> float:
    start = time.perf_counter()
    work().cpu()  # waits for the device
    return time.perf_counter() - start


def compute(context: EvaluationContext) -> dict[str, float]:
    """Metric "cost" of a pass of one test image."""
    return inference_cost(context.model, context.splits.test)
