"""Dropout of a student: required by terms that compare passes of one batch."""

import torch
from torch import Tensor, nn

from selfdistill.errors import UserError
from selfdistill.features.model_copy import copy_model
from selfdistill.inputs import Inputs, call_model, device_of
from selfdistill.rng import fork_rng
from selfdistill.step.memory import TermsByName


def require_dropout(terms: TermsByName, student: nn.Module, inputs: Inputs, text: str) -> None:
    """Raise `UserError` for a term whose passes would be equal, because the student draws no random number in them."""
    reading = [name for name, term in terms.items() if term.needs_dropout]
    if reading and not draws_random_numbers(student, inputs):
        raise UserError(
            f"{text} compares two passes of each batch (term {reading[0]!r}), but {type(student).__name__} has neither "
            "dropout nor stochastic depth, so that both would be equal; give the model a rate above 0, or use another "
            "method"
        )


@torch.no_grad()
def draws_random_numbers(model: nn.Module, inputs: Inputs) -> bool:
    """Return True for a model whose pass in train mode draws random numbers; the model and they stay unchanged."""
    with fork_rng():
        before = _rng_states(device_of(inputs))
        call_model(copy_model(model).train(), inputs)
        after = _rng_states(device_of(inputs))
    return not all(map(torch.equal, before, after))


def _rng_states(device: torch.device) -> list[Tensor]:
    """Return the state of the CPU's generator, and that of another device."""
    states = [torch.get_rng_state()]
    return states if device.type == "cpu" else [*states, torch.get_device_module(device).get_rng_state(device)]
