"""What is measured: a network, with how it knows images and where it computes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from selfdistill.data import Augmentation, Images
from selfdistill.features import Anatomy
from selfdistill.features.hooks import FeatureHooks
from selfdistill.features.trace import logits_of


class Predictions(NamedTuple):
    """What one pass over all images showed, on the CPU."""

    logits: Tensor  # [N, C] float32
    labels: Tensor  # [N]
    embeddings: Tensor  # [N, D] float32; D is 0 where no embedding was asked for


@dataclass(frozen=True, eq=False)
class EvaluatedModel:
    """A network in eval mode, whatever mode it is in; it is left as it was."""

    model: nn.Module
    augment: Augmentation  # of which only the normalisation is used
    device: torch.device
    batch_size: int = 512
    anatomy: Anatomy | None = None  # says where the embedding is

    def logits(self, pixels: Tensor) -> Tensor:
        """Logits of pixels from 0 to 255, as a function that has a gradient. [B, 3, H, W] -> [B, C] float32."""
        return logits_of(self.model(self.augment.normalize(pixels))).float()

    def batches(self, images: Images) -> Iterator[tuple[Tensor, Tensor]]:
        """Pixels [B, 3, H, W] uint8 and labels [B] of all images in order, on the device."""
        for rows in images.blocks(self.batch_size):
            yield images.images[rows].to(self.device), images.labels[rows].to(self.device)

    @torch.no_grad()
    def predictions(self, images: Images) -> Predictions:
        """Pass all images once; with embeddings if the anatomy is known."""
        taps = FeatureHooks(self.model, self.anatomy, ("embedding",)) if self.anatomy else None
        try:
            with evaluating(self.model):
                parts = [self._seen(*batch, taps) for batch in self.batches(images)]
        finally:
            if taps:
                taps.close()
        return Predictions(*(torch.cat(each) for each in zip(*parts, strict=True)))

    def accuracy(self, images: Images, change: Callable[[Tensor, Tensor], Tensor]) -> float:
        """Percent right once the pixels [B, 3, H, W] uint8 are changed, by a function of pixels and labels."""
        with evaluating(self.model):
            right = sum(self._right(change(*batch), batch[1]) for batch in self.batches(images))
        return 100 * right / len(images)

    @torch.no_grad()
    def _right(self, pixels: Tensor, labels: Tensor) -> int:
        return int((self.logits(pixels).argmax(dim=1) == labels).sum())

    def _seen(self, pixels: Tensor, labels: Tensor, taps: FeatureHooks | None) -> tuple[Tensor, Tensor, Tensor]:
        if taps is None:
            return self.logits(pixels).cpu(), labels.cpu(), torch.empty(len(labels), 0)
        taps.record()
        logits = self.logits(pixels)
        return logits.cpu(), labels.cpu(), taps.take()["embedding"].float().cpu()


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put all modules in eval mode; afterwards each is in its own again."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
