"""Images turned, or with their colours exchanged: what a network can learn to tell apart, and the views of it."""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from selfdistill.errors import UserError
from selfdistill.terms.term import ForwardPass, ModelOutputs

Transform = Literal["rotation", "half turn", "color", "cyclic color"]


def quarter(images: Tensor) -> Tensor:
    """Images turned by 90 degrees. [B, 3, H, H] -> [B, 3, H, H]."""
    return _square(images).rot90(1, (2, 3))


def half(images: Tensor) -> Tensor:
    """Images turned by 180 degrees. [B, 3, H, W] -> [B, 3, H, W]."""
    return images.rot90(2, (2, 3))


def three_quarters(images: Tensor) -> Tensor:
    """Images turned by 270 degrees. [B, 3, H, H] -> [B, 3, H, H]."""
    return _square(images).rot90(3, (2, 3))


def rbg(images: Tensor) -> Tensor:
    """Red, blue, green."""
    return images[:, [0, 2, 1]]


def grb(images: Tensor) -> Tensor:
    """Green, red, blue."""
    return images[:, [1, 0, 2]]


def gbr(images: Tensor) -> Tensor:
    """Green, blue, red."""
    return images[:, [1, 2, 0]]


def brg(images: Tensor) -> Tensor:
    """Blue, red, green."""
    return images[:, [2, 0, 1]]


def bgr(images: Tensor) -> Tensor:
    """Blue, green, red."""
    return images[:, [2, 1, 0]]


def _square(images: Tensor) -> Tensor:
    height, width = images.shape[2:]
    if height != width:
        raise UserError(f"images of {height}x{width} cannot be turned by a quarter; pass transform='half turn'")
    return images


TRANSFORMS: dict[str, tuple[Callable[[Tensor], Tensor], ...]] = {
    "rotation": (quarter, half, three_quarters),
    "half turn": (half,),
    "color": (rbg, grb, gbr, brg, bgr),
    "cyclic color": (gbr, brg),
}


def shown(transform: str) -> tuple[ForwardPass, ...]:
    """Views of each transformed batch by the student, in the anchor's own pass; each has its function's name."""
    return tuple(ForwardPass(make.__name__, grad=True, make=make, joint=True) for make in TRANSFORMS[transform])


def shown_to_teacher(transform: str) -> tuple[ForwardPass, ...]:
    """Views of each transformed batch by the teacher, with its embedding, as "teacher_half"."""
    return tuple(
        ForwardPass(f"teacher_{make.__name__}", grad=False, network="teacher", make=make, taps=("embedding",))
        for make in TRANSFORMS[transform]
    )


def together(views: Sequence[ModelOutputs]) -> ModelOutputs:
    """What several views show as rows of one: all of the first, then all of the second. M of B rows -> M · B rows."""
    logits, embeddings, _ = zip(*views, strict=True)
    return ModelOutputs(torch.cat(logits), torch.cat(embeddings), {})
