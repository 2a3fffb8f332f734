"""Inference cost of the deployed network: parameters, FLOPs, latency, memory."""

import time
from statistics import median

import torch

from selfdistill.data.kinds import AnyImages, example_inputs
from selfdistill.features.logits import logits_of
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
    one = example_inputs(images, 1, model.augment).to(model.device)
    with eval_mode(model.model):
        seconds = [_seconds(model, one) for _ in range(WARM_UP + PASSES)][WARM_UP:]
        return {
            "parameters": parameters(model.model),
            "flops": flops(lambda: model.model(one)),
            "pass_ms": 1000 * median(seconds),
            "pass_mib": peak_bytes(lambda: model.model(one)) / 2**20,
        }


def _seconds(model: EvaluatedModel, one: torch.Tensor) -> float:
    start = time.perf_counter()
    logits_of(model.model(one)).cpu()  # waits for the device
    return time.perf_counter() - start


def compute(context: EvaluationContext) -> dict[str, float]:
    """Metric "cost" of a pass of one test image."""
    return inference_cost(context.model, context.splits.test)
