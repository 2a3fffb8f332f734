"""Evaluated network: a model with its normalization, device and batch size."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from selfdistill.data import Images
from selfdistill.data.kinds import AnyAugmentation, AnyImages, evaluation_batches
from selfdistill.data.standardization import Standardization
from selfdistill.features import Anatomy
from selfdistill.features.hooks import FeatureHooks
from selfdistill.features.logits import logits_of
from selfdistill.inputs import Inputs, call_model
from selfdistill.metrics.prediction import label_rank


class Predictions(NamedTuple):
    """Outputs of one pass over all images, on the CPU."""

    logits: Tensor  # [N, C] float32
    labels: Tensor  # [N]
    embeddings: Tensor  # [N, D] float32; D is 0 without an anatomy


@dataclass(frozen=True, eq=False)
class EvaluatedModel:
    """A network that is evaluated in eval mode; its own train or eval mode is restored."""

    model: nn.Module
    augment: AnyAugmentation  # only its normalization is used
    device: torch.device
    batch_size: int = 512
    anatomy: Anatomy | None = None  # locates the embedding

    def logits(self, pixels: Tensor) -> Tensor:
        """Compute logits of pixels from 0 to 255, differentiably. [B, 3, H, W] -> [B, C] float32."""
        if isinstance(self.augment, Standardization):
            raise TypeError("tensors have no pixels")
        return self.outputs(self.augment.normalize(pixels))

    def outputs(self, inputs: Inputs) -> Tensor:
        """Compute logits of normalized inputs, as float32. B rows in each input -> [B, C] or [B, C, h, w]."""
        return logits_of(call_model(self.model, inputs)).float()

    def batches(self, images: Images) -> Iterator[tuple[Tensor, Tensor]]:
        """Iterate over pixels [B, 3, H, W] uint8 and labels [B] of all images in order, on the device."""
        for rows in images.index_blocks(self.batch_size):
            yield images.images[rows].to(self.device), images.labels[rows].to(self.device)

    @torch.no_grad()
    def predictions(self, images: AnyImages) -> Predictions:
        """Pass all examples once; record embeddings if the anatomy is known."""
        hooks = FeatureHooks(self.model, self.anatomy, ("embedding",)) if self.anatomy else None
        try:
            with eval_mode(self.model):
                found = evaluation_batches(images, self.batch_size, self.augment, self.device)
                parts = [self._recorded(batch.inputs, batch.labels, hooks) for batch in found]
        finally:
            if hooks:
                hooks.close()
        return Predictions(*(torch.cat(each) for each in zip(*parts, strict=True)))

    def accuracy(self, images: Images, change: Callable[[Tensor, Tensor], Tensor]) -> float:
        """Top-1 in percent on changed images; `change` maps pixels [B, 3, H, W] uint8 and labels [B] to pixels."""
        with eval_mode(self.model):
            right = sum(self._right(change(*batch), batch[1]) for batch in self.batches(images))
        return 100 * right / len(images)

    @torch.no_grad()
    def _right(self, pixels: Tensor, labels: Tensor) -> int:
        return int((label_rank(self.logits(pixels), labels) == 0).sum())

    def _recorded(self, inputs: Inputs, labels: Tensor, hooks: FeatureHooks | None) -> tuple[Tensor, Tensor, Tensor]:
        if hooks is None:
            return self.outputs(inputs).cpu(), labels.cpu(), torch.empty(len(labels), 0)
        hooks.record()
        logits = self.outputs(inputs)
        return logits.cpu(), labels.cpu(), hooks.take()["embedding"].float().cpu()


@torch.no_grad()
def predict_batches(
    model: nn.Module, images: AnyImages, augment: AnyAugmentation, batch_size: int, device: torch.device | str = "cpu"
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield float32 logits and labels of all examples in order, in eval mode. -> [B, C] or [B, C, h, w], [B, …]."""
    with eval_mode(model):
        for batch in evaluation_batches(images, batch_size, augment, device):
            yield logits_of(call_model(model, batch.inputs)).float(), batch.labels


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Put all modules in eval mode; restore the mode of each afterwards.

    >>> with eval_mode(model := nn.Linear(2, 2)):
    ...     model.training
    False
    """
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
