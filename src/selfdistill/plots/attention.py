"""Attention maps by stage: |f|² summed over channels, overlaid on the image."""

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
from selfdistill.plots.style import GLOW, PAGE, panel_grid, set_title, styled

SIDE = 32  # minimum pixels of a cell
COVER = 0.65  # opacity of the attention over the image
GAP = 2  # pixels between cells
MAX_EXTRA_TOKENS = 5  # tokens without a position: the class token and four registers


def attention_maps(features: Mapping[str, Tensor], size: int) -> dict[str, np.ndarray]:
    """Compute attention maps by tap, [N, size, size] each, scaled per image to the range from 0 to 1.

    Features are maps [N, D, H, W], or tokens [N, M, D] whose last ones form a square, after a few without a position.
    Taps with a single position are skipped. Raises `UserError` for tokens that form no square, and if no tap is left.
    """
    strengths = {name: _placed(name, each) for name, each in features.items()}
    found = {name: _stretched(each, size) for name, each in strengths.items() if each[0].numel() > 1}
    if not found:
        names = ", ".join(features) or "no stage"
        raise UserError(f"{names} has a single position, so there is no attention map; use larger images")
    return found


def overlaid(images: Tensor, strength: np.ndarray) -> np.ndarray:
    """Overlay attention on grayscale images. [N, 3, H, H] uint8, [N, S, S] -> [N, S, S, 3] from 0 to 1."""
    gray = _sized(images, strength.shape[-1]).mean(axis=-1, keepdims=True)
    heat: np.ndarray = colormaps[GLOW](strength)[..., :3]
    blended: np.ndarray = (1 - COVER) * gray + COVER * heat
    return blended


@styled
def draw_attention(
    images: Tensor, found: Mapping[str, Mapping[str, np.ndarray]], names: list[str], *, width: int = PAGE
) -> Figure:
    """Draw a block per method, with one row per image and one column per stage.

    `images` [N, 3, H, H] uint8; `found` holds the output of `attention_maps` by method.
    """
    columns = 1 + max(len(stages) for stages in found.values())
    fitting = max(1, min(len(found), width // 300))
    cell = (width / fitting - 40) / columns
    figure, axes = panel_grid(len(found), width, 50 + cell * len(images), least=300)
    for each, (method, stages) in zip(axes, found.items(), strict=True):
        _block(each, images, stages, names)
        set_title(each, method, pad=22)
    return figure


def _block(axes: Axes, images: Tensor, stages: Mapping[str, np.ndarray], names: list[str]) -> None:
    """Draw the cells of one method, labeled with stages above and image names on the left."""
    size = next(iter(stages.values())).shape[-1]
    cells = [_sized(images, size), *(overlaid(images, strength) for strength in stages.values())]
    axes.imshow(mosaic(np.stack(cells, axis=1)), interpolation="none")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, top=False, labeltop=True, labelbottom=False)
    middles = [(size + GAP) * k + size / 2 for k in range(max(len(cells), len(images)))]
    axes.set_xticks(middles[: len(cells)], ["image", *stages])
    axes.set_yticks(middles[: len(images)], names)


def mosaic(cells: np.ndarray) -> np.ndarray:
    """Tile cells into one image, with transparent gaps between them. [R, C, S, S, 3] -> [height, width, 4]."""
    rows, columns, size = cells.shape[:3]
    canvas = np.zeros((rows, columns, size + GAP, size + GAP, 4))
    canvas[:, :, :size, :size] = np.concatenate([cells, np.ones_like(cells[..., :1])], axis=-1)
    whole = canvas.transpose(0, 2, 1, 3, 4).reshape(rows * (size + GAP), columns * (size + GAP), 4)
    return whole[:-GAP, :-GAP]


def cell_side(images: Tensor) -> int:
    """Return the side of a cell in pixels: the smallest multiple of the image's side that is at least 32."""
    side = images.shape[-1]
    return side * -(-SIDE // side)


def _placed(name: str, features: Tensor) -> Tensor:
    """Compute the attention of each position, arranged as a map. -> [N, H, W]."""
    strength = attention(features)
    if features.dim() == 4:
        return strength.reshape(-1, *features.shape[2:])
    side = math.isqrt(strength.shape[1])
    if strength.shape[1] - side**2 > min(side, MAX_EXTRA_TOKENS):
        raise UserError(f"the {strength.shape[1]} tokens of {name} form no square; tap a stage with a feature map")
    return strength[:, -(side**2) :].reshape(-1, side, side)


def _stretched(strength: Tensor, size: int) -> np.ndarray:
    smooth = F.interpolate(strength[:, None].double(), (size, size), mode="bilinear")[:, 0]
    low, high = smooth.amin(dim=(1, 2), keepdim=True), smooth.amax(dim=(1, 2), keepdim=True)
    scaled: np.ndarray = ((smooth - low) / (high - low).clamp_min(1e-12)).numpy()
    return scaled


def _sized(images: Tensor, size: int) -> np.ndarray:
    """Convert images to matplotlib's layout. [N, 3, H, H] uint8 -> [N, size, size, 3] from 0 to 1."""
    return F.interpolate(images.double() / 255, (size, size), mode="nearest").permute(0, 2, 3, 1).numpy()
