"""Inference cost of the deployed network: parameters, FLOPs, latency, memory."""

import time
from statistics import median

import torch

from selfdistill.data.images import Images
from selfdistill.data.kinds import AnyAugmentation, AnyImages
from selfdistill.data.segmentation_augment import SegmentationAugmentation
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
    one = _first(images, model.augment).to(model.device)
    with eval_mode(model.model):
        seconds = [_seconds(model, one) for _ in range(WARM_UP + PASSES)][WARM_UP:]
        return {
            "parameters": parameters(model.model),
            "flops": flops(lambda: model.logits(one)),
            "pass_ms": 1000 * median(seconds),
            "pass_mib": peak_bytes(lambda: model.logits(one)) / 2**20,
        }


def _first(images: AnyImages, augment: AnyAugmentation) -> torch.Tensor:
    """Pixels of the first image, as a network gets it in an evaluation. -> [1, 3, H, W] uint8."""
    if isinstance(images, Images):
        return images.images[:1]
    whole = images[0].image
    return (augment.resized(whole) if isinstance(augment, SegmentationAugmentation) else whole)[None]


def _seconds(model: EvaluatedModel, one: torch.Tensor) -> float:
    start = time.perf_counter()
    model.logits(one).cpu()  # waits for the device
    return time.perf_counter() - start


def compute(context: EvaluationContext) -> dict[str, float]:
    """Metric "cost" of a pass of one test image."""
    return inference_cost(context.model, context.splits.test)
