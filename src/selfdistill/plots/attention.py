"""Where each stage of a network looks: |f|² summed over channels, laid over the image."""

import math
from collections.abc import Mapping

import numpy as np
import torch.nn.functional as F
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from selfdistill.errors import UserError
from selfdistill.functional import attention
from selfdistill.plots.style import GLOW, PAGE, drawing, flowing, titled

SIDE = 32  # pixels of a cell at least
COVER = 0.65  # how much of the image the attention hides
GAP = 2  # pixels between cells
BESIDE = 5  # tokens that stand for no place at most: the class and four registers


def attended(features: Mapping[str, Tensor], size: int) -> dict[str, np.ndarray]:
    """Attention by tap, [N, size, size] each: from 0 where an image is attended least to 1 where most.

    Maps [N, D, H, W], or tokens [N, M, D] that fill a square behind a few that stand for no place. What has a single
    position is left out: nothing is attended more than the rest. Raises `UserError` for tokens that fill no square,
    and where nothing is left.
    """
    strengths = {name: _placed(name, each) for name, each in features.items()}
    found = {name: _stretched(each, size) for name, each in strengths.items() if each[0].numel() > 1}
    if not found:
        raise UserError(f"{', '.join(features) or 'no stage'} shows no more than one position; take larger images")
    return found


def overlaid(images: Tensor, strength: np.ndarray) -> np.ndarray:
    """Images in grey under the glow of their attention. [N, 3, H, H] uint8, [N, S, S] -> [N, S, S, 3] from 0 to 1."""
    grey = _sized(images, strength.shape[-1]).mean(axis=-1, keepdims=True)
    return (1 - COVER) * grey + COVER * colormaps[GLOW](strength)[..., :3]


@drawing
def draw_attention(
    images: Tensor, found: Mapping[str, Mapping[str, np.ndarray]], names: list[str], *, width: int = PAGE
) -> Figure:
    """A block for each method, all of the same images: a row an image, with its name, and a column a stage.

    `images` [N, 3, H, H] uint8; `found` holds, by method, what `attended` gave.
    """
    columns = 1 + max(len(stages) for stages in found.values())
    fitting = max(1, min(len(found), width // 300))
    cell = (width / fitting - 40) / columns
    figure, axes = flowing(len(found), width, 50 + cell * len(images), least=300)
    for each, (method, stages) in zip(axes, found.items(), strict=True):
        _block(each, images, stages, names)
        titled(each, method, pad=22)
    return figure


def _block(axes: Axes, images: Tensor, stages: Mapping[str, np.ndarray], names: list[str]) -> None:
    """One method's cells, with the stages above them and the images' names at their left."""
    size = next(iter(stages.values())).shape[-1]
    cells = [_sized(images, size), *(overlaid(images, strength) for strength in stages.values())]
    axes.imshow(mosaic(np.stack(cells, axis=1)), interpolation="none")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, top=False, labeltop=True, labelbottom=False)
    middles = [(size + GAP) * k + size / 2 for k in range(max(len(cells), len(images)))]
    axes.set_xticks(middles[: len(cells)], ["image", *stages])
    axes.set_yticks(middles[: len(images)], names)


def mosaic(cells: np.ndarray) -> np.ndarray:
    """One image with the page's ground between its cells. [R, C, S, S, 3] -> [height, width, 4]."""
    rows, columns, size = cells.shape[:3]
    sheet = np.zeros((rows, columns, size + GAP, size + GAP, 4))
    sheet[:, :, :size, :size] = np.concatenate([cells, np.ones_like(cells[..., :1])], axis=-1)
    whole = sheet.transpose(0, 2, 1, 3, 4).reshape(rows * (size + GAP), columns * (size + GAP), 4)
    return whole[:-GAP, :-GAP]


def cell_side(images: Tensor) -> int:
    """Pixels of a cell: a whole multiple of the image's side, 32 at least."""
    side = images.shape[-1]
    return side * -(-SIDE // side)


def _placed(name: str, features: Tensor) -> Tensor:
    """The attention of each position where it lies. -> [N, H, W]."""
    strength = attention(features)
    if features.dim() == 4:
        return strength.unflatten(1, features.shape[2:])
    side = math.isqrt(strength.shape[1])
    if strength.shape[1] - side**2 > min(side, BESIDE):
        raise UserError(f"the {strength.shape[1]} tokens of {name} fill no square; tap a stage that gives a map")
    return strength[:, -(side**2) :].unflatten(1, (side, side))


def _stretched(strength: Tensor, size: int) -> np.ndarray:
    smooth = F.interpolate(strength[:, None].double(), (size, size), mode="bilinear")[:, 0]
    low, high = smooth.amin(dim=(1, 2), keepdim=True), smooth.amax(dim=(1, 2), keepdim=True)
    return ((smooth - low) / (high - low).clamp_min(1e-12)).numpy()


def _sized(images: Tensor, size: int) -> np.ndarray:
    """Images as matplotlib takes them. [N, 3, H, H] uint8 -> [N, size, size, 3] from 0 to 1."""
    return F.interpolate(images.double() / 255, (size, size), mode="nearest").permute(0, 2, 3, 1).numpy()
