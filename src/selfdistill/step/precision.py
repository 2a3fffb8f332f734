"""Terms compute in float32 at least, whatever precision the passes have."""

import torch
from torch import Tensor, nn

from selfdistill.terms import ModelOutputs


def reference_tensor(student: nn.Module) -> Tensor:
    """A zero of the student's device and of its dtype, float32 at least. -> []."""
    return full(next(student.parameters()).detach().new_zeros(()))


def no_autocast(on: Tensor) -> torch.autocast:
    """Terms compute in full precision whatever the passes did."""
    return torch.autocast(on.device.type, enabled=False)


def full(values: Tensor) -> Tensor:
    """Half precision as float32; what is float32 or more stays."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def to_float32(shown: ModelOutputs) -> ModelOutputs:
    """All that a pass shows, in float32 at least."""
    embedding = None if shown.embedding_or_none is None else full(shown.embedding)
    return ModelOutputs(full(shown.logits), embedding, {name: full(each) for name, each in shown.features.items()})
