"""Outputs of a trained network on a set of images: logits, embedding and features by stage, kept on the CPU."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from selfdistill.data.examples import Examples
from selfdistill.data.images import Images
from selfdistill.data.kinds import AnyAugmentation, evaluation_batches, example_inputs
from selfdistill.errors import UserError
from selfdistill.features import read_anatomy
from selfdistill.features.hooks import FeatureHooks
from selfdistill.features.logits import logits_of
from selfdistill.inputs import call_model, floats_to
from selfdistill.metrics.inputs import checked_logits
from selfdistill.metrics.prediction import predicted_class


class CollectedOutputs(NamedTuple):
    """Outputs of a network for N images, in eval mode and float32."""

    logits: Tensor  # [N, C]
    labels: Tensor  # [N]
    embedding: Tensor | None  # [N, D]; None if no classifier layer was found
    features: dict[str, Tensor]  # by tap: maps [N, D, H, W] or tokens [N, M, D]

    @property
    def correct(self) -> Tensor:
        """Boolean mask of the correctly classified images. -> [N]."""
        return predicted_class(self.logits) == self.labels


def collect(
    model: nn.Module,
    images: Images | Examples,
    augment: AnyAugmentation,
    *,
    taps: Sequence[str] = (),
    classifier: str | None = None,
    batch_size: int = 256,
) -> CollectedOutputs:
    """Run a network on images or tensors, on its own device, and keep the outputs on the CPU.

    `taps` are names as in a term: "stage2", "layer2", or "stages" for all. Feature maps are large: use few images.
    The model's modes are restored and its hooks removed. Raises `UserError` for an unknown tap, an empty
    set, and logits that are NaN or infinite.
    """
    if not len(images):
        raise UserError("the set of images is empty; pass at least one image")
    found = read_anatomy(model, example_inputs(images, 2, augment), classifier)
    names = [name for tap in taps for name in found.expand_tap(tap)]
    tapped = FeatureHooks(model, found, [*names, *(["embedding"] if found.classifier else [])])
    modes = {module: module.training for module in model.modules()}
    try:
        passes = _passes(model.eval(), images, augment, tapped, batch_size)
    finally:
        tapped.close()
        for module, mode in modes.items():
            module.training = mode
    features = {name: torch.cat([kept[name] for _, kept in passes]) for name in tapped.names}
    logits = torch.cat([logits for logits, _ in passes])
    checked_logits(logits)
    return CollectedOutputs(logits, images.labels.cpu(), features.pop("embedding", None), features)


def first_per_class(labels: Tensor, each: int, classes: Sequence[int] | None = None) -> Tensor:
    """Select the first `each` rows of every class, or of `classes`, sorted by class. labels [N] -> [M]."""
    wanted = sorted(set(labels.tolist())) if classes is None else classes
    return torch.cat([(labels == label).nonzero().flatten()[:each] for label in wanted])


@torch.no_grad()
def _passes(
    model: nn.Module, images: Images | Examples, augment: AnyAugmentation, taps: FeatureHooks, batch_size: int
) -> list[tuple[Tensor, dict[str, Tensor]]]:
    like = next(model.parameters())
    passes = []
    for batch in evaluation_batches(images, batch_size, augment, like.device):
        taps.record()
        logits = logits_of(call_model(model, floats_to(batch.inputs, like)))
        kept = taps.take()
        passes.append((_to_cpu(logits), {name: _to_cpu(each) for name, each in kept.items()}))
    return passes


def _to_cpu(values: Tensor) -> Tensor:
    return values.float().cpu()
