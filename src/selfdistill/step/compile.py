"""torch.compile for training steps: graphs shared by equal runs, CUDA graphs."""

from collections.abc import Hashable, Iterable
from functools import lru_cache

import torch
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor, nn

from selfdistill.step.distiller import Distiller, Step


def compile_distiller(distiller: Distiller, mode: str, recipe: Hashable) -> None:
    """Compile a distiller in place, as one graph.

    Runs in one process with equal `recipe` (the configuration without the seed) share the compiled code. Other runs
    reuse kernels from Inductor's cache on disk.
    """
    _forget_other_graphs(recipe)
    distiller.compile(fullgraph=True, mode=mode)


def compile_blocks(blocks: Iterable[nn.Module], mode: str, recipe: Hashable) -> None:
    """Compile each block in place, as a separate graph: collectives run between blocks."""
    _forget_other_graphs(recipe)
    for block in blocks:
        block.forward = torch.compile(block.forward, fullgraph=True, mode=mode)


@lru_cache(maxsize=1)
def _forget_other_graphs(recipe: Hashable) -> None:
    """Drop the compiled graphs of other recipes, once per change of recipe.

    Dynamo keeps the graphs of all distillers under one function and refuses a ninth (`recompile_limit`).
    """
    torch.compiler.reset()


class ReplayedGraphs:
    """Copies of a step's outputs under CUDA graphs: a replay overwrites the outputs of the previous replay."""

    def __init__(self, enabled: bool):
        self.enabled = enabled

    def begin_step(self) -> None:
        """Tell torch that the outputs of earlier passes are no longer read."""
        if self.enabled:
            torch.compiler.cudagraph_mark_step_begin()

    def copy_outputs(self, step: Step) -> Step:
        """Return a step whose tensors outlive the next replay; call after backward."""
        if not self.enabled:
            return step
        copied: Step = apply_to_collection(step, Tensor, lambda each: each.detach().clone())
        return copied
