"""Auxiliary logits, which a model computes in training beside its logits: learned at a weight, or left untrained."""

import math
from collections.abc import Iterable
from itertools import chain, takewhile

from torch import nn

from selfdistill.errors import UserError
from selfdistill.features import Anatomy


def require_choice(anatomy: Anatomy, aux: float | None) -> None:
    """Raise `UserError` for auxiliary logits without a weight, a weight without such logits, or one below zero."""
    if aux is not None and not (math.isfinite(aux) and aux >= 0):
        raise UserError(f"aux is the weight of auxiliary logits, 0 or more, but is {aux}")
    if aux and not anatomy.auxiliary:
        raise UserError(
            f"aux={aux:g} weights the loss of auxiliary logits, but {anatomy.model} returns none in training from "
            "parameters of their own; leave aux= out"
        )
    if aux is None and anatomy.auxiliary:
        names = ", ".join(map(repr, anatomy.auxiliary))
        parameters = auxiliary_parameters(anatomy)
        raise UserError(
            f"{anatomy.model} returns auxiliary logits in training ({names}), and {len(parameters)} parameters of "
            f"{_heads(anatomy)} would get no gradient; pass aux=0.4 to learn them by the task loss at that weight, "
            "aux=0 to leave them untrained, or a model without them (torchvision: aux_logits=False, aux_loss=False)"
        )


def auxiliary_parameters(anatomy: Anatomy) -> list[str]:
    """List the trainable parameters that only auxiliary logits reach."""
    return [*dict.fromkeys(chain.from_iterable(anatomy.auxiliary.values()))]


def _heads(anatomy: Anatomy) -> str:
    """Name the module that holds the parameters of each auxiliary logits."""
    return " and ".join(dict.fromkeys(map(_module_of, anatomy.auxiliary.values())))


def _module_of(names: Iterable[str]) -> str:
    levels = zip(*(name.split(".")[:-1] for name in names), strict=False)
    shared = [parts[0] for parts in takewhile(lambda parts: len({*parts}) == 1, levels)]
    return repr(".".join(shared)) if shared else "several modules"


class FrozenParameters:
    """Parameters that get no gradient until `close`: an optimizer skips them, and DDP does not wait for them."""

    def __init__(self, network: nn.Module, names: Iterable[str]):
        parameters = [network.get_parameter(name) for name in names]
        self.parameters = [each.requires_grad_(False) for each in parameters if each.requires_grad]

    def close(self) -> None:
        """Let the parameters get gradients again."""
        for each in self.parameters:
            each.requires_grad_()
