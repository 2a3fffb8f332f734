"""Test images beside their true masks and the masks that networks predict."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch.nn.functional as F
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from torch import Tensor

from selfdistill.data.ignored import IGNORED
from selfdistill.data.palette import PALETTE, UNKNOWN
from selfdistill.plots.attention import mosaic
from selfdistill.plots.style import PAGE, panels, styled

SIDE = 96  # pixels of a cell
LEGEND_ROW = 22  # pixels


def colored(mask: Tensor, side: int = SIDE) -> np.ndarray:
    """Color a mask, resized to a square by the nearest pixel. [H, W] -> [side, side, 3] from 0 to 1.

    >>> import torch
    >>> colored(torch.tensor([[0, 1]]), side=2)[0].tolist()
    [[0.0, 0.0, 0.0], [0.5019607843137255, 0.0, 0.0]]
    """
    ids = mask.masked_fill(mask == IGNORED, UNKNOWN)
    square = F.interpolate(ids[None, None].float(), (side, side), mode="nearest-exact")[0, 0].long()
    shown: np.ndarray = PALETTE[square.numpy()] / 255
    return shown


@styled
def draw_masks(
    images: Sequence[Tensor],
    masks: Mapping[str, Sequence[Tensor]],
    classes: Sequence[str],
    *,
    width: int = PAGE,
) -> Figure:
    """Draw a row per image: the image, then one mask per name, such as "truth" and the methods.

    images [3, H, W] uint8, masks [H, W] of class ids; a color is a class.
    """
    shown = dict(list(masks.items())[: max(1, width // 110 - 1)])
    cells = [[_picture(image), *(colored(each[row]) for each in shown.values())] for row, image in enumerate(images)]
    present = sorted({int(k) for each in shown.values() for mask in each for k in mask.unique().tolist() if k >= 0})
    columns = max(1, width // 150)
    rows = -(-len(present) // columns)
    cell = width / (1 + len(shown))
    figure, axes = panels(1, 1, width, cell * len(images) + 40 + LEGEND_ROW * rows)
    table = axes.flat[0]
    table.imshow(mosaic(np.array(cells)), interpolation="none")
    table.spines[:].set_visible(False)
    table.tick_params(length=0, top=False, labeltop=True, labelbottom=False)
    step = SIDE + 2
    names = ["image", *shown]
    table.set_xticks([step * k + SIDE / 2 for k in range(len(names))], names)
    table.set_yticks([])
    patches = [Patch(color=PALETTE[k] / 255, label=classes[k]) for k in present]
    table.legend(handles=patches, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=columns, frameon=False)
    return figure


def _picture(image: Tensor) -> np.ndarray:
    square = F.interpolate(image[None].double() / 255, (SIDE, SIDE), mode="nearest-exact")[0]
    shown: np.ndarray = square.permute(1, 2, 0).numpy()
    return shown
