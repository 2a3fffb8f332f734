"""DOT: A Distillation-Oriented Trainer (https://arxiv.org/abs/2307.08436)."""

from selfdistill.method import Method, Paper
from selfdistill.recipe import Share, recipe

PAPER = Paper(
    "DOT: A Distillation-Oriented Trainer",
    "Zhao, Borui and Cui, Quan and Song, Renjie and Liang, Jiajun",
    2023,
    "ICCV",
    "https://arxiv.org/abs/2307.08436",
)


@recipe(PAPER)
def dot(gap: Share = 0.075) -> Method:
    """Give the gradient of what imitates more momentum than that of the task; it is added to any method."""
    return Method(gap=gap)
