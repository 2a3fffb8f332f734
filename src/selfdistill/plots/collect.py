"""What a trained network shows of images: logits, embedding, features by stage. Collected on the CPU."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from selfdistill.data import Augmentation, Images, batches
from selfdistill.errors import UserError
from selfdistill.features import read_anatomy
from selfdistill.features.hooks import FeatureHooks
from selfdistill.features.trace import logits_of


class Shown(NamedTuple):
    """What a network showed of N images, in eval mode and float32."""

    logits: Tensor  # [N, C]
    labels: Tensor  # [N]
    embedding: Tensor | None  # [N, D]; None where no one module makes the logits
    features: dict[str, Tensor]  # by tap: maps [N, D, H, W] or tokens [N, M, D]

    @property
    def right(self) -> Tensor:
        """Which images are recognised. -> [N]."""
        return self.logits.argmax(dim=1) == self.labels


def collect(
    model: nn.Module,
    images: Images,
    augment: Augmentation,
    *,
    taps: Sequence[str] = (),
    classifier: str | None = None,
    batch_size: int = 256,
) -> Shown:
    """Show images to a network where it lies, and keep what it says on the CPU.

    `taps` are names as of a term: "stage2", "layer2", or "stages" for all. Maps are large: ask for them of few images.
    The model comes back as it was: its modes, and no hook on it. Raises `UserError` where a tap is not there, and
    where there is no image.
    """
    if not len(images):
        raise UserError("there are no images to show to the network; pick one at least")
    found = read_anatomy(model, augment.normalize(images.images[:2]), classifier)
    names = [name for tap in taps for name in found.spelled_out(tap)]
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
    return Shown(logits, images.labels.cpu(), features.pop("embedding", None), features)


def some(labels: Tensor, each: int, classes: Sequence[int] | None = None) -> Tensor:
    """The first `each` rows of every class, or of these classes, class after class. labels [N] -> [M]."""
    wanted = labels.unique().tolist() if classes is None else classes
    return torch.cat([(labels == label).nonzero().flatten()[:each] for label in wanted])


@torch.no_grad()
def _passes(
    model: nn.Module, images: Images, augment: Augmentation, taps: FeatureHooks, batch_size: int
) -> list[tuple[Tensor, dict[str, Tensor]]]:
    like = next(model.parameters())
    passes = []
    for batch in batches(images, batch_size, augment, like.device):
        taps.record()
        logits = logits_of(model(batch.images.to(like.dtype)))
        kept = taps.take()
        passes.append((_held(logits), {name: _held(each) for name, each in kept.items()}))
    return passes


def _held(values: Tensor) -> Tensor:
    return values.float().cpu()
