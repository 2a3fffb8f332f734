"""What one prediction of the deployed network costs."""

import time
from statistics import median

import torch

from selfdistill.data import Images
from selfdistill.metrics.cost import flops, parameters, peak_bytes
from selfdistill.metrics.model import EvaluatedModel, evaluating

WARM_UP, PASSES = 3, 20


@torch.no_grad()
def inference(subject: EvaluatedModel, images: Images) -> dict[str, float]:
    """Parameters, and of a pass of one image: FLOPs (a product and its sum are two), milliseconds (median), MiB.

    MiB are of the activations where most of them live at once.
    """
    one = images.images[:1].to(subject.device)
    with evaluating(subject.model):
        seconds = [_seconds(subject, one) for _ in range(WARM_UP + PASSES)][WARM_UP:]
        return {
            "parameters": parameters(subject.model),
            "flops": flops(lambda: subject.logits(one)),
            "pass_ms": 1000 * median(seconds),
            "pass_mib": peak_bytes(lambda: subject.logits(one)) / 2**20,
        }


def _seconds(subject: EvaluatedModel, pixels: torch.Tensor) -> float:
    start = time.perf_counter()
    subject.logits(pixels).cpu()  # waits for the device
    return time.perf_counter() - start
