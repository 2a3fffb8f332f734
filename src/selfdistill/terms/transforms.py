"""Rotations and color permutations of images as pretext tasks, and forward passes over the transformed batches."""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Literal

import torch
from torch import Tensor

from selfdistill.data.batch import Batch
from selfdistill.errors import UserError
from selfdistill.inputs import Inputs, positional_tensor, replace_tensor
from selfdistill.terms.term import ForwardPass, ModelOutputs, StepContext, label_loss

Transform = Literal["rotation", "half turn", "color", "cyclic color"]


def on_images(transform: Callable[[Tensor], Tensor]) -> Callable[[Inputs], Inputs]:
    """Apply a transform to the images [B, C, H, W] among the inputs; other tensors pass unchanged.

    Raises `UserError` for inputs without images, or with several image tensors.
    """

    @wraps(transform)
    def apply(inputs: Inputs) -> Inputs:
        images = positional_tensor(inputs, "rotated or recolored passes need")
        return replace_tensor(inputs, images, transform(images))

    return apply


@on_images
def quarter(images: Tensor) -> Tensor:
    """Rotate images by 90 degrees. [B, C, H, H] -> [B, C, H, H]."""
    return _square(images).rot90(1, (-2, -1))


@on_images
def half(images: Tensor) -> Tensor:
    """Rotate images by 180 degrees. [B, C, H, W] -> [B, C, H, W]."""
    return images.rot90(2, (-2, -1))


@on_images
def three_quarters(images: Tensor) -> Tensor:
    """Rotate images by 270 degrees. [B, C, H, H] -> [B, C, H, H]."""
    return _square(images).rot90(3, (-2, -1))


@on_images
def rbg(images: Tensor) -> Tensor:
    """Permute channels to red, blue, green. [B, 3, H, W] -> [B, 3, H, W]."""
    return _colored(images)[:, [0, 2, 1]]


@on_images
def grb(images: Tensor) -> Tensor:
    """Permute channels to green, red, blue. [B, 3, H, W] -> [B, 3, H, W]."""
    return _colored(images)[:, [1, 0, 2]]


@on_images
def gbr(images: Tensor) -> Tensor:
    """Permute channels to green, blue, red. [B, 3, H, W] -> [B, 3, H, W]."""
    return _colored(images)[:, [1, 2, 0]]


@on_images
def brg(images: Tensor) -> Tensor:
    """Permute channels to blue, red, green. [B, 3, H, W] -> [B, 3, H, W]."""
    return _colored(images)[:, [2, 0, 1]]


@on_images
def bgr(images: Tensor) -> Tensor:
    """Permute channels to blue, green, red. [B, 3, H, W] -> [B, 3, H, W]."""
    return _colored(images)[:, [2, 1, 0]]


def _square(images: Tensor) -> Tensor:
    height, width = images.shape[-2:]
    if height != width:
        raise UserError(f"images of {height}x{width} cannot be rotated by 90 degrees; pass transform='half turn'")
    return images


def _colored(images: Tensor) -> Tensor:
    if images.shape[1] != 3:
        raise UserError(f"images of {images.shape[1]} channels have no colors to permute; pass transform='rotation'")
    return images


TRANSFORMS: dict[str, tuple[Callable[[Inputs], Inputs], ...]] = {
    "rotation": (quarter, half, three_quarters),
    "half turn": (half,),
    "color": (rbg, grb, gbr, brg, bgr),
    "cyclic color": (gbr, brg),
}


def transformed_passes(transform: str) -> tuple[ForwardPass, ...]:
    """Return joint passes of the student over each transformed batch, each named after its transform."""
    return tuple(ForwardPass(each.__name__, True, transform=each, joint=True) for each in TRANSFORMS[transform])


def teacher_passes(transform: str) -> tuple[ForwardPass, ...]:
    """Return passes of the teacher, with its embedding, over each transformed batch; named like "teacher_half"."""
    return tuple(
        ForwardPass(f"teacher_{each.__name__}", False, network="teacher", transform=each, taps=("embedding",))
        for each in TRANSFORMS[transform]
    )


ROTATIONS, TEACHER_ROTATIONS = transformed_passes("rotation"), teacher_passes("rotation")


def concatenate(views: Mapping[str, ModelOutputs], passes: Sequence[ForwardPass]) -> ModelOutputs:
    """Concatenate the rows of M passes, pass by pass. M of B rows -> M · B rows."""
    outputs = [views[each.name] for each in passes]
    logits, embeddings = [each.logits for each in outputs], [each.embedding for each in outputs]
    return ModelOutputs(torch.cat(logits), torch.cat(embeddings), {})


def rotated_embeddings(context: StepContext) -> tuple[Tensor, Tensor]:
    """Return the embeddings of student and teacher for a batch and its three rotations. -> [4 B, D], [4 B, E]."""
    own = concatenate(context.views, ROTATIONS).embedding
    known = concatenate(context.views, TEACHER_ROTATIONS).embedding
    return torch.cat([context.embedding, own]), torch.cat([context.views["teacher"].embedding, known])


def joint_label_loss(logits: Sequence[Tensor], batch: Batch) -> Tensor:
    """Compute the mean cross-entropy of M transformations with labels y · M + j. M of [B, C · M] -> []."""
    labels = batch.labels * len(logits)
    each = [label_loss(one, batch._replace(labels=labels + j)) for j, one in enumerate(logits)]
    return torch.stack(each).mean()
